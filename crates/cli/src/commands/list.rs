use shootdown_machine::Case;
use std::io::Write;
use std::process::ExitCode;
use unicode_width::UnicodeWidthStr as _;

use crate::failure::Failure;
use crate::names;
use crate::output::{machine, terminal_width};
use crate::record::Entry;

/// Prints the names of `cases` with what they show, as a table or as JSON lines.
pub fn list(cases: &[&Case], json: bool) -> Result<ExitCode, Failure> {
    let mut out = anstream::stdout().lock();
    if json {
        for case in cases {
            let line = serde_json::to_string(&Entry::new(case)).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let widest = cases.iter().map(|case| case.name.len()).max().unwrap_or(0);
    for case in cases {
        let deep = if case.deep { " (deep)" } else { "" };
        let (machine, groups) = (machine(case.cpus, case.memory), groups(case));
        let row = format!("{:widest$}  {machine:12}  {groups:11}  ", case.name);
        let about = format!("{}{deep}", case.about);
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
    Ok(ExitCode::SUCCESS)
}

/// The groups that name `case`, the corpus among them.
fn groups(case: &Case) -> String {
    match case.groups {
        [] => names::kind(case.kind).to_owned(),
        groups => groups.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::groups;
    use crate::testing::{corpus_case, engine_case};

    #[test]
    fn a_case_without_groups_is_named_by_its_kind() {
        assert_eq!(groups(&engine_case("a", 2)), "pairs");
        assert_eq!(groups(&corpus_case("linux-x")), "corpus");
    }
}
