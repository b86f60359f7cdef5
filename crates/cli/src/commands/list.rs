use shootdown_machine::Case;
use std::io::Write;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::output::machine;
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
        writeln!(out, "{:widest$}  {:12}  {}{deep}", case.name, machine(case.cpus, case.memory), case.about)?;
    }
    Ok(ExitCode::SUCCESS)
}
