use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::outcome::{Done, Pace};
use super::{
    bare_metal, book, boot, build, dependencies, gates, hosts, images, miri, moved, msrv, own_case,
    trampoline,
};
use crate::measure::{self, Differing, Functions, Look};
use crate::mutants::{self, Mutated, Wanted};
use crate::process::cpu_seconds;
use crate::{mutate, mutate_bugs, mutate_weak, tidy};

/// One step; the order is that of a full run, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// The layout of the code
    Fmt,
    /// Programs and tests, which the other steps run
    Build,
    /// What compilers do not look at
    Tidy,
    /// Lints; among them, use of what the oldest Rust that is promised does not have
    Clippy,
    /// Documentation
    Doc,
    /// The oldest Rust that is promised
    Msrv,
    /// What published packages' manifests say, and the licences of dependencies
    Release,
    /// Newer releases of dependencies, and the advisories against those in use, where both can be reached
    Dependencies,
    /// Published packages, packed from a clean clone and built from that
    Package,
    /// The command and every library, type-checked for other hosts
    Hosts,
    /// The engine and the arch crates on targets without an operating system
    BareMetal,
    /// The instruction sequences of the arch crates, disassembled
    Arch,
    /// Bytes of the engine's machine code
    Size,
    /// Ways to a panic in the engine's machine code
    Panics,
    /// Stack of the engine's operations
    Stack,
    /// Tests of all packages
    Tests,
    /// Tests of what is shipped under Miri, which is installed where it is missing
    Miri,
    /// Every case of `shootdown check`
    Check,
    /// A built checkout, copied to another folder and edited there: the edit is what is checked
    Moved,
    /// The pages about the bugs, in a browser
    Museum,
    /// Policies under workloads, and the shipped traces
    Bench,
    /// Each bug case with the other variant's protocol: `check` must notice
    MutateBugs,
    /// Somebody's own bugs, and the template for one
    OwnCase,
    /// The book: its links, its code, its commands
    Book,
    /// Each rule removed from the engine: a case must notice
    Rules,
    /// Each ordering weakened and each barrier of the platform removed: the explorer must notice under weak memory
    MutateWeak,
    /// Each ordering of the engine weakened: a checker must notice
    Mutate,
    /// Small mistakes in the engine, each by the catcher that is recorded for it
    Mutants,
    /// Small mistakes in the explorer, each by the test that is recorded for it
    MutateExplorer,
    /// Instructions of the engine's operations
    Counts,
    /// The kernel in QEMU, on all architectures
    Boot,
    /// The kernel whose trampoline loads roots in QEMU, with the flush and without
    Trampoline,
    /// Two cores of LoongArch in QEMU: what INVTLB drops, IPIs and the engine, and rules that are missing there
    Loongarch64,
    /// The MMU of sun4u and the allocator of contexts in QEMU; needs nightly, and runs where it is named alone
    Sparc64,
}

/// Steps of a quick run.
const QUICK: [Step; 7] =
    [Step::Fmt, Step::Build, Step::Tidy, Step::Clippy, Step::Tests, Step::Check, Step::Rules];
/// Steps that build nothing in the project's target folder, where cargo lets one build at a time: in a run that builds
/// they go beside the others, those that find most for their time first, then the longest.
const BESIDE: [Step; 14] = [
    Step::Check,
    Step::Rules,
    Step::MutateWeak,
    Step::Boot,
    Step::Hosts,
    Step::Package,
    Step::Miri,
    Step::Mutants,
    Step::Mutate,
    Step::MutateExplorer,
    Step::MutateBugs,
    Step::Msrv,
    Step::Loongarch64,
    Step::Bench,
];
/// Steps that run where they are named alone: stable Rust does not suffice for it.
const BY_NAME: [Step; 1] = [Step::Sparc64];

/// A step that has ended.
struct Row {
    name: String,
    took: Duration,
    /// Time on CPUs of what it ran, where this system says so.
    cpu: Option<f64>,
    done: Done,
}

/// Runs `steps`, or all of `pace` where none is named. What has to be built first, and steps that are named, stop at
/// the first that fails.
///
/// # Errors
/// A step failed.
pub fn run(root: &Path, steps: &[Step], pace: Pace) -> Result<()> {
    let whole = steps.is_empty() && pace == Pace::Whole;
    let usual = Step::value_variants().iter().copied().filter(|step| !BY_NAME.contains(step));
    let steps = match (steps, pace) {
        ([], Pace::Quick) => QUICK.to_vec(),
        ([], Pace::Whole) => usual.collect(),
        (named, _) => named.to_vec(),
    };
    let begin = Instant::now();
    let (first, queues) = queues(&steps);
    let run = |step| one(root, step, pace);
    let mut rows = first.into_iter().map(run).collect::<Result<Vec<_>>>()?;
    rows.extend(queues.in_lanes(run)?);
    rows.extend(BY_NAME.into_iter().filter(|_| whole).map(Row::by_name));
    print_table(&rows, begin.elapsed());
    Ok(())
}

