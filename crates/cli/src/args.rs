//! What the command line understands.

#[cfg(not(feature = "full"))]
mod absent;
#[cfg(feature = "full")]
mod bench;
#[cfg(feature = "full")]
mod boot;
#[cfg(feature = "full")]
mod doctor;
#[cfg(feature = "full")]
mod shell;

#[cfg(not(feature = "full"))]
pub use absent::{
    Absent as BenchArgs, Absent as BootArgs, Absent as CompletionsArgs, Absent as DoctorArgs,
    Absent as ImportArgs, Absent as ManArgs,
};
#[cfg(feature = "full")]
pub use {
    bench::{BenchArgs, Contest, ImportArgs},
    boot::{BootArgs, HostThreads},
    doctor::DoctorArgs,
    shell::{CompletionsArgs, ManArgs},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use shootdown_explore::{Memory, Options, Progress, Reductions, Sampling};
use std::path::PathBuf;
use std::time::Duration;

use crate::catalogue::{LAST_RULE, Removed};
use crate::examples;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::names;
use crate::shard::Shard;
use crate::threads::afford;

/// Most CPUs of a machine that `--cpus` may ask for.
const MAX_CPUS: usize = 8;
/// Most contexts that the explorer counts.
const MAX_CONTEXTS: u16 = 4095;
/// Most worker threads; beyond this more threads only wait for each other.
const MAX_WORKERS: usize = 64;

/// Checks TLB shootdown: every execution of small machines, the shipped engine and historical bugs.
#[derive(Debug, Parser)]
#[command(name = "shootdown", version, after_help = examples::ALL, arg_required_else_help = false)]
#[command(
    about = "Checks every execution of TLB-coherence protocols on small simulated machines: the shipped \
engine `shootdown`, and historical kernel bugs, broken and mended. Without a command: checks everything."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Visit every execution of the chosen cases, and compare with what each must do
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Put the results of all parts of a check together, with the exit code that the whole check would have had
    #[command(after_help = examples::MERGE)]
    Merge(MergeArgs),
    /// Tell a case's story, and draw its counterexample, one column per CPU
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Run a recorded execution, move by move, and draw it; or a recorded trace of a kernel, under any policy
    #[command(after_help = examples::REPLAY)]
    Replay(ReplayArgs),
    /// Read what tracefs, trace-cmd or perf recorded of a kernel into a trace for `shootdown replay`
    #[command(after_help = examples::IMPORT)]
    RecordImport(ImportArgs),
    /// Write a first sketch of a bug's two protocols, to start a model of your own from
    #[command(after_help = examples::NEW_CASE)]
    NewCase(NewCaseArgs),
    /// Examine a platform of your own on a simulated machine, and say which line of the contract it breaks
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Boot a small SMP kernel in QEMU that runs the engine on real page tables, and look for stale translations
    #[command(after_help = examples::BOOT)]
    Boot(BootArgs),
    /// Count what the engine and other kernels' policies cost under the same workloads, on a simulated machine; or
    /// time flushes on this host
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Print a script that completes this command in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// Arguments of `shootdown check`.
#[derive(Args, Debug, Default)]
pub struct CheckArgs {
    /// Cases, bugs, groups (`pairs`, `bugs`, ...) or patterns ('linux-*'); default: all but deep cases
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Name the chosen cases and run nothing
    #[arg(long, conflicts_with_all = ["keep_going", "Limits", "verbose", "json_file"])]
    pub list: bool,
    /// Only machines with N CPUs
    #[arg(long, value_name = "N", value_parser = parse_cpus, allow_negative_numbers = true)]
    pub cpus: Option<usize>,
    /// Also cases that take minutes
    #[arg(long)]
    pub deep: bool,
    /// Leave the engine's scenarios out, also those that show that the engine does not have the chosen bugs
    #[arg(long, conflicts_with = "Removal")]
    pub no_engine: bool,
    /// Instead: take each fence, wait, interrupt, flush and ordering out of the mended protocols of the chosen bugs, one at a
    /// time, and list those without which they hold all the same
    #[arg(long, conflicts_with_all = ["list", "Removal", "Limits", "keep_going", "verbose", "json_file", "slowest", "shard", "all_findings", "resume"])]
    pub mutants: bool,
    /// Put another protocol into this case of a bug; it must then come out otherwise than expected
    #[arg(long, value_name = "NAME", hide = true, conflicts_with_all = ["drop_rule", "drop_site"])]
    pub swap: Option<String>,
    /// What to remove from the engine.
    #[command(flatten)]
    pub removal: Removal,
    /// With a rule or an ordering removed: go on after the first case that catches it
    #[arg(long, requires = "Removal")]
    pub keep_going: bool,
    /// Limits and switches.
    #[command(flatten)]
    pub limits: Limits,
    /// Go on after a case's first finding, and list each one once, with the length of its shortest execution
    #[arg(long, conflicts_with = "list")]
    pub all_findings: bool,
    /// Keep results in FILE as they come; where it has some of the same check, only the other cases run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "swap"])]
    pub resume: Option<PathBuf>,
    /// Show each case in a line of its own, also where they are many
    #[arg(long, short, conflicts_with = "json")]
    pub verbose: bool,
    /// At the end, name the N cases that took longest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "list")]
    pub slowest: Option<u16>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Also write the JSON lines to PATH
    #[arg(long, value_name = "PATH")]
    pub json_file: Option<PathBuf>,
    /// Only part I of N, I from 1 to N: every Nth of the chosen cases; `shootdown merge` puts the JSON lines of all parts
    /// together
    #[arg(long, value_name = "I/N", value_parser = Shard::parse, conflicts_with = "swap")]
    pub shard: Option<Shard>,
}

/// Arguments of `shootdown merge`.
#[derive(Args, Debug)]
pub struct MergeArgs {
    /// What `check --shard I/N --json-file FILE` wrote, a file for each I
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print the results as JSON, one object a line, as the whole check would have
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `shootdown explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A case; of a bug, `NAME/PROTOCOL`, or its name for the broken one
    #[arg(required_unless_present = "all")]
    pub name: Option<String>,
    /// With --html: a page for each bug in the collection, and an index
    #[arg(long, requires = "html")]
    #[arg(conflicts_with_all = ["name", "state", "places", "svg", "text", "drop_rule", "drop_site"])]
    pub all: bool,
    /// Go on after the first finding, and draw each one once, with its shortest execution
    #[arg(long, conflicts_with_all = ["all", "svg", "html", "text"])]
    pub all_findings: bool,
    /// Show the machine's state after each step, not only at the end
    #[arg(long)]
    pub state: bool,
    /// Show the line of code of each step
    #[arg(long)]
    pub places: bool,
    /// Also draw the counterexample as a picture
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Also write a page to step through the counterexample; with --all, a folder of pages
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print the counterexample as a list for `shootdown replay`, and nothing else
    #[arg(long, conflicts_with_all = ["state", "places"])]
    pub text: bool,
    /// What to remove from the engine.
    #[command(flatten)]
    pub removal: Removal,
    /// Limits and switches.
    #[command(flatten)]
    pub limits: Limits,
}

/// Arguments of `shootdown replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// A list that `shootdown explain --text` printed, or a trace that `shootdown record-import` wrote; `-`: standard
    /// input
    pub file: PathBuf,
    /// Of a trace: a policy, more than once for several; default: all
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<String>,
    /// Of a trace: machines with TLB tags; default: without, as under QEMU
    #[arg(long)]
    pub tags: bool,
    /// Of a trace: print one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Show the machine's state after each step, not only at the end
    #[arg(long)]
    pub state: bool,
    /// Show the line of code of each step
    #[arg(long)]
    pub places: bool,
}

/// Arguments of `shootdown new-case`.
#[derive(Args, Debug)]
pub struct NewCaseArgs {
    /// Name of the bug: kernel, commit or advisory, subject, as in toy-1a2b3c4d-counted-acks
    pub name: String,
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The second step: what a collection says of the bug, and a story, beside the model
    #[arg(long)]
    pub corpus: bool,
}

/// The rule or ordering that is removed from the engine before a run.
#[derive(Args, Clone, Debug, Default)]
pub struct Removal {
    /// Remove a rule from the engine
    #[arg(long, value_name = "SD-n", value_parser = Removed::rule, conflicts_with = "drop_site", help = format!(
        "Remove a rule from the engine, SD-1 to SD-{LAST_RULE}, and see what fails without it"
    ))]
    drop_rule: Option<Removed>,
    /// Weaken one named ordering of the engine, and see what fails without it
    #[arg(long, value_name = "SITE", value_parser = Removed::site)]
    drop_site: Option<Removed>,
}

