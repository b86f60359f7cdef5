use shootdown_cases::bugs::{Bug, Class};
use shootdown_machine::{Case, Kind};
use std::io::Write;
use std::process::ExitCode;
use unicode_width::UnicodeWidthStr as _;

use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED, tell};
use crate::names;
use crate::output::{machine, terminal_width};
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
        table(&mut out, cases)?;
        write!(out, "{}", counts(promises.bugs()))?;
    }
    for problem in &promises.malformed {
        tell(format_args!("malformed: {problem}"));
    }
    Ok(ExitCode::from(if promises.malformed.is_empty() { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

fn table(out: &mut impl Write, cases: &[&Case]) -> Result<(), Failure> {
    let widest = cases.iter().map(|case| case.name.len()).max().unwrap_or(0);
    for case in cases {
        let (machine, groups) = (machine(case.cpus, case.memory), groups(case));
        let row = format!("{:widest$}  {machine:12}  {groups:11}  ", case.name);
        let about = about(case);
        // Without a terminal, one line a case: that is what other programs read.
        match terminal_width() {
            None => writeln!(out, "{row}{about}")?,
            Some(width) => {
                let hanging = " ".repeat(row.width().min(width / 2));
                let options = textwrap::Options::new(width).initial_indent(&row).subsequent_indent(&hanging);
                writeln!(out, "{}", textwrap::fill(&about, options))?;
            }
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
    use super::{about, counts, groups};
    use crate::testing::{bug_case, engine_case};
    use shootdown_cases::bugs::{Bug, Class};
    use shootdown_machine::{Case, Kind};

    #[test]
    fn a_case_without_groups_is_named_by_its_kind() {
        assert_eq!(groups(&engine_case("a", 2)), "pairs");
        assert_eq!(groups(&bug_case("linux-x")), "bugs");
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