/// Steps that wait for one of two lanes: those that build in the project's target folder, and [`BESIDE`].
struct Queues {
    build: Mutex<VecDeque<Step>>,
    beside: Mutex<VecDeque<Step>>,
}

/// Splits steps into those up to [`Step::Build`], and the queues of those that follow it.
fn queues(steps: &[Step]) -> (Vec<Step>, Queues) {
    let build = steps.iter().position(|step| *step == Step::Build).unwrap_or(steps.len());
    let (first, others) = steps.split_at(steps.len().min(build + 1));
    let build = others.iter().copied().filter(|step| !BESIDE.contains(step)).collect();
    let beside = BESIDE.into_iter().filter(|step| others.contains(step)).collect();
    (first.to_vec(), Queues { build: Mutex::new(build), beside: Mutex::new(beside) })
}

impl Queues {
    /// Empties both queues in two lanes. Whichever lane is free goes on with what may run beside anything, and a step
    /// that fails stops no other: a run takes long, and one should say all that it finds.
    fn in_lanes(&self, work: impl Fn(Step) -> Result<Row> + Sync) -> Result<Vec<Row>> {
        let next =
            |queue: &Mutex<VecDeque<Step>>| queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let lane = |queues: &[&Mutex<VecDeque<Step>>]| -> Vec<Result<Row>> {
            std::iter::from_fn(|| queues.iter().find_map(|queue| next(queue))).map(&work).collect()
        };
        let rows = thread::scope(|scope| {
            let beside = scope.spawn(|| lane(&[&self.beside]));
            let mut rows = lane(&[&self.build, &self.beside]);
            rows.extend(beside.join().map_err(|_| anyhow!("a step beside others panicked"))?);
            anyhow::Ok(rows)
        })?;
        let (rows, errors): (Vec<_>, Vec<_>) = rows.into_iter().partition(Result::is_ok);
        let errors: Vec<String> =
            errors.into_iter().filter_map(Result::err).map(|e| format!("{e:#}")).collect();
        ensure!(errors.is_empty(), "{}", errors.join("\n"));
        Ok(rows.into_iter().flatten().collect())
    }
}

/// Runs a step, and says how long it took.
fn one(root: &Path, step: Step, pace: Pace) -> Result<Row> {
    let name = step.name();
    println!("\n== {name}");
    let (begin, before) = (Instant::now(), cpu_seconds());
    // Said at once: what runs beside is waited for.
    let done = step.run(root, pace).inspect_err(|error| println!("== {name} FAILED: {error:#}"));
    let done = done.with_context(|| format!("step {name} failed; `cargo xtask ci {name}` repeats it"))?;
    let cpu = before.and_then(|before| Some(cpu_seconds()? - before));
    let row = Row { name, took: begin.elapsed(), cpu, done };
    println!("== {}", row.told());
    Ok(row)
}

/// Prints a line for each step. The last line says how much ran, and what did not.
fn print_table(rows: &[Row], took: Duration) {
    println!("\nci: seconds, and seconds of CPUs (of a step beside others: theirs too)");
    rows.iter().for_each(|row| println!("  {}", row.told()));
    let skipped = |row: &Row| match &row.done {
        Done::Skipped(why) => Some(format!("{} ({why})", row.name)),
        Done::Passed(_) => None,
    };
    println!("{}", closing(rows.len(), &rows.iter().filter_map(skipped).collect::<Vec<_>>(), took));
}

fn closing(steps: usize, skipped: &[String], took: Duration) -> String {
    let passed = steps - skipped.len();
    let names = if skipped.is_empty() { String::new() } else { format!(": {}", skipped.join("; ")) };
    format!("ci: {passed} steps passed in {:.0} s, {} skipped{names}", took.as_secs_f64(), skipped.len())
}

impl Row {
    fn by_name(step: Step) -> Self {
        let done = Done::Skipped(format!("needs nightly: `cargo xtask ci {}`", step.name()));
        Self { name: step.name(), took: Duration::ZERO, cpu: None, done }
    }