impl Removal {
    /// The rule or ordering, if any.
    pub fn removed(&self) -> Option<&Removed> {
        self.drop_rule.as_ref().or(self.drop_site.as_ref())
    }
}

/// Limits and switches of an exploration.
#[derive(Args, Clone, Debug, Default)]
pub struct Limits {
    /// Memory model of the machine; default: the one that each case is stated for
    #[arg(long, value_name = "MODEL", value_parser = memory_parser())]
    memory: Option<Memory>,
    /// Stop a case after this long; it then counts as not passed
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, allow_negative_numbers = true)]
    deadline: Option<Duration>,
    /// Stop a case when its states take this much, as in 512MiB; it then counts as not passed [default: 4GiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, allow_negative_numbers = true)]
    memory_budget: Option<u64>,
    /// Worker threads [default: 2]
    #[arg(long, value_name = "N", value_parser = parse_workers, allow_negative_numbers = true)]
    workers: Option<usize>,
    /// Visit every state there is, without reductions
    #[arg(long)]
    no_reduction: bool,
    /// Visit only executions in which CPUs take turns at most N times; not a proof
    #[arg(long, value_name = "N", value_parser = parse_contexts, allow_negative_numbers = true)]
    contexts: Option<u16>,
    /// Make N executions at random, by priorities that change at random (PCT), instead of visiting all; not a proof
    #[arg(long, value_name = "N", value_parser = parse_runs, allow_negative_numbers = true)]
    #[arg(conflicts_with_all = ["contexts", "no_reduction"])]
    random: Option<u64>,
    /// What the random numbers begin with [default: 1]
    #[arg(long, value_name = "S", requires = "random")]
    seed: Option<u64>,
}

