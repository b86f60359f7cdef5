use anstyle::Style;
use shootdown_cases::bugs::Bug;
use shootdown_explore::{Options, Trace};
use shootdown_machine::Case;
use std::io::Write;
use std::process::ExitCode;

use crate::args::CheckArgs;
use crate::catalogue;
use crate::commands::check::run_and_print;
use crate::draw::columns::{self, Look};
use crate::failure::Failure;
use crate::output::{width, wrapping};
use crate::select::find;
use crate::typed::typed;

/// The bug that the project began with.
const SEED: &str = "linux-bafb056c-sparc64-trim";

/// Finds, draws and explains the seed's bug, where the collection has it, then checks everything.
///
/// # Errors
/// Output that cannot be written.
pub fn welcome(bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let cases = catalogue::cases(bugs, None);
    let mut out = anstream::stdout();
    // Another author's collection begins with other bugs.
    if let Some((case, trace)) = seed(&cases) {
        let bold = Style::new().bold();
        write!(out, "{bold}The bug this began with: {SEED}{bold:#}\n{}\n\n", prose(STORY))?;
        writeln!(out, "{}\n", prose(columns::NOTATION))?;
        let look = Look { state: false, end: false, ..Look::in_width(width()) };
        writeln!(out, "{}\n{}\n", columns::draw(&trace, case.cpus, look), prose(ENDING))?;
        out.flush()?;
    }
    let outcome = run_and_print(&cases, bugs, &CheckArgs::default())?;
    if !outcome.interrupted {
        writeln!(out, "{}\n{}", prose(MEANING), next(&typed()))?;
    }
    Ok(outcome.exit_code())
}

const STORY: &str = "\
A kernel unmaps a page and gives its frame away. Another CPU may still hold the old translation in its TLB. In 2020 a \
count in sparc64's Linux said \"one user\", so CPU 0 told nobody; CPU 1 had just borrowed the address space.";

const ENDING: &str = "\
CPU 0 took CPU 1 out of the mask of those that must flush. So CPU 1 keeps the translation, and its next store goes to \
memory that has a new owner. Linux gave the short cut up; this engine has it without the race.";

const MEANING: &str = "\
Each case is a small machine of which every execution was visited.";

/// Commands that go on from here, as `program` is called.
fn next(program: &str) -> String {
    let commands = [
        (format!("explain {SEED}"), "its story"),
        ("check --drop-rule SD-9".to_owned(), "which case fails?"),
        ("check --list".to_owned(), "all cases"),
    ];
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let lines = commands.map(|(command, what)| format!("  {program} {command:width$}  # {what}"));
    format!("Next:\n{}", lines.join("\n"))
}

/// Runs the seed's case, which takes some dozen states.
fn seed(cases: &[Case]) -> Option<(&Case, Trace)> {
    let case = find(cases, SEED).ok()?;
    let report = (case.run)(&Options { memory: case.memory, ..Options::default() });
    Some((case, report.trace?))
}

fn prose(text: &str) -> String {
    textwrap::fill(text, wrapping(width().min(88)))
}

#[cfg(test)]
mod tests {
    use super::{SEED, next, seed};
    use crate::catalogue;
    use crate::draw::columns::{self, Look};
    use anstream::adapter::strip_str;

    #[test]
    fn the_seed_is_found_at_once_among_the_projects_bugs_and_not_missed_among_others() {
        let bugs: Vec<_> = shootdown_cases::bugs::all().copied().collect();
        let cases = catalogue::cases(&bugs, None);
        let (case, trace) = seed(&cases).expect("its counterexample");
        assert!(case.name.starts_with(SEED) && !trace.outcome.is_empty());
        assert!(seed(&catalogue::cases(&[], None)).is_none());
    }

    #[test]
    fn the_readme_shows_the_drawing_as_it_is_and_counts_the_bugs() {
        let bugs: Vec<_> = shootdown_cases::bugs::all().copied().collect();
        assert!(bugs.len() > 100, "README.md says more than a hundred published bugs");
        let cases = catalogue::cases(&bugs, None);
        let (case, trace) = seed(&cases).expect("its counterexample");
        let look = Look { end: false, ..Look::in_width(80) };
        let drawing = strip_str(&columns::draw(&trace, case.cpus, look)).to_string();
        assert!(
            include_str!("../../../../README.md").contains(&drawing),
            "README.md does not show:\n{drawing}"
        );
    }

    #[test]
    fn what_is_next_is_called_as_this_was() {
        let next = next("./shootdown");
        assert!(next.contains("\n  ./shootdown check --list"), "{next}");
    }
}
