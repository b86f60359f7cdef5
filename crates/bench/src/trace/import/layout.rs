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

use regex::bytes::{Captures, Regex};
use std::fmt;
use std::sync::LazyLock;

/// The task that perf prints as -1: it has been released, and its last switch follows.
const RELEASED: u32 = u32::MAX;

/// What each [`Style`] puts before an event. The greedy name ends at the last place from which all the rest can be
/// read.
static PATTERNS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let name = ".{0,16}";
    let seconds = r"(?<seconds>\d+)\.(?<part>\d{6}|\d{9})";
    // A mark may follow microseconds, for the time that passes until the next event.
    let time = format!(r"(?:{seconds}|(?<micros>\d+)us[$@*#!+ ]?|(?<ticks>\d+)): +");
    // Letters for interrupts and rescheduling, hexadecimal digits for depths, `.` for nothing.
    let flag = "[A-Za-z0-9.#]";
    let cpu = r"\[(?<cpu>\d{3,})\]";
    let group = r"(?<group>\((?:-+| *(?<tgid>\d+))\) +)?";
    // `trace-cmd` prints ticks of twelve digits and more without a space before them.
    let stamp = format!(r"(?:(?<flags>{flag}{{4,8}} +)??{time}|(?<full>{flag}{{5}})(?<wide>\d{{12,}}): +)");
    let standard = format!(r"{name}-(?<pid>\d+) +{group}{cpu} *{stamp}");
    let latency = format!(r"{name}-(?<pid>\d+) +(?<cpu>\d+)[A-Za-z.#]{flag}{{3,7}} +{time}");
    let perf = format!(r"{name} +(?<group>(?<tgid>-1|\d+)/)?(?<pid>-1|\d+) +{cpu} +{seconds}: +");
    // `trace-cmd report --ts-diff` adds the difference from the line before.
    [standard, latency, perf].map(|context| pattern(&format!(r"^ *{context}(?:\(\+\d+\) +)?")))
});

/// A pattern of bytes: the name of a task need not be UTF-8.
pub fn pattern(text: &str) -> Regex {
    Regex::new(&format!("(?s-u){text}")).expect("a constant pattern")
}

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

impl Style {
    /// Reads what stands before an event.
    pub fn read(self, line: &[u8]) -> Option<(Layout, Context<'_>)> {
        let found = PATTERNS[self as usize].captures(line)?;
        let task = |name| match part(&found, name) {
            Some(b"-1") => Some(RELEASED),
            _ => number(&found, name)?.try_into().ok(),
        };
        let (clock, time) = if let Some(part) = part(&found, "part") {
            let (clock, unit) = if part.len() == 6 { (Clock::Micros, 1) } else { (Clock::Nanos, 1_000) };
            let micros = number(&found, "seconds")?.checked_mul(1_000_000)?;
            (clock, micros.checked_add(number(&found, "part")? / unit)?)
        } else if found.name("micros").is_some() {
            (Clock::SinceStart, number(&found, "micros")?)
        } else {
            (Clock::Ticks, number(&found, "ticks").or_else(|| number(&found, "wide"))?)
        };
        let has = |name| found.name(name).is_some();
        let flags = self == Self::Latency || has("flags") || has("full");
        let layout = Layout { style: self, tgid: has("group"), flags, clock };
        let tgid = if has("tgid") { Some(task("tgid")?) } else { None };
        let (pid, cpu) = (task("pid")?, number(&found, "cpu")?.try_into().ok()?);
        let tgid = tgid.filter(|tgid| *tgid != RELEASED);
        Some((layout, Context { pid, tgid, cpu, time, body: &line[found.get_match().end()..] }))
    }
}

fn part<'t>(found: &Captures<'t>, name: &str) -> Option<&'t [u8]> {
    found.name(name).map(|part| part.as_bytes())
}

/// A number that was found, if it is not too large.
pub fn number(found: &Captures<'_>, name: &str) -> Option<u64> {
    std::str::from_utf8(part(found, name)?).ok()?.parse().ok()
}
