//! Words that pages and index share.

use indicatif::HumanCount;
use shootdown_corpus::Class;
use shootdown_explore::{Report, Verdict};

/// A class of bugs in words.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Mask => "CPU masks and lazy TLB",
        Class::Ordering => "switching against flushing",
        Class::Tag => "tags and broadcast",
        Class::FlushBeforeFree => "flushing against freeing",
        Class::Lifetime => "lifetime of address spaces",
        Class::Interrupt => "interrupts, hotplug, paravirtual flushes",
        Class::OtherKernel => "other kernels",
        Class::Suspect => "suspects, unconfirmed",
    }
}

/// `text` as a sentence: with a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}

/// How much a run visited, and how long it took.
pub fn effort(report: &Report) -> String {
    let time = crate::output::seconds(report.elapsed.as_secs_f64());
    format!("{} states, {time}", HumanCount(report.states))
}

/// What came out of a run that should hold.
pub fn outcome(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Holds => "no execution fails",
        Verdict::Stopped(_) => "not all executions visited",
        _ => "fails as well",
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_sentence_begins_and_ends_as_one() {
        assert_eq!(sentence("two CPUs meet"), "Two CPUs meet.");
        assert_eq!(sentence("Done. "), "Done.");
        assert_eq!(sentence(""), ".");
    }
}
