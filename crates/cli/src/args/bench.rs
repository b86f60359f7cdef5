use clap::{Args, ValueEnum};
use shootdown_bench::machine::{CpuCount, MAX_CPUS};
use std::path::PathBuf;

use crate::failure::Failure;

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
    /// Run every workload on ten shapes of machines with three seeds, and name the cells that the engine loses
    #[arg(long, conflicts_with_all = ["policy", "operations", "seed", "report"])]
    pub grid: bool,
    /// Print what each kind of operation costs under each policy, too
    #[arg(long)]
    pub operations: bool,
    /// CPUs of the simulated machine, 1 to 4096 [default: 16]
    #[arg(long, value_name = "N", value_parser = parse_cpus, allow_negative_numbers = true)]
    cpus: Option<CpuCount>,
    /// Address spaces that programs share out among themselves [default: 4]
    #[arg(long, value_name = "N", value_parser = parse_spaces, allow_negative_numbers = true)]
    spaces: Option<u32>,
    /// Seed of what is random in workloads: the same gives the same counts [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Folder for the report that a run of all policies under all workloads writes [default: target/report of the project]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["policy", "workload"])]
    pub report: Option<PathBuf>,
    /// With `host`: threads besides the one that flushes [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..64), allow_negative_numbers = true)]
    sharers: Option<u8>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl BenchArgs {
    /// CPUs of the simulated machine.
    ///
    /// # Panics
    /// Never: 16 is a number of CPUs.
    pub fn cpus(&self) -> CpuCount {
        self.cpus.unwrap_or_else(|| CpuCount::new(16).expect("a number of CPUs"))
    }

    /// Address spaces.
    pub fn spaces(&self) -> u32 {
        self.spaces.unwrap_or(4)
    }

    /// The CPUs and spaces that were asked for.
    pub fn shape(&self) -> (Option<u32>, Option<u32>) {
        (self.cpus.map(CpuCount::number), self.spaces)
    }

    /// Seed of what is random.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    /// Threads besides the one that flushes.
    #[cfg(target_os = "linux")]
    pub fn sharers(&self) -> u8 {
        self.sharers.unwrap_or(1)
    }

    /// Refuses options that the comparison which was asked for has no use for.
    ///
    /// # Errors
    /// The first of them.
    pub fn only_used(&self) -> Result<(), Failure> {
        const ALL: &str = "bench";
        const COUNTED: &str = "bench and bench seed";
        const HOST: &str = "bench host";
        let options = [
            ("--policy", !self.policy.is_empty(), ALL),
            ("--workload", !self.workload.is_empty(), ALL),
            ("--operations", self.operations, ALL),
            ("--grid", self.grid, ALL),
            ("--report", self.report.is_some(), ALL),
            ("--spaces", self.spaces.is_some(), ALL),
            ("--cpus", self.cpus.is_some(), COUNTED),
            ("--seed", self.seed.is_some(), COUNTED),
            ("--sharers", self.sharers.is_some(), HOST),
        ];
        let used: &[&str] = match self.contest {
            None => &[ALL, COUNTED],
            Some(Contest::Seed) => &[COUNTED],
            Some(Contest::Host) => &[HOST],
        };
        match options.into_iter().find(|(_, given, of)| *given && !used.contains(of)) {
            None => Ok(()),
            Some((option, _, of)) => Err(Failure::bad_input(
                format!("{option} changes nothing here"),
                format!("leave it out: it is an option of {of}"),
            )),
        }
    }
}

/// Most address spaces; the machine has no memory for the tables of more.
const MOST_SPACES: u32 = 65_536;

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
    /// Where the trace goes; default: FILE with `.sdt` at its end. A pipe has no such name
    #[arg(long, value_name = "TRACE")]
    pub out: Option<PathBuf>,
    /// Ticks of a second, where times count ticks: of the TSC for x86-tsc, 100 for uptime
    #[arg(long, value_name = "HZ", value_parser = parse_hertz, allow_negative_numbers = true)]
    pub tick_hz: Option<std::num::NonZeroU64>,
}

fn parse_hertz(text: &str) -> Result<std::num::NonZeroU64, String> {
    text.parse().map_err(|_| format!("give 1 to {} ticks, as in 100 or 2400000000", u64::MAX))
}

fn parse_spaces(text: &str) -> Result<u32, String> {
    let spaces = text.parse().ok().filter(|spaces| (1..=MOST_SPACES).contains(spaces));
    spaces.ok_or_else(|| format!("programs run in 1 to {MOST_SPACES} spaces"))
}

fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a number from 0 to {}", u64::MAX))
}

fn parse_cpus(text: &str) -> Result<CpuCount, String> {
    let cpus = text.parse().ok().and_then(|cpus| CpuCount::new(cpus).ok());
    cpus.ok_or_else(|| format!("a simulated machine has 1 to {MAX_CPUS} CPUs; the engine's masks end there"))
}