    fn told(&self) -> String {
        let (word, what) = match &self.done {
            Done::Passed(what) => ("passed ", what),
            Done::Skipped(why) => ("SKIPPED", why),
        };
        let cpu = self.cpu.map_or("-".to_owned(), |cpu| format!("{cpu:.1}"));
        format!("{:13} {word} {:>7.1} s {cpu:>7} s  {what}", self.name, self.took.as_secs_f64())
    }
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn run(self, root: &Path, pace: Pace) -> Result<Done> {
        match self {
            Self::Fmt => build::fmt(root),
            Self::Build => build::build(root, pace),
            Self::Tidy => tidy::run(root).map(|files| Done::Passed(format!("{files} files"))),
            Self::Clippy => build::clippy(root, pace),
            Self::Doc => build::doc(root),
            Self::Tests => build::tests(root, pace),
            Self::Msrv => msrv::msrv(root),
            Self::Release => build::release(root),
            Self::Dependencies => dependencies::dependencies(root),
            Self::Package => build::package(root),
            Self::Hosts => hosts::hosts(root),
            Self::BareMetal => bare_metal::bare_metal(root),
            Self::Arch => measure::run(root, Look::Arch(Differing::Fails)).map(Done::Passed),
            Self::Miri => miri::miri(root),
            Self::Size => measure::run(root, Look::Size(Functions::Summed)).map(Done::Passed),
            Self::Panics => measure::run(root, Look::Panics).map(Done::Passed),
            Self::Stack => measure::run(root, Look::Stack).map(Done::Passed),
            Self::Check => gates::check(root),
            Self::Moved => moved::moved(root),
            Self::Museum => gates::museum(root),
            Self::Bench => gates::bench(root),
            Self::MutateBugs => mutate_bugs::run(root).map(Done::Passed),
            Self::OwnCase => own_case::own_case(root),
            Self::Book => book::book(root),
            Self::Rules => gates::rules(root),
            Self::MutateWeak => mutate_weak::run(root).map(Done::Passed),
            Self::Mutate => mutate::run(root, &[], None).map(Done::Passed),
            Self::Mutants => mutants::run(root, &Wanted::quick(Mutated::Engine)).map(Done::Passed),
            Self::MutateExplorer => mutants::run(root, &Wanted::quick(Mutated::Explorer)).map(Done::Passed),
            Self::Counts => gates::counts(root),
            Self::Boot => boot::boot(root),
            Self::Trampoline => trampoline::trampoline(root).map(Done::Passed),
            Self::Loongarch64 => images::loongarch64(root),
            Self::Sparc64 => images::sparc64(root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BESIDE, BY_NAME, Done, QUICK, Queues, Row, Step, closing, queues};
    use clap::ValueEnum;
    use std::collections::{BTreeSet, VecDeque};
    use std::sync::{Barrier, Mutex};
    use std::time::Duration;

    #[test]
    fn the_last_line_names_what_did_not_run() {
        let took = Duration::from_secs(9);
        assert_eq!(closing(3, &[], took), "ci: 3 steps passed in 9 s, 0 skipped");
        let skipped = ["msrv (no toolchain)".to_owned()];
        assert_eq!(closing(3, &skipped, took), "ci: 2 steps passed in 9 s, 1 skipped: msrv (no toolchain)");
    }

    /// The steps of a queue.
    fn listed(queue: Mutex<VecDeque<Step>>) -> Vec<Step> {
        queue.into_inner().expect("no lane panicked").into()
    }

    #[test]
    fn what_builds_elsewhere_or_not_at_all_goes_beside_what_builds_once_the_command_is_there() {
        let (first, Queues { build, beside }) = queues(Step::value_variants());
        let (build, beside) = (listed(build), listed(beside));
        assert_eq!(first, [Step::Fmt, Step::Build]);
        assert_eq!(beside, BESIDE);
        assert!(build.starts_with(&[Step::Tidy]) && build.contains(&Step::Tests), "{build:?}");
        assert_eq!(first.len() + build.len() + beside.len(), Step::value_variants().len());
        let (first, Queues { build, beside }) = queues(&[Step::Check, Step::Tidy]);
        assert_eq!(first, [Step::Check, Step::Tidy], "nothing is built first");
        assert!(listed(build).is_empty() && listed(beside).is_empty());
    }

    #[test]
    fn each_step_runs_once_in_either_lane_and_either_fails_the_run() {
        let row = |step: Step| Row {
            name: step.name(),
            took: Duration::ZERO,
            cpu: None,
            done: Done::Passed(String::new()),
        };
        let steps = [Step::Build, Step::Tidy, Step::Check, Step::Rules, Step::Doc];
        let rows = queues(&steps).1.in_lanes(|step| Ok(row(step))).expect("all pass");
        let mut names: Vec<_> = rows.into_iter().map(|row| row.name).collect();
        names.sort();
        assert_eq!(names, ["check", "doc", "rules", "tidy"]);
        for bad in [vec![Step::Doc], vec![Step::Rules], vec![Step::Tidy, Step::Check]] {
            let ran = Mutex::new(0);
            let fails = |step| {
                *ran.lock().expect("no lane panicked") += 1;
                if bad.contains(&step) { Err(anyhow::anyhow!("{step:?}")) } else { Ok(row(step)) }
            };
            let error = queues(&steps).1.in_lanes(fails).err().expect("it fails").to_string();
            let named: BTreeSet<_> = error.lines().map(str::to_owned).collect();
            assert_eq!(named, bad.iter().map(|step| format!("{step:?}")).collect());
            assert_eq!(ran.into_inner().expect("no lane panicked"), 4, "the others run all the same");
        }
    }

    #[test]
    fn a_lane_that_is_free_goes_on_with_what_may_run_beside_anything() {
        let both_run = Barrier::new(2);
        let work = |step: Step| {
            both_run.wait();
            Ok(Row { name: step.name(), took: Duration::ZERO, cpu: None, done: Done::Passed(String::new()) })
        };
        let rows = queues(&[Step::Build, Step::Check, Step::Rules]).1.in_lanes(work).expect("both pass");
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn a_quick_run_has_no_step_that_runs_by_name_alone_and_does_not_boot() {
        assert!(!QUICK.contains(&Step::Boot) && !QUICK.iter().any(|step| BY_NAME.contains(step)));
    }
}
