//! What `shootdown replay` is given: a list of moves or a trace, from a file, a pipe or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

#[cfg(feature = "full")]
use super::replay_trace::{Kept, Trace};
use crate::failure::Failure;
use crate::replay_file::FIRST_LINE;

/// What a recorded trace begins with, which builds without the bench must know to say what they lack.
const TRACE_MAGIC: [u8; 8] = *b"SDTRACE\0";
#[cfg(feature = "full")]
const _: () = assert!(matches!(TRACE_MAGIC, shootdown_bench::trace::MAGIC));

/// Bytes within which a file must say what it is.
const START_BYTES: u64 = 4096;
/// Bytes of a list at most; one of a million moves has less.
const LIST_BYTES: u64 = 1 << 26;
const LIST_REMEDY: &str = "`shootdown explain NAME --text` writes a list of moves, `shootdown record-import FILE` a trace; `-` reads standard input";

/// A list of moves, or a trace.
pub enum Input {
    /// The text of a list of moves.
    Moves(String),
    /// A trace.
    #[cfg(feature = "full")]
    Trace(Trace),
}

impl Input {
    /// Opens what `path` names; `-` is standard input.
    ///
    /// # Errors
    /// Neither a list nor a trace; a trace of another version, or one without a flush.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let unreadable =
            |error: io::Error| Failure::bad_input(format!("cannot read {name}: {error}"), LIST_REMEDY);
        let mut input: Box<dyn Read> = match path == Path::new("-") {
            true => Box::new(io::stdin().lock()),
            false => Box::new(File::open(path).map_err(unreadable)?),
        };
        let mut start = Vec::new();
        (&mut input).take(START_BYTES).read_to_end(&mut start).map_err(unreadable)?;
        if start.starts_with(&TRACE_MAGIC) {
            #[cfg(not(feature = "full"))]
            return Err(super::refuse(&format!("replay {name}")));
            #[cfg(feature = "full")]
            return Trace::open(name, Kept::of(path, io::Cursor::new(start).chain(input))?).map(Self::Trace);
        }
        if start.len() as u64 == START_BYTES && !is_list(&start) {
            let shown = String::from_utf8_lossy(&start[..32]).into_owned();
            return Err(Failure::bad_input(
                format!("{name} is neither a list of moves nor a trace: it begins with {shown:?}"),
                format!("a list begins with `{FIRST_LINE}`; `shootdown record-import FILE` makes traces"),
            ));
        }
        input.take(LIST_BYTES + 1).read_to_end(&mut start).map_err(unreadable)?;
        if start.len() as u64 > LIST_BYTES {
            let what = format!("{name} is longer than a list of moves can be, {LIST_BYTES} bytes");
            return Err(Failure::bad_input(what, LIST_REMEDY));
        }
        let text = String::from_utf8(start);
        text.map(Self::Moves).map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))
    }
}

fn is_list(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.trim_ascii() == FIRST_LINE.as_bytes()
}
