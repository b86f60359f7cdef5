//! Lines that are no events by right.

use super::event::{Body, Known};
use super::layout::{number, pattern};
use regex::bytes::Regex;
use std::sync::LazyLock;

/// `[   12.345678] ` and what may stand around it, as the kernel log has it; CONFIG_PRINTK_CALLER adds the thread or
/// the CPU.
static LOG_PREFIX: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? "));

/// A frame of a stack, as perf prints it: address, symbol and `(file)`.
static FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\t ]\s*[[:xdigit:]]{8,} .*\)\s*$"));

/// What the kernel and `trace-cmd` say of events that were lost, and `perf` of chunks, of an unknown number of events.
static LOST: LazyLock<Regex> = LazyLock::new(|| {
    let inside = r"LOST EVENTS|EVENTS DROPPED|LOST (?<lost>\d+) EVENTS|(?<dropped>\d+) EVENTS DROPPED";
    pattern(&format!(r"^(?:CPU:\d+ \[(?:{inside})\]|Processed .* events and lost .* chunks!)$"))
});

/// The body of an event of `perf` that says that events were lost.
static LOST_RECORD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^PERF_RECORD_LOST(?:.*lost (?<lost>\d+)\s*$)?"));

static NOTE: LazyLock<Regex> = LazyLock::new(|| {
    let words = r"Warning:|Check IO/CPU overload!|Dumping ftrace buffer:|\(ftrace buffer empty\)";
    let numbers = r"cpus=\d+|version = \d+|CPU \d+ is empty|CPU:\d+ \[SUBBUFFER START\].*";
    pattern(&format!("^(?:{words}|Kernel buffer statistics:|-+|{numbers})$"))
});

/// What a line is that is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    Blank,
    /// `#` and text.
    Comment,
    /// What `trace-cmd` and `perf` print about the file.
    Note,
    /// A frame of a stack.
    Frame,
    /// Another line of the kernel log.
    Log,
    /// So many events were lost, if the line says how many.
    Lost(Option<u64>),
}

impl Aside {
    /// Tells what `line` is, if it has a right to be no event.
    pub fn of(line: &[u8], body: Option<Body>) -> Option<Self> {
        let text = line.trim_ascii();
        if text.is_empty() {
            return Some(Self::Blank);
        }
        if text.starts_with(b"#") {
            return Some(Self::Comment);
        }
        let frame = text.starts_with(b"=> ") || body == Some(Body::Perf) && FRAME.is_match(line);
        if frame && !Known::is_mentioned(text) {
            return Some(Self::Frame);
        }
        if let Some(lost) = LOST.captures(text) {
            return Some(Self::Lost(number(&lost, "lost").or_else(|| number(&lost, "dropped"))));
        }
        if NOTE.is_match(text) {
            return Some(Self::Note);
        }
        let logged = after_log_prefix(line)?;
        Self::of(logged, body).or_else(|| (!Known::is_mentioned(logged)).then_some(Self::Log))
    }
}

/// Drops what the kernel log puts before a line.
pub fn after_log_prefix(line: &[u8]) -> Option<&[u8]> {
    LOG_PREFIX.find(line).map(|prefix| &line[prefix.end()..])
}

/// Reads the body of an event of `perf` that says that events were lost, if it is one.
pub fn lost_record(body: &[u8]) -> Option<Option<u64>> {
    LOST_RECORD.captures(body).map(|lost| number(&lost, "lost"))
}
