//! Lines that are no events by right.

use super::event::{Body, Known};
use super::text::{digits, skip_spaces, split_first, split_last, unsigned};

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
        if is_frame(line, body) {
            return Some(Self::Frame);
        }
        if let Some(lost) = lost(text) {
            return Some(Self::Lost(lost));
        }
        if is_note(text) {
            return Some(Self::Note);
        }
        let logged = after_log_prefix(line)?;
        Self::of(logged, body).or_else(|| (!Known::is_mentioned(logged)).then_some(Self::Log))
    }
}

/// Drops `[   12.345678] ` and what may stand around it, as the kernel log has it.
pub fn after_log_prefix(line: &[u8]) -> Option<&[u8]> {
    let level = line.strip_prefix(b"<").and_then(digits).and_then(|(_, rest)| rest.strip_prefix(b">"));
    let (seconds, rest) = digits(skip_spaces(level.unwrap_or(line).strip_prefix(b"[")?))?;
    let (micros, rest) = digits(rest.strip_prefix(b".")?)?;
    let rest = rest.strip_prefix(b"]")?;
    // CONFIG_PRINTK_CALLER adds the thread or the CPU.
    let caller = rest.strip_prefix(b"[").map(skip_spaces);
    let caller = caller.and_then(|rest| rest.strip_prefix(b"T").or(rest.strip_prefix(b"C")));
    let caller = caller.and_then(digits).and_then(|(_, rest)| rest.strip_prefix(b"]"));
    (!seconds.is_empty() && micros.len() == 6)
        .then_some(caller.unwrap_or(rest))
        .and_then(|rest| rest.strip_prefix(b" "))
}

/// ` => symbol` of the kernel and `trace-cmd`, or perf's address, symbol and `(file)`.
fn is_frame(line: &[u8], body: Option<Body>) -> bool {
    let text = line.trim_ascii();
    if text.starts_with(b"=> ") {
        return !Known::is_mentioned(text);
    }
    let indented = line.starts_with(b"\t") || line.starts_with(b" ");
    let end = text.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(0);
    let address = end >= 8 && text[end] == b' ';
    body == Some(Body::Perf) && indented && address && text.ends_with(b")") && !Known::is_mentioned(text)
}

/// Reads `CPU:2 [LOST 123 EVENTS]` of the kernel, `CPU:2 [123 EVENTS DROPPED]` of `trace-cmd`, and what `perf` says.
fn lost(text: &[u8]) -> Option<Option<u64>> {
    if let Some(rest) = text.strip_prefix(b"Processed ") {
        // perf counts chunks, of an unknown number of events.
        return split_first(rest, b" events and lost ")
            .is_some_and(|(_, rest)| rest.ends_with(b" chunks!"))
            .then_some(None);
    }
    let (_, rest) = digits(text.strip_prefix(b"CPU:")?)?;
    let inside = rest.strip_prefix(b" [")?.strip_suffix(b"]")?;
    match inside {
        b"LOST EVENTS" | b"EVENTS DROPPED" => Some(None),
        _ => {
            let kernel = inside.strip_prefix(b"LOST ").and_then(|rest| rest.strip_suffix(b" EVENTS"));
            Some(Some(unsigned(kernel.or_else(|| inside.strip_suffix(b" EVENTS DROPPED"))?)?))
        }
    }
}

/// Reads the body of an event of `perf` that says that events were lost.
pub fn lost_record(body: &[u8]) -> Option<Option<u64>> {
    let rest = body.strip_prefix(b"PERF_RECORD_LOST")?;
    Some(split_last(rest, b"lost ").and_then(|(_, count)| unsigned(count.trim_ascii())))
}

fn is_note(text: &[u8]) -> bool {
    const NOTES: [&[u8]; 5] = [
        b"Warning:",
        b"Check IO/CPU overload!",
        b"Dumping ftrace buffer:",
        b"(ftrace buffer empty)",
        b"Kernel buffer statistics:",
    ];
    let number_after = |mark: &[u8]| text.strip_prefix(mark).and_then(digits).map(|(_, rest)| rest);
    NOTES.contains(&text)
        || text.iter().all(|byte| *byte == b'-')
        || number_after(b"cpus=") == Some(b"")
        || number_after(b"version = ") == Some(b"")
        || number_after(b"CPU ") == Some(b" is empty")
        || number_after(b"CPU:").is_some_and(|rest| rest.starts_with(b" [SUBBUFFER START]"))
}
