use shootdown_cases::bugs::{Bug, Class};
use shootdown_machine::{Case, Kind};
use std::io::Write;
use std::process::ExitCode;

use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED, tell};
use crate::names;
use crate::output::{machine, width, wrapping};
use crate::promises::Promises;
use crate::record::Entry;
use crate::select::family;

/// Prints the names of `cases` with what they show, as a table that counts bugs at its end, or as JSON lines. Malformed
/// headers go to standard error, and make the exit code 1.
pub fn list(cases: &[&Case], promises: &Promises<'_>, json: bool) -> Result<ExitCode, Failure> {
    let mut out = anstream::stdout().lock();
    if json {
        for case in cases {
            let bug = promises.bugs().iter().find(|bug| family(case) == Some(bug.name));
            let entry = Entry::new(case, bug.copied());
            let line = serde_json::to_string(&entry).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        }
    } else {
        table(&mut out, cases, width())?;
        write!(out, "{}", counts(promises.bugs()))?;
    }
    for problem in &promises.malformed {
        tell(format_args!("malformed: {problem}"));
    }
    Ok(ExitCode::from(if promises.malformed.is_empty() { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// Columns of the machine, and of what a case shows where that stands beside it.
const MACHINE: usize = 12;
const ABOUT: usize = 36;

/// Prints a row for each case, in lines of `width` characters; what it shows stands beside that, or below where there
/// is no room.
fn table(out: &mut impl Write, cases: &[&Case], width: usize) -> Result<(), Failure> {
    let widest = |length: fn(&Case) -> usize| cases.iter().map(|case| length(case)).max().unwrap_or(0);
    let group = widest(|case| groups(case).len());
    let name = widest(|case| case.name.len()).min(width.saturating_sub(MACHINE + group + 4));
    let beside = name + MACHINE + group + 6;
    for case in cases {
        let (machine, groups) = (machine(case.cpus, case.memory), groups(case));
        // A name that is too long has a line for itself.
        let gap = if case.name.len() > name { format!("\n{:name$}", "") } else { String::new() };
        let row = format!("{:name$}{gap}  {machine:MACHINE$}  {groups:group$}  ", case.name);
        if beside + ABOUT <= width {
            let hanging = " ".repeat(beside);
            let options = wrapping(width).initial_indent(&hanging).subsequent_indent(&hanging);
            writeln!(out, "{row}{}", textwrap::fill(&about(case), options).trim_start())?;
        } else {
            let options = wrapping(width).initial_indent("    ").subsequent_indent("    ");
            writeln!(out, "{}\n{}", row.trim_end(), textwrap::fill(&about(case), options))?;
        }
    }
    Ok(())
}

/// What a case shows, and whether it is confirmed and quick.
fn about(case: &Case) -> String {
    match case.kind {
        Kind::Suspect => format!("({}) {}", names::SUSPECT, case.about),
        _ if case.deep => format!("{} (deep)", case.about),
        _ => case.about.clone(),
    }
}

/// The groups that name `case`, the bug collection among them.
fn groups(case: &Case) -> String {
    match (case.kind, case.groups) {
        (Kind::Suspect, _) | (_, []) => names::group(case.kind).to_owned(),
        (_, groups) => groups.join(", "),
    }
}

/// Counts `bugs` by class, a line each; nothing where there are none.
fn counts(bugs: &[&Bug]) -> String {
    if bugs.is_empty() {
        return String::new();
    }
    let of = |class: Class| bugs.iter().filter(|bug| bug.class() == class).count();
    let classes = Class::ALL.into_iter().map(|class| (of(class), class)).filter(|(count, _)| *count > 0);
    let lines = classes.map(|(count, class)| format!("{count:5}  {}  {}\n", class.letter(), class.title()));
    format!("\nbugs by class:\n{}{:5}  in all\n", lines.collect::<String>(), bugs.len())
}

#[cfg(test)]
mod tests {
    use super::{about, counts, groups, table};
    use crate::testing::{bug_case, engine_case};
    use shootdown_cases::bugs::{Bug, Class};
    use shootdown_machine::{Case, Kind};

    #[test]
    fn a_case_without_groups_is_named_by_its_kind() {
        assert_eq!(groups(&engine_case("a", 2)), "pairs");
        assert_eq!(groups(&bug_case("linux-x")), "bugs");
    }

    #[test]
    fn what_a_case_shows_stands_beside_its_name_or_below_and_no_line_is_too_long() {
        let about =
            "a CPU that does not run the space unmaps from it, so that it flushes nothing itself".repeat(2);
        let long =
            Case { about: about.clone(), groups: &["weak", "three-weak"], ..engine_case(&"n".repeat(70), 3) };
        let short = Case { about, ..engine_case("short", 2) };
        let printed = |cases: &[&Case], width| {
            let mut out = Vec::new();
            table(&mut out, cases, width).expect("a table");
            let text = String::from_utf8(out).expect("text");
            assert!(text.lines().all(|line| line.len() <= width && line.trim_end() == line), "{text}");
            text
        };
        let beside = printed(&[&short], 80);
        assert!(beside.starts_with("short  2 cpus, tso   pairs  a CPU that does not"), "{beside}");
        let below = printed(&[&short, &long], 80);
        let lines: Vec<&str> = below.lines().collect();
        assert!(lines[1].starts_with("    a CPU that"), "{below}");
        assert!(lines.contains(&"n".repeat(70).as_str()), "{below}");
    }

    #[test]
    fn a_suspect_is_shown_as_one() {
        let suspect = Case { kind: Kind::Suspect, groups: &["bugs"], ..bug_case("linux-x") };
        assert_eq!(groups(&suspect), "suspect");
        assert!(about(&suspect).starts_with("(model of the code as read, unconfirmed) "));
    }

    #[test]
    fn bugs_are_counted_by_class() {
        let mask =
            *shootdown_cases::bugs::all().find(|bug| bug.class() == Class::Mask).expect("a bug of class A");
        let suspect = Bug { id: "H99", ..mask };
        let counted = counts(&[&mask, &suspect, &mask]);
        assert_eq!(
            counted,
            "\nbugs by class:\n    2  A  masks, borrowing, lazy TLB\n    1  H  suspects\n    3  in all\n"
        );
        assert_eq!(counts(&[]), "");
    }
}
