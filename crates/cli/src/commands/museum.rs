use shootdown_cases::bugs::Bug;
use shootdown_explore::{Options, Report, Trace, Verdict};
use shootdown_machine::{Case, Kind, Variant};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::args::{ExplainArgs, Limits};
use crate::catalogue;
use crate::failure::{AS_EXPECTED, Failure, INTERRUPTED, NOT_AS_EXPECTED};
use crate::interrupt::Interrupt;
use crate::museum::{self, Entry, Exhibit};
use crate::progress::Line;

/// Runs `shootdown explain --all --html DIR`: a page for each bug, and the entrance.
///
/// # Errors
/// A folder that cannot be written.
pub fn all(args: &ExplainArgs, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let Some(folder) = &args.html else {
        return Err(Failure::bad_input("--all without --html", "say where: --all --html DIR"));
    };
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    probe(&folder.join("index.html"))?;
    let interrupt = Interrupt::on_ctrl_c();
    let cases = catalogue::cases(bugs, None);
    let guide = Guide { bugs, cases: &cases, limits: &args.limits, interrupt: &interrupt };
    let mut out = anstream::stdout();
    let (mut entries, mut missing) = (Vec::new(), 0);
    for bug in bugs {
        let Some(case) = guide.variant(bug.name, Variant::Broken) else { continue };
        let report = guide.run(case);
        if interrupt.came() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        let Some(trace) = &report.trace else {
            anstream::eprintln!("{}: no counterexample, so no page", case.name);
            missing += 1;
            continue;
        };
        let text = guide.page((case, &report, trace), None, true)?;
        let path = folder.join(museum::file_name(bug));
        fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
        writeln!(out, "{}", path.display())?;
        entries.push(Entry { bug, steps: trace.steps.len(), states: report.states });
    }
    let path = folder.join("index.html");
    fs::write(&path, museum::index(&entries)).map_err(|error| unwritable(&path, &error))?;
    writeln!(out, "{}: {} bugs", path.display(), entries.len())?;
    Ok(ExitCode::from(if missing == 0 { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// Writes the page of one case to `path`.
///
/// # Errors
/// There is nothing to step through, or `path` cannot be written.
pub fn one(
    path: &Path,
    guide: &Guide<'_>,
    (case, report): (&Case, &Report),
    removed: Option<&str>,
) -> Result<(), Failure> {
    let Some(trace) = &report.trace else {
        return Err(nothing_to_show(case, report));
    };
    let text = guide.page((case, report, trace), removed, false)?;
    fs::write(path, text).map_err(|error| unwritable(path, &error))
}

/// What pages need besides the case itself.
pub struct Guide<'a> {
    /// All bugs.
    pub bugs: &'a [Bug],
    /// All cases.
    pub cases: &'a [Case],
    /// Limits of each run.
    pub limits: &'a Limits,
    /// Ends a run early.
    pub interrupt: &'a Interrupt,
}

impl Guide<'_> {
    /// Runs `case` such that its counterexample can be stepped through.
    pub fn run(&self, case: &Case) -> Report {
        let line = Line::start(&case.name);
        let progress = |progress| line.show(progress);
        let options = self.limits.options(case.memory, self.interrupt, &progress);
        (case.run)(&Options { snapshots: true, ..options })
    }

    fn variant(&self, bug: &str, variant: Variant) -> Option<&Case> {
        self.cases.iter().find(|case| {
            case.variant == variant && case.name.split_once('/').is_some_and(|(family, _)| family == bug)
        })
    }

    fn page(
        &self,
        (case, report, trace): (&Case, &Report, &Trace),
        removed: Option<&str>,
        indexed: bool,
    ) -> Result<String, Failure> {
        let family = case.name.split_once('/').map_or(case.name.as_str(), |(family, _)| family);
        let bug = self.bugs.iter().find(|bug| bug.name == family);
        let mended = bug.and_then(|bug| self.variant(bug.name, Variant::Fixed));
        let fixed = mended.map(|case| self.run(case));
        let engine = bug.and_then(|bug| self.cases.iter().find(|case| case.name == bug.engine));
        let memory = self.limits.memory_for(case.memory);
        let exhibit = Exhibit {
            case,
            memory,
            report,
            trace,
            bug,
            fixed: fixed.as_ref(),
            engine: engine.map(|case| case.about.as_str()),
            removed,
            indexed,
        };
        museum::page(&exhibit).map_err(|error| Failure::Output(io::Error::other(error)))
    }
}

fn nothing_to_show(case: &Case, report: &Report) -> Failure {
    let what = match report.verdict {
        Verdict::Holds => format!("{} holds: there is no execution to step through, so no page", case.name),
        _ => format!("{} was stopped before a counterexample was found, so there is no page", case.name),
    };
    let remedy = match (case.kind, case.variant) {
        _ if !matches!(report.verdict, Verdict::Holds) => "give it more time or memory",
        (Kind::Engine, _) => {
            "remove a rule with --drop-rule SD-n and the engine's case may have one; bugs in the collection have one each"
        }
        (_, Variant::Fixed) => "give the bug's name alone: its page shows both variants",
        _ => "leave out --memory: the bug shows under the memory model that it is stated for",
    };
    Failure::bad_input(what, remedy)
}

/// Finds out whether `path` can be written, before a long run rather than after it, and leaves it as it was.
///
/// # Errors
/// It cannot.
pub fn probe(path: &Path) -> Result<(), Failure> {
    let existed = path.exists();
    let opened = fs::OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| unwritable(path, &error))?;
    if !existed {
        fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
}

/// Says that `path` cannot be written.
pub fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::bad_input(format!("cannot write {}: {error}", path.display()), "give a path that can be written")
}
