use clap::{Args, ValueEnum};
use std::path::PathBuf;

use crate::catalogue::LAST_RULE;

/// Arguments of `shootdown boot`.
#[derive(Args, Debug)]
pub struct BootArgs {
    /// riscv64, x86_64 or aarch64
    #[arg(long, value_name = "A")]
    pub arch: Option<String>,
    /// CPUs of the machine; at most 128 on riscv64, 255 on x86_64, 512 on aarch64
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub cpus: usize,
    /// A scenario, or `all`; default: all
    #[arg(long, value_name = "S")]
    pub scenario: Option<String>,
    /// How long each scenario runs
    #[arg(long, value_name = "T", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// End each scenario after N cycles, if that is sooner
    #[arg(long, value_name = "N")]
    pub cycles: Option<u64>,
    /// Every architecture and every scenario
    #[arg(long, conflicts_with_all = ["arch", "scenario"])]
    pub all: bool,
    /// Remove a rule of the engine, or linux-bafb056c, the short cut of 2020 in the kernel's flush path
    #[arg(long = "break", value_name = "RULE", help = format!(
        "Remove a rule: SD-1 to SD-{LAST_RULE} from the engine, or linux-bafb056c, the short cut of 2020 in the kernel's flush \
         path; none: the same build with every rule"
    ))]
    pub broken: Option<String>,
    /// Threads of this host for the machine's CPUs: one for all is fast on a busy host; one each runs them at once
    #[arg(long, value_name = "HOW", value_enum, default_value_t = HostThreads::One)]
    pub host_threads: HostThreads,
    /// Count the instructions of the engine's operations instead, with a plugin of QEMU
    #[arg(long, conflicts_with_all = ["scenario", "broken", "cycles", "image", "host_threads", "seconds"])]
    pub count: bool,
    /// How long a machine may run without a report before it counts as hung; time for which this host does not let it run
    /// does not count
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
    /// Boot this image instead of building one
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Threads of the host that run a machine's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostThreads {
    /// One for all: they take turns, at each step of a task and in each wait
    One,
    /// One each: they run at once
    Each,
}
