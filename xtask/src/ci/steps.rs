use anyhow::{Context, Result};
use clap::ValueEnum;
use std::path::Path;
use std::time::Instant;

use super::{bare_metal, book, boot, build, gates, miri, moved, msrv, own_case, sparc64};
use crate::measure::{self, Differing, Functions, Look};
use crate::tidy;

/// One step; the order is that of a full run, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// The layout of the code
    Fmt,
    /// What compilers do not look at
    Tidy,
    /// Lints
    Clippy,
    /// Documentation
    Doc,
    /// The oldest Rust that is promised
    Msrv,
    /// What published packages' manifests say, and the licences of dependencies
    Release,
    /// Published packages, packed from a clean clone and built from that
    Package,
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
    /// Each ordering of the engine weakened: a checker must notice
    Mutate,
    /// Small mistakes in the engine, each by the catcher that is recorded for it
    Mutants,
    /// Instructions of the engine's operations
    Counts,
    /// The kernel in QEMU, on all architectures
    Boot,
    /// The MMU of sun4u and the allocator of contexts in QEMU; needs nightly, and runs where it is named alone
    Sparc64,
}

/// How a step ended, if it did not fail.
#[derive(Debug)]
pub enum Done {
    /// It passed: with which totals.
    Passed(String),
    /// It could not run here: why.
    Skipped(String),
}

/// Runs `steps`, or all that stable Rust suffices for where none is named, and stops at the first that fails.
///
/// # Errors
/// A step failed.
pub fn run(root: &Path, steps: &[Step]) -> Result<()> {
    let by_name = [Step::Sparc64];
    let usual: Vec<Step> =
        Step::value_variants().iter().copied().filter(|step| !by_name.contains(step)).collect();
    let begin = Instant::now();
    let mut closing = Vec::new();
    let steps = if steps.is_empty() { &usual } else { steps };
    for step in steps {
        println!("\n== {}", step.name());
        let begin = Instant::now();
        let done = step
            .run(root)
            .with_context(|| format!("step {0} failed; `cargo xtask ci {0}` repeats it", step.name()))?;
        let (word, what) = match done {
            Done::Passed(what) => ("passed ", what),
            Done::Skipped(why) => ("SKIPPED", why),
        };
        closing.push(format!(
            "  {:13}  {word}  {:>6.1} s  {what}",
            step.name(),
            begin.elapsed().as_secs_f64()
        ));
    }
    println!(
        "\nci: nothing failed in {} steps, {:.0} s\n{}",
        steps.len(),
        begin.elapsed().as_secs_f64(),
        closing.join("\n")
    );
    Ok(())
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn run(self, root: &Path) -> Result<Done> {
        match self {
            Self::Fmt => build::fmt(root),
            Self::Tidy => tidy::run(root).map(|files| Done::Passed(format!("{files} files"))),
            Self::Clippy => build::clippy(root),
            Self::Doc => build::doc(root),
            Self::Tests => build::tests(root),
            Self::Msrv => msrv::msrv(root),
            Self::Release => build::release(root),
            Self::Package => build::package(root),
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
            Self::MutateBugs => gates::mutate_bugs(root),
            Self::OwnCase => own_case::own_case(root),
            Self::Book => book::book(root),
            Self::Rules => gates::rules(root),
            Self::Mutate => gates::mutate(root),
            Self::Mutants => gates::mutants(root),
            Self::Counts => gates::counts(root),
            Self::Boot => boot::boot(root),
            Self::Sparc64 => sparc64::sparc64(root),
        }
    }
}
