use anstyle::{AnsiColor, Style};
use shootdown_doctor::{Build, DoctorError, Outcome, Verdict};
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::DoctorArgs;
use crate::draw::columns::{self, Look};
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED, tell};
use crate::output::{width, wrapping};
use crate::truth;

/// The file that holds the contract, as readers find it.
const CONTRACT: &str = "crates/shootdown/src/platform.rs";

/// Runs `shootdown doctor`.
///
/// # Errors
/// Nothing that can be examined, or output that cannot be written.
pub fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    if !args.json {
        tell(format_args!("building {} against the explorer's engine ...", args.path.display()));
    }
    let mut failed = None;
    let usual = Build::default();
    let workshop = Build { checkout: truth::checkout().unwrap_or(usual.checkout), ..usual };
    let report = workshop.examine(&args.path, |outcome| {
        if failed.is_none() {
            failed = show(args, outcome).err();
        }
    });
    let report = report.map_err(refused)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !args.json {
        let wrong = report.wrong().count();
        let count = |verdict| report.checks.iter().filter(|check| check.verdict == verdict).count();
        let rest: String = [
            (count(Verdict::Skipped), "did not run: they rest on what is wrong"),
            (count(Verdict::Undecided), "undecided"),
            (count(Verdict::Unneeded), "not needed"),
        ]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!(", {number} {what}"))
        .collect();
        writeln!(
            anstream::stdout(),
            "\n{}: {} checks pass, {wrong} {}{rest}",
            args.path.display(),
            count(Verdict::Pass),
            if wrong == 1 { "does not" } else { "do not" }
        )?;
    }
    Ok(ExitCode::from(if report.is_sound() { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

fn refused(refused: DoctorError) -> Failure {
    Failure::bad_input(refused.to_string(), refused.remedy())
}

fn show(args: &DoctorArgs, outcome: &Outcome) -> io::Result<()> {
    if args.json {
        let line = serde_json::to_string(outcome)?;
        return writeln!(io::stdout(), "{line}");
    }
    let mut out = anstream::stdout();
    write!(out, "{}", described(outcome, args.state, width()))
}

/// One line, and where something is wrong the whole of it.
fn described(outcome: &Outcome, state: bool, width: usize) -> String {
    let (word, style) = match outcome.verdict {
        Verdict::Pass => ("pass", AnsiColor::Green.on_default()),
        Verdict::Wrong => ("WRONG", AnsiColor::Red.on_default().bold()),
        Verdict::Skipped => ("-", Style::new().dimmed()),
        Verdict::Unneeded => ("not needed", Style::new().dimmed()),
        Verdict::Undecided => ("UNDECIDED", AnsiColor::Yellow.on_default().bold()),
    };
    let memories = if outcome.memories.len() > 1 {
        format!(" ({})", outcome.memories.join(", "))
    } else {
        String::new()
    };
    let tail = match outcome.verdict {
        Verdict::Skipped | Verdict::Unneeded | Verdict::Undecided => outcome.what.clone().unwrap_or_default(),
        _ => format!("{}{memories}", outcome.about),
    };
    let hanging = " ".repeat(30);
    let options = wrapping(width.min(100)).initial_indent(&hanging).subsequent_indent(&hanging);
    let tail = textwrap::fill(&tail, options);
    let mut text = format!("{:17} {style}{word:11}{style:#} {}\n", outcome.check, tail.trim_start());
    let (Some(finding), Some(what)) = (&outcome.finding, &outcome.what) else { return text };
    let prose = |label: &str, body: &str| {
        let options = wrapping(width.min(100)).initial_indent(label).subsequent_indent("    ");
        textwrap::fill(body, options) + "\n"
    };
    if let Some(trace) = outcome.trace().filter(|trace| !trace.steps.is_empty()) {
        text += "\n";
        text += &columns::draw(&trace, outcome.cpus, Look { state, ..Look::in_width(width) });
        text += "\n";
    } else {
        text += &prose("  ✗ ", what);
    }
    let bold = Style::new().bold();
    text += &prose(
        &format!("  {bold}contract{bold:#} "),
        &format!("of {}, {CONTRACT}:{}: “{}”", finding.method, finding.line, finding.plain_clause()),
    );
    text += &prose(&format!("  {bold}remedy{bold:#} "), &finding.remedy);
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::{described, refused};
    use anstream::adapter::strip_str;
    use shootdown_doctor::{DoctorError, Drawn, Finding, Outcome, Verdict};

    fn outcome(verdict: Verdict) -> Outcome {
        let drawn = Drawn {
            cpu: 0,
            text: "flush page 0 (leaf only)".to_owned(),
            note: "flush_local".to_owned(),
            place: None,
            depth: 0,
            state: vec!["CPU0 root=A".to_owned()],
            kind: "run".to_owned(),
        };
        let finding = Finding {
            method: "flush_local".to_owned(),
            clause: "whatever the walker caches of that tag too".to_owned(),
            line: 208,
            remedy: "drop all levels".to_owned(),
            steps: vec![drawn],
        };
        let wrong = verdict == Verdict::Wrong;
        Outcome {
            check: "flush-tables".to_owned(),
            about: "pages are dropped whose table page was freed".to_owned(),
            verdict,
            memories: vec!["tso".to_owned()],
            what: wrong.then(|| "CPU 0 can still walk table 1".to_owned()),
            finding: wrong.then_some(finding),
            cpus: 1,
            states: 7,
        }
    }

    #[test]
    fn a_finding_is_drawn_with_the_line_of_the_contract_and_the_remedy() {
        insta::assert_snapshot!(strip_str(&described(&outcome(Verdict::Wrong), false, 80)).to_string());
    }

    #[test]
    fn what_passes_takes_one_line() {
        let text = strip_str(&described(&outcome(Verdict::Pass), false, 80)).to_string();
        assert_eq!(text, "flush-tables      pass        pages are dropped whose table page was freed\n");
    }

    #[test]
    fn what_is_too_long_for_the_line_goes_on_below() {
        let about = "an outsider upgrades and borrows while the one user unmaps and exits".to_owned();
        let outcome = Outcome { about, ..outcome(Verdict::Pass) };
        let text = strip_str(&described(&outcome, false, 80)).to_string();
        let second = format!("\n{:30}user unmaps and exits\n", "");
        assert!(text.ends_with(&second) && text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn what_cannot_be_examined_is_bad_input_with_a_remedy() {
        let failure = refused(DoctorError::NoPlatform("x.rs".into())).to_string();
        assert!(
            failure.contains("x.rs names no platform") && failure.contains("pub type PlatformUnderTest<H>"),
            "{failure}"
        );
    }
}
