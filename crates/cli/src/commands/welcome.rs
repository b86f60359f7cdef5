use anstyle::Style;
use shootdown_cases::bugs::Bug;
use shootdown_explore::Trace;
use std::io::Write;
use std::process::ExitCode;

use crate::args::CheckArgs;
use crate::catalogue;
use crate::commands::check::{Outcome, run_and_print};
use crate::draw::columns::{self, Look};
use crate::failure::Failure;
use crate::names;
use crate::output::width;
use crate::select::find;

/// The bug that the project began with.
const SEED: &str = "linux-bafb056c-sparc64-trim";

/// Checks everything, then says what that means and shows the seed.
///
/// # Errors
/// Output that cannot be written.
pub fn welcome(bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let cases = catalogue::cases(bugs, None);
    let args = CheckArgs::default();
    let seed_name = find(&cases, SEED).map(|case| case.name.clone()).unwrap_or_default();
    let mut seed: Option<(usize, Trace)> = None;
    let outcome = run_and_print(&cases, bugs, &args, &mut |case, report| {
        if let (true, Some(trace)) = (case.name == seed_name, &report.trace) {
            seed = Some((case.cpus, trace.clone()));
        }
    })?;
    let mut out = anstream::stdout();
    if outcome.interrupted {
        return Ok(outcome.exit_code());
    }
    writeln!(out, "\n{}", meaning(&outcome))?;
    if let Some((cpus, trace)) = seed {
        let bold = Style::new().bold();
        writeln!(out, "{bold}The bug this began with: {SEED}{bold:#}\n")?;
        let look = Look { width: width(), state: false, places: false };
        writeln!(out, "{}", columns::draw(&trace, cpus, look))?;
        writeln!(out, "{NEXT}")?;
    }
    Ok(outcome.exit_code())
}

const NEXT: &str = "\
Next:
  shootdown explain linux-bafb056c-sparc64-trim    its story, and what each step does
  shootdown check --drop-rule SD-9                 remove a rule from the engine: which check notices?
  shootdown check --list                           all cases
  shootdown --help";

/// Says what the table above means.
fn meaning(outcome: &Outcome) -> String {
    let expected = || outcome.records.iter().filter(|record| record.as_expected);
    let count =
        |variant: &str| expected().filter(|record| record.variant == variant && !record.suspect()).count();
    let suspects = expected().filter(|record| record.suspect() && record.caught()).count();
    let suspects = match suspects {
        0 => String::new(),
        n => format!("  suspects, each a {}: {n}\n", names::SUSPECT),
    };
    format!(
        "\
A kernel unmaps a page and gives its memory away. Another CPU may still hold the old translation in its TLB,
and a program there may read what now belongs to someone else. Each line above is one small machine (the pairs:
one machine for any two operations) on which all executions of a protocol against that were visited: every
interleaving, interrupt and store-buffer delay.

  the engine `shootdown`, as kernels link it: {:3} cases hold
  published kernel bugs:                      {:3} found again
  the same protocols as they were mended:     {:3} hold
{suspects}",
        count("shipped"),
        count("broken"),
        count("fixed")
    )
}

#[cfg(test)]
mod tests {
    use super::meaning;
    use crate::commands::check::Outcome;
    use crate::record::Record;
    use crate::testing::{bug_case, engine_case, report, violation};
    use shootdown_explore::{Memory, Verdict};

    #[test]
    fn only_what_came_out_as_expected_is_counted() {
        let (engine, broken) = (engine_case("a", 2), bug_case("b"));
        let records = vec![
            Record::new(&engine, Memory::Tso, None, &report(Verdict::Holds)),
            Record::new(&engine, Memory::Tso, None, &violation("x")),
            Record::new(&broken, Memory::Tso, None, &violation("x")),
        ];
        let said = meaning(&Outcome { records, ..Outcome::default() });
        assert!(
            said.contains("  1 cases hold") && said.contains("  1 found again") && said.contains("  0 hold")
        );
    }
}
