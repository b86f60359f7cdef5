//! What a recording is read with, and what was found in it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// What a recording does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Ticks of a second, where times count ticks.
    pub tick_hz: Option<NonZeroU64>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The tool that printed the text, and its options.
    pub dialect: String,
    /// Whether its times count ticks.
    pub ticks: bool,
    /// The kernel, if anything says which.
    pub kernel: Option<String>,
    /// Lines read.
    pub lines: u64,
    /// Events that a trace is made of, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Other events.
    pub others: u64,
    /// Lines that begin with `#`.
    pub comments: u64,
    /// Blank lines.
    pub blank: u64,
    /// What trace-cmd and perf say about the file.
    pub notes: u64,
    /// Frames of stacks.
    pub frames: u64,
    /// Other lines of the kernel log.
    pub log_lines: u64,
    /// Flushes by `enum tlb_flush_reason`.
    pub flushes: [u64; 6],
    /// Lines that say that events were lost.
    pub lost_lines: u64,
    /// Events that the recording says were lost.
    pub lost: u64,
    /// How often it says that an unknown number was lost.
    pub lost_unknown: u64,
    /// Events before the first line that the ring buffer has overwritten.
    pub overwritten: u64,
    /// Lines that lie behind one of another CPU.
    pub late_lines: u64,
    /// By how many microseconds at most.
    pub latest_by: u64,
    /// Forks of which the thread group says whether the task shares its parent's space.
    pub forks_by_tgid: u64,
    /// Forks of which it is inferred.
    pub forks_inferred: u64,
    /// Microseconds from the first event to the last.
    pub span_micros: u64,
    /// CPUs.
    pub cpus: u16,
    /// Spaces.
    pub spaces: u32,
    /// Bytes written.
    pub bytes: u64,
}
