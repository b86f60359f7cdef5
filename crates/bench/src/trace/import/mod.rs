//! Reads what tracers print: text of tracefs, of `trace-cmd report`, of `perf script`.
//!
//! How a file is printed is detected once, and every line must then be printed so, or be no event by right. A known
//! event with a field that is not known is refused with its line.

mod aside;
mod error;
mod event;
mod forks;
mod found;
mod layout;
mod lines;
mod spaces;

pub use error::ImportError;
pub use found::{ImportOptions, Imported};

use super::format::{MAGIC, Writer};
use forks::Forks;
use lines::Lines;
use spaces::Spaces;
use std::io::{BufRead, Read, Seek, Write};

/// Bytes of a line at most; the kernel prints no more than a page.
const LINE_BYTES: u64 = 1 << 16;

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
