//! What stands before an event: task, CPU and time, as tracefs, `trace-cmd report` and `perf script` print them.
//!
//! ```text
//! tracefs        comm-pid (  tgid) [cpu] flags seconds: event    record-tgid, irq-info and the clock decide what is there
//! latency-format comm-pid cpuflags  micros us+: event
//! trace-cmd      comm-pid [cpu] flags seconds: event             3.1 prints no flags; -t nine digits; -l as latency-format
//! perf script    comm pid [cpu] seconds: system:event            -F +pid: tgid/pid
//! ```
//!
//! A name may hold anything, but no more than 15 bytes, which is less than what stands between it and an event. So the
//! last place near the beginning of a line from which all of that can be read is where the name ends.

use super::text::{after_spaces, digits, skip_spaces, unsigned};
use std::fmt;

/// Bytes of a task's name, without the NUL.
const NAME_BYTES: usize = 15;
/// Digits from which `trace-cmd` prints a time without a space before it.
const WIDE_TICKS: usize = 12;
/// The task that perf prints as -1: it has been released, and its last switch follows.
const RELEASED: u32 = u32::MAX;
/// Columns of flags that `trace-cmd` prints.
const FLAGS: usize = 5;

/// How a file prints context; the same for all lines of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub style: Style,
    pub tgid: bool,
    pub flags: bool,
    pub clock: Clock,
}

/// The order of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `comm-pid [cpu]`
    Standard,
    /// `comm-pid cpuflags`
    Latency,
    /// `comm pid [cpu]`
    Perf,
}

/// What times are printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Seconds with six digits behind the point.
    Micros,
    /// Seconds with nine.
    Nanos,
    /// Microseconds since the first event.
    SinceStart,
    /// A number whose unit the file does not say: x86-tsc, counter, uptime.
    Ticks,
}

/// What stands before an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    pub pid: u32,
    /// The thread group, where the line says which.
    pub tgid: Option<u32>,
    pub cpu: u32,
    /// Microseconds, or ticks.
    pub time: u64,
    /// The event.
    pub body: &'a [u8],
}

impl Layout {
    /// Reads what stands before an event, in any style.
    pub fn detect(line: &[u8]) -> Option<(Self, Context<'_>)> {
        [Style::Standard, Style::Latency, Style::Perf].into_iter().find_map(|style| style.read(line))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tgid = if self.tgid { "TGID" } else { "no TGID" };
        let flags = match (self.style, self.flags) {
            (Style::Perf, _) => "",
            (Style::Latency, _) => ", latency format",
            (Style::Standard, true) => ", irq-info",
            (Style::Standard, false) => ", no irq-info",
        };
        let clock = match self.clock {
            Clock::Micros => "microseconds",
            Clock::Nanos => "nanoseconds",
            Clock::SinceStart => "microseconds since the first event",
            Clock::Ticks => "ticks",
        };
        write!(f, "{tgid}{flags}, {clock}")
    }
}

/// Reads on after a name.
type Reader = fn(&[u8]) -> Option<(Layout, Context<'_>)>;

impl Style {
    /// Reads what stands before an event.
    pub fn read(self, line: &[u8]) -> Option<(Layout, Context<'_>)> {
        let text = skip_spaces(line);
        let (ends_name, read): (u8, Reader) = match self {
            Self::Standard => (b'-', standard),
            Self::Latency => (b'-', latency),
            Self::Perf => (b' ', perf),
        };
        let end = text.len().min(NAME_BYTES + 2);
        (0..end).rev().filter(|&at| text[at] == ends_name).find_map(|at| read(&text[at + 1..]))
    }
}

/// Reads on after `comm-`.
fn standard(text: &[u8]) -> Option<(Layout, Context<'_>)> {
    let (pid, rest) = digits(text)?;
    let (tgid, rest) = group(after_spaces(rest)?)?;
    let (cpu, rest) = bracketed_cpu(rest)?;
    let (flags, (clock, time, body)) = flags_and_stamp(rest)?;
    let layout = Layout { style: Style::Standard, tgid: tgid.is_some(), flags, clock };
    Some((layout, Context { pid: small(pid)?, tgid: tgid.flatten(), cpu, time, body }))
}

/// Reads on after `comm-`, in the latency format.
fn latency(text: &[u8]) -> Option<(Layout, Context<'_>)> {
    let (pid, rest) = digits(text)?;
    let (cpu, rest) = digits(after_spaces(rest)?)?;
    let (flags, rest) = rest.split_at(rest.iter().position(|byte| !is_flag(*byte))?);
    let (clock, time, body) = stamp(after_spaces(rest)?)?;
    let layout = Layout { style: Style::Latency, tgid: false, flags: true, clock };
    let flags = (FLAGS - 1..=FLAGS + 3).contains(&flags.len());
    flags.then_some((layout, Context { pid: small(pid)?, tgid: None, cpu: small(cpu)?, time, body }))
}

/// Reads on after `comm `, as perf prints it.
fn perf(text: &[u8]) -> Option<(Layout, Context<'_>)> {
    let (first, rest) = perf_pid(skip_spaces(text))?;
    let (group, pid, rest) = match rest.strip_prefix(b"/") {
        None => (None, first, rest),
        Some(rest) => {
            let (pid, rest) = perf_pid(rest)?;
            (Some(first), pid, rest)
        }
    };
    let (cpu, rest) = bracketed_cpu(after_spaces(rest)?)?;
    let (clock, time, body) = stamp(after_spaces(rest)?)?;
    let layout = Layout { style: Style::Perf, tgid: group.is_some(), flags: false, clock };
    let tgid = group.filter(|group| *group != RELEASED);
    matches!(clock, Clock::Micros | Clock::Nanos).then_some((layout, Context { pid, tgid, cpu, time, body }))
}

fn perf_pid(text: &[u8]) -> Option<(u32, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"-1") {
        return Some((RELEASED, rest));
    }
    let (pid, rest) = digits(text)?;
    Some((small(pid)?, rest))
}

