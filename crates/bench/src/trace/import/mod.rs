//! Reads what tracers print: text of tracefs, of `trace-cmd report`, of `perf script`.
//!
//! How a file is printed is detected once, and every line must then be printed so, or be no event by right. A known event
//! with a field that is not known is refused with its line.

mod aside;
mod error;
mod event;
mod forks;
mod layout;
mod lines;
mod spaces;
mod text;

pub use error::ImportError;

use super::format::{MAGIC, Writer};
use forks::Forks;
use lines::Lines;
use spaces::Spaces;
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Seek, Write};
use std::num::NonZeroU64;

/// Bytes of a line at most; the kernel prints no more than a page.
const LINE_BYTES: u64 = 1 << 16;

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

/// Reads a recording from `input` and writes a trace; `progress` is told of the bytes read.
///
/// # Errors
/// The first line that cannot be read, or why the recording means nothing. Then `out` holds no trace.
pub fn import(
    mut input: impl BufRead,
    out: impl Write + Seek,
    options: ImportOptions,
    mut progress: impl FnMut(u64),
) -> Result<Imported, ImportError> {
    refuse_other_files(input.fill_buf().map_err(ImportError::Read)?)?;
    let writer = Writer::new(out).map_err(ImportError::Write)?;
    let (mut lines, mut forks, mut spaces) = (Lines::new(options), Forks::default(), Spaces::new(writer));
    let (mut line, mut bytes, mut number) = (Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        let read =
            (&mut input).take(LINE_BYTES + 1).read_until(b'\n', &mut line).map_err(ImportError::Read)?;
        if read == 0 {
            break;
        }
        (number, bytes) = (number + 1, bytes + read as u64);
        if read as u64 > LINE_BYTES {
            let what = format!("longer than {LINE_BYTES} bytes");
            return Err(ImportError::line(number, &line, what, "give text, as `cat trace` prints it"));
        }
        if number % 4096 == 0 {
            progress(bytes);
        }
        let Some(event) = lines.read(&line)? else { continue };
        if !lines.has_tgid() {
            spaces.add(&event).map_err(ImportError::Write)?;
            continue;
        }
        forks.push(event);
        while let Some(event) = forks.pop() {
            spaces.add(&event).map_err(ImportError::Write)?;
        }
    }
    while let Some(event) = forks.take() {
        spaces.add(&event).map_err(ImportError::Write)?;
    }
    progress(bytes);
    let mut found = lines.finish()?;
    spaces.finish(&mut found).map_err(ImportError::Write)?;
    Ok(found)
}

/// Refuses files that are not text, by their first bytes.
fn refuse_other_files(start: &[u8]) -> Result<(), ImportError> {
    const FILES: [(&[u8], &str, &str); 7] = [
        (&MAGIC, "a trace already", "`shootdown replay FILE` runs it"),
        (
            b"\x17\x08\x44tracing",
            "trace-cmd's trace.dat",
            "print it: `trace-cmd report FILE > recording.txt`",
        ),
        (b"PERFILE2", "perf's perf.data", "print it: `perf script -i FILE -F +pid > recording.txt`"),
        (b"\xfd7zXZ\0", "compressed with xz", "unpack it: `xz -d FILE`"),
        (b"\x1f\x8b", "compressed with gzip", "unpack it: `gzip -d FILE`"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it: `zstd -d FILE`"),
        (b"BZh", "compressed with bzip2", "unpack it: `bzip2 -d FILE`"),
    ];
    match FILES.iter().find(|(magic, ..)| start.starts_with(magic)) {
        Some((_, what, remedy)) => Err(ImportError::recording(format!("the file is {what}"), *remedy)),
        None => Ok(()),
    }
}