/// What of [`Limits`] decides results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    /// `--memory`.
    pub memory: Option<Memory>,
    /// `--deadline`.
    pub deadline: Option<Duration>,
    /// `--memory-budget`.
    pub memory_budget: Option<u64>,
    /// `--no-reduction`.
    pub no_reduction: bool,
    /// `--contexts`.
    pub contexts: Option<u16>,
    /// `--random` and `--seed`.
    pub random: Option<Sampling>,
}

impl Limits {
    /// Returns what decides results, which the number of worker threads does not.
    pub fn recorded(&self) -> Recorded {
        let Self { memory, deadline, memory_budget, workers: _, no_reduction, contexts, random, seed } =
            *self;
        let random = random.map(|runs| Sampling { runs, seed: seed.unwrap_or(1) });
        Recorded { memory, deadline, memory_budget, no_reduction, contexts, random }
    }

    /// Returns which executions are visited, where it is not all of them.
    pub fn partly(&self) -> Option<String> {
        match self.recorded() {
            Recorded { contexts: Some(most), .. } => Some(format!("contexts {most}")),
            Recorded { random: Some(Sampling { runs, seed }), .. } => {
                Some(format!("random {runs}, seed {seed}"))
            }
            _ => None,
        }
    }

    /// Finds out whether this host has the worker threads.
    ///
    /// # Errors
    /// It has fewer.
    pub fn afford_workers(&self) -> Result<(), Failure> {
        // The first works here; others wait for Ctrl-C, watch for a step that hangs and move the line that says how far it is.
        const OTHERS: usize = 3;
        afford(self.workers.unwrap_or(Options::default().workers) - 1 + OTHERS, "--workers")
    }

    /// Memory model for a case that is stated for `own`.
    pub fn memory_for(&self, own: Memory) -> Memory {
        self.memory.unwrap_or(own)
    }

    /// Options for a case that is stated for memory model `own`.
    pub fn options<'a>(
        &self,
        own: Memory,
        interrupt: &'a Interrupt,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Options<'a> {
        let defaults = Options::default();
        Options {
            memory: self.memory_for(own),
            reductions: match self.no_reduction {
                true => Reductions { partial_order: false, symmetry: false, merge: false },
                false => defaults.reductions,
            },
            workers: self.workers.unwrap_or(defaults.workers),
            max_bytes: self.memory_budget.unwrap_or(defaults.max_bytes),
            deadline: self.deadline,
            contexts: self.contexts,
            random: self.recorded().random,
            stop: Some(interrupt.flag()),
            progress: Some(progress),
            ..defaults
        }
    }
}

fn memory_parser() -> impl TypedValueParser<Value = Memory> {
    PossibleValuesParser::new(Memory::ALL.map(Memory::name))
        .try_map(|name| names::parse_memory(&name).ok_or("a memory model is sc, tso, pso or weak"))
}

fn parse_cpus(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(cpus) if (1..=MAX_CPUS).contains(&cpus) => Ok(cpus),
        _ => Err(format!(
            "a machine here has 1 to {MAX_CPUS} CPUs: every interleaving is visited, and their number grows \
             exponentially with the CPUs"
        )),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|&s: &f64| s > 0.0);
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| "give a number of seconds above 0, as in 30 or 0.5".to_owned())
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    match text.parse::<bytesize::ByteSize>() {
        // `bytesize` reads a larger number as the largest one.
        Ok(size) if (1..u64::MAX).contains(&size.as_u64()) => Ok(size.as_u64()),
        _ => Err("give a number of bytes above 0 and below 16EiB, as in 1000000, 512MiB or 4GiB".to_owned()),
    }
}

fn parse_contexts(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(contexts) if (1..=MAX_CONTEXTS).contains(&contexts) => Ok(contexts),
        _ => Err(format!(
            "give 1 to {MAX_CONTEXTS} contexts; few find most, and each multiplies the executions"
        )),
    }
}

fn parse_runs(text: &str) -> Result<u64, String> {
    let runs = text.parse().ok().filter(|&runs| runs > 0);
    runs.ok_or_else(|| format!("give 1 to {} executions, as in 10000", u64::MAX))
}

fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers) if (1..=MAX_WORKERS).contains(&workers) => Ok(workers),
        _ => Err(format!("give 1 to {MAX_WORKERS} threads")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cli, parse_bytes};
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bytes_are_read_with_and_without_units() {
        assert_eq!(parse_bytes("1000"), Ok(1000));
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert!(parse_bytes("0").is_err() && parse_bytes("a lot").is_err());
        assert!(parse_bytes("99999999999999999999GiB").is_err(), "more than 64 bits hold");
    }
}