fn small(text: &[u8]) -> Option<u32> {
    unsigned(text)?.try_into().ok()
}

/// Reads `(   123) ` or `(-------) `, where it stands.
fn group(text: &[u8]) -> Option<(Option<Option<u32>>, &[u8])> {
    let Some(inside) = text.strip_prefix(b"(") else { return Some((None, text)) };
    let (inside, rest) = inside.split_at(inside.iter().position(|byte| *byte == b')')?);
    let rest = after_spaces(&rest[1..])?;
    match skip_spaces(inside) {
        dashes if !dashes.is_empty() && dashes.iter().all(|byte| *byte == b'-') => Some((Some(None), rest)),
        number if !number.is_empty() => Some((Some(Some(small(number)?)), rest)),
        _ => None,
    }
}

fn bracketed_cpu(text: &[u8]) -> Option<(u32, &[u8])> {
    let (cpu, rest) = digits(text.strip_prefix(b"[")?)?;
    (cpu.len() >= 3).then_some((small(cpu)?, rest.strip_prefix(b"]")?))
}

type Stamp<'a> = (Clock, u64, &'a [u8]);

/// Reads flags, where they stand, and a time.
fn flags_and_stamp(text: &[u8]) -> Option<(bool, Stamp<'_>)> {
    let text = skip_spaces(text);
    if let Some(stamp) = stamp(text) {
        return Some((false, stamp));
    }
    let end = text.iter().position(|byte| !is_flag(*byte))?;
    if text[end] == b' ' {
        let flags = (FLAGS - 1..=FLAGS + 3).contains(&end);
        return flags.then(|| Some((true, stamp(skip_spaces(&text[end..]))?)))?;
    }
    // Wide ticks follow the flags at once.
    let (_, time) = text.split_at_checked(FLAGS)?;
    let wide = digits(time).is_some_and(|(ticks, _)| ticks.len() >= WIDE_TICKS);
    stamp(time).filter(|_| wide).map(|stamp| (true, stamp))
}

/// Letters for interrupts and rescheduling, hexadecimal digits for depths, `.` for nothing.
fn is_flag(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'#')
}

/// Reads a time, the colon after it, and in `trace-cmd report --ts-diff` the difference from the line before.
fn stamp(text: &[u8]) -> Option<Stamp<'_>> {
    let (whole, rest) = digits(text)?;
    let whole = unsigned(whole)?;
    let (clock, time, rest) = if let Some(rest) = rest.strip_prefix(b".") {
        let (part, rest) = digits(rest)?;
        let (clock, part) = match part.len() {
            6 => (Clock::Micros, unsigned(part)?),
            9 => (Clock::Nanos, unsigned(part)? / 1_000),
            _ => return None,
        };
        (clock, whole.checked_mul(1_000_000)?.checked_add(part)?, rest)
    } else if let Some(rest) = rest.strip_prefix(b"us") {
        // A mark may follow, for the time that passes until the next event.
        let marked = rest.first().is_some_and(|mark| b"$@*#!+ ".contains(mark));
        (Clock::SinceStart, whole, &rest[usize::from(marked)..])
    } else {
        (Clock::Ticks, whole, rest)
    };
    let body = after_spaces(rest.strip_prefix(b":")?)?;
    let difference = body
        .strip_prefix(b"(+")
        .and_then(digits)
        .and_then(|(_, rest)| after_spaces(rest.strip_prefix(b")")?));
    Some((clock, time, difference.unwrap_or(body)))
}
