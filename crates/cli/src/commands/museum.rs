use shootdown_cases::bugs::{Bug, Stage};
use shootdown_explore::{Report, Trace, Verdict};
use shootdown_machine::{Case, Kind, Variant};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::guide::Guide;
use crate::args::ExplainArgs;
use crate::catalogue;
use crate::draw::svg;
use crate::failure::{AS_EXPECTED, Failure, INTERRUPTED, NOT_AS_EXPECTED, tell};
use crate::files::{self, apart, probe, unwritable};
use crate::interrupt::Interrupt;
use crate::museum::{self, Entry, Exhibit};
use crate::replace::replace;
use crate::replay_file;
use crate::select::BROKEN;

/// Finds out whether what `args` wants to be written can be.
///
/// # Errors
/// It cannot, or two files are one.
pub fn can_write(args: &ExplainArgs) -> Result<(), Failure> {
    if let (Some(one), Some(other)) = (&args.svg, &args.html) {
        apart(("--svg", one), ("--html", other))?;
    }
    [&args.svg, &args.html].into_iter().flatten().try_for_each(|path| probe(path))
}

/// Runs `shootdown explain --all --html DIR`: a page for each bug, and the entrance.
///
/// # Errors
/// A folder that cannot be written.
pub fn all(args: &ExplainArgs, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let Some(folder) = &args.html else {
        return Err(Failure::bad_input("--all without --html", "say where: --all --html DIR"));
    };
    args.limits.afford_workers()?;
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    probe(&folder.join("index.html"))?;
    let written = bugs.iter().map(museum::file_name).chain(["index.html".to_owned()]);
    written.map(|name| folder.join(name)).try_for_each(|path| must_be_ours(&path))?;
    let interrupt = Interrupt::on_ctrl_c();
    let cases = catalogue::cases(bugs, None);
    let guide = Guide { limits: &args.limits, all_findings: false, interrupt: &interrupt };
    let pages = Pages { bugs, cases: &cases, guide: &guide };
    let mut out = anstream::stdout();
    let (mut entries, mut missing) = (Vec::new(), 0);
    for bug in bugs {
        let Some(case) = pages.protocol(bug.name, BROKEN) else { continue };
        let report = guide.run(case);
        if interrupt.came() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        let Some(trace) = &report.trace else {
            tell(format_args!("{}: no counterexample, so no page", case.name));
            missing += 1;
            continue;
        };
        let text = pages.page((case, &report, trace), None, true)?;
        let path = folder.join(museum::file_name(bug));
        replace(&path, text.as_bytes())?;
        writeln!(out, "{}", path.display())?;
        entries.push(Entry { bug, steps: trace.steps.len(), states: report.states });
    }
    let path = folder.join("index.html");
    replace(&path, museum::index(&entries).as_bytes())?;
    writeln!(out, "{}: {} bugs", path.display(), entries.len())?;
    Ok(ExitCode::from(if missing == 0 { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// Refuses to write over a file that is none of these pages.
fn must_be_ours(path: &Path) -> Result<(), Failure> {
    let ours = format!("<meta name=\"generator\" content=\"{}\">", museum::GENERATOR);
    let is_ours = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).contains(&ours);
    match path.exists() && !files::bytes(path).is_ok_and(is_ours) {
        true => Err(Failure::bad_input(
            format!("{} is there, and is no page of this command: it is left as it is", path.display()),
            "give another folder to --html, or move the file away",
        )),
        false => Ok(()),
    }
}

/// Writes the picture and the page of one case that `args` wants; returns whether all of that was there to draw.
///
/// # Errors
/// There is nothing to step through, or a file cannot be written.
pub fn write(
    args: &ExplainArgs,
    guide: &Guide<'_>,
    (bugs, cases): (&[Bug], &[Case]),
    (case, report): (&Case, &Report),
) -> Result<bool, Failure> {
    let trace = report.trace.as_ref();
    let drawn = args.svg.as_deref().map_or(Ok(true), |path| picture(path, case, trace))?;
    if let (Some(path), false) = (&args.html, guide.interrupt.came()) {
        let Some(trace) = trace else { return Err(nothing_to_show(case, report)) };
        let removed = args.removal.removed().map(|removed| removed.name.as_str());
        let text = Pages { bugs, cases, guide }.page((case, report, trace), removed, false)?;
        replace(path, text.as_bytes())?;
    }
    Ok(drawn)
}

/// What pages need besides the case itself.
struct Pages<'a> {
    bugs: &'a [Bug],
    cases: &'a [Case],
    guide: &'a Guide<'a>,
}

impl Pages<'_> {
    fn protocol(&self, bug: &str, name: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.name.split_once('/') == Some((bug, name)))
    }

    /// Bugs in what mended `bug`, or in what was left of it.
    fn later(&self, bug: &Bug) -> Vec<&Bug> {
        /// Shorter words name no change.
        const NAME: usize = 7;
        let change = bug.source.split([' ', ',']).next().filter(|name| name.len() >= NAME);
        let builds_on = |other: &&Bug| {
            other.chain.iter().any(|stage| change.is_some_and(|change| stage.change.contains(change)))
        };
        self.bugs.iter().filter(builds_on).collect()
    }

    fn page(
        &self,
        (case, report, trace): (&Case, &Report, &Trace),
        removed: Option<&str>,
        indexed: bool,
    ) -> Result<String, Failure> {
        let family = case.name.split_once('/').map_or(case.name.as_str(), |(family, _)| family);
        let bug = self.bugs.iter().find(|bug| bug.name == family);
        let mended = bug.and_then(|bug| self.protocol(bug.name, Stage::FIXED.name));
        let fixed = mended.map(|case| self.guide.run(case));
        let engine = bug.and_then(|bug| self.cases.iter().find(|case| case.name == bug.engine));
        let memory = self.guide.limits.memory_for(case.memory);
        let exhibit = Exhibit {
            case,
            memory,
            report,
            trace,
            bug,
            fixed: fixed.as_ref(),
            engine: engine.map(|case| case.about.as_str()),
            later: bug.map(|bug| self.later(bug)).unwrap_or_default(),
            removed,
            indexed,
        };
        museum::page(&exhibit).map_err(|error| Failure::Output(io::Error::other(error)))
    }
}

/// Writes the picture, if there is something to draw; returns whether there was.
fn picture(path: &Path, case: &Case, trace: Option<&Trace>) -> Result<bool, Failure> {
    let Some(trace) = trace else {
        tell(format_args!("nothing to draw: {} is left as it was", path.display()));
        return Ok(false);
    };
    let about = replay_file::one_line(&case.about);
    replace(path, svg::draw(trace, case.cpus, &case.name, &about).as_bytes())?;
    Ok(true)
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
