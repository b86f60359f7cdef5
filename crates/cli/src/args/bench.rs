use clap::{Args, ValueEnum};
use shootdown_bench::machine::{CpuCount, MAX_CPUS};
use std::path::PathBuf;

/// Arguments of `shootdown bench`.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Another comparison than that of policies under workloads
    #[arg(value_enum)]
    pub contest: Option<Contest>,
    /// A policy, more than once for several; default: all
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<String>,
    /// A workload or a group of them (mapbench), more than once for several; default: all
    #[arg(long, value_name = "NAME")]
    pub workload: Vec<String>,
    /// Print what each kind of operation costs under each policy, too
    #[arg(long)]
    pub operations: bool,
    /// CPUs of the simulated machine, 1 to 4096
    #[arg(long, value_name = "N", default_value = "16", value_parser = parse_cpus, allow_negative_numbers = true)]
    pub cpus: CpuCount,
    /// Address spaces that programs share out among themselves
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub spaces: u32,
    /// Seed of what is random in workloads: the same gives the same counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Folder for the report that a run of all policies under all workloads writes
    #[arg(long, value_name = "DIR", default_value = "target/report")]
    pub report: PathBuf,
    /// With `host`: threads besides the one that flushes
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..64))]
    pub sharers: u8,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `shootdown bench` compares besides policies.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Contest {
    /// Cross calls of sparc64 before and after Linux commit bafb056ce279, and of the engine
    Seed,
    /// The engine with threads as CPUs on this host, and the ways that a program has today
    Host,
}

/// Arguments of `shootdown record-import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// Text of tracefs, of `trace-cmd report` or of `perf script`; `-`: standard input. Events tlb_flush, sched_switch,
    /// sched_process_fork, sched_process_exit and the calls munmap, mprotect, madvise, mremap, execve, with option
    /// record-tgid
    pub file: PathBuf,
    /// Where the trace goes; default: FILE with `.sdt` at its end
    #[arg(long, value_name = "TRACE")]
    pub out: Option<PathBuf>,
    /// Ticks of a second, where times count ticks: of the TSC for x86-tsc, 100 for uptime
    #[arg(long, value_name = "HZ")]
    pub tick_hz: Option<std::num::NonZeroU64>,
}

fn parse_cpus(text: &str) -> Result<CpuCount, String> {
    let cpus = text.parse().ok().and_then(|cpus| CpuCount::new(cpus).ok());
    cpus.ok_or_else(|| format!("a simulated machine has 1 to {MAX_CPUS} CPUs; the engine's masks end there"))
}
