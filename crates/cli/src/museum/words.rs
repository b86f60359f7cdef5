//! Words that pages and index share.

use indicatif::HumanCount;
use maud::{Markup, html};
use shootdown_explore::{Broken, Memory, Report, Verdict};

/// `text` as a sentence, with what stands between backticks as code.
pub fn sentence(text: &str) -> Markup {
    let text = complete(text);
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}

/// Gives `text` a capital and a full stop.
fn complete(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}

/// How much a run visited. How long it took is said nowhere: a page is the same wherever it is made.
pub fn effort(report: &Report) -> String {
    format!("{} states", HumanCount(report.states))
}

/// A memory model in words.
pub fn model(memory: Memory) -> &'static str {
    match memory {
        Memory::Sc => "sequential consistency",
        Memory::Tso => "total store order",
        Memory::Pso => "partial store order",
        Memory::Weak => "weak memory",
    }
}

/// A machine in words.
pub fn machine(cpus: usize, memory: Memory) -> String {
    format!("{cpus} CPU{}, {}", if cpus == 1 { "" } else { "s" }, model(memory))
}

/// Of which kind what went wrong is.
pub fn kind(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Violates(Broken { rule: Some(rule), .. }) => format!("SD-{rule} is broken"),
        Verdict::Violates(_) => "a rule of the model is broken".to_owned(),
        Verdict::Panics(_) => "the model panics".to_owned(),
        Verdict::Misuses(_) => "the model misuses the machine".to_owned(),
        Verdict::Deadlock(_) => "CPUs are stuck".to_owned(),
        Verdict::Livelock(_) => "CPUs go on for ever".to_owned(),
        Verdict::Holds | Verdict::Stopped(_) | Verdict::Unproved(_) => outcome_of(verdict).to_owned(),
    }
}

/// What came out of a run that should hold.
pub fn outcome(report: &Report) -> &'static str {
    outcome_of(&report.verdict)
}

fn outcome_of(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "no execution fails",
        Verdict::Stopped(_) | Verdict::Unproved(_) => "not all executions visited",
        _ => "fails as well",
    }
}

#[cfg(test)]
mod tests {
    use super::{complete, sentence};

    #[test]
    fn a_sentence_begins_and_ends_as_one() {
        assert_eq!(complete("two CPUs meet"), "Two CPUs meet.");
        assert_eq!(complete("Done. "), "Done.");
        assert_eq!(complete(""), ".");
        assert_eq!(sentence("after `a < b`").into_string(), "After <code>a &lt; b</code>.");
    }
}
