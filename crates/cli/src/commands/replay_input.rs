//! What `shootdown replay` is given: a list of moves or a trace, from a file, a pipe or standard input.

use shootdown_bench::trace::{Entry, MAGIC, Reader, TraceError};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::failure::Failure;
use crate::replay_file::FIRST_LINE;

/// Bytes within which a file must say what it is.
const START_BYTES: u64 = 4096;
/// Bytes of a list at most; one of a million moves has less.
const LIST_BYTES: u64 = 1 << 26;
const LIST_REMEDY: &str = "`shootdown explain NAME --text` writes such a list; `-` reads standard input";
pub const TRACE_REMEDY: &str = "record it again with `shootdown record-import FILE`";

/// A list of moves, or a trace.
pub enum Input {
    /// The text of a list of moves.
    Moves(String),
    /// A trace.
    Trace(Trace),
}

/// A trace that can be read more than once.
pub struct Trace {
    /// What messages call it.
    pub name: String,
    /// Its bytes.
    pub length: u64,
    file: File,
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
        let is_file = path != Path::new("-") && std::fs::metadata(path).is_ok_and(|data| data.is_file());
        let mut input: Box<dyn Read> = match path == Path::new("-") {
            true => Box::new(io::stdin().lock()),
            false => Box::new(File::open(path).map_err(unreadable)?),
        };
        let mut start = Vec::new();
        (&mut input).take(START_BYTES).read_to_end(&mut start).map_err(unreadable)?;
        if start.starts_with(&MAGIC) {
            let kept = match is_file {
                true => Kept::There(File::open(path).map_err(unreadable)?),
                false => Kept::Copied(io::Cursor::new(start).chain(input), tempfile::tempfile()?),
            };
            return Trace::open(name, kept).map(Self::Trace);
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

/// Where a trace can be read again.
enum Kept<R> {
    There(File),
    /// A pipe; the bytes that were read go into this file too.
    Copied(R, File),
}

impl Trace {
    /// Reads through a trace, up to what is damaged.
    fn open(name: String, kept: Kept<impl Read>) -> Result<Self, Failure> {
        let (flushes, file) = match kept {
            Kept::There(file) => (flushes(&name, &file)?, file),
            Kept::Copied(input, mut copy) => (flushes(&name, Copying { input, copy: &mut copy })?, copy),
        };
        if flushes == Some(0) {
            return Err(Failure::bad_input(
                format!("{name}: the trace has no flush, so there is nothing to count"),
                "record event tlb/tlb_flush too, which kernels for x86 have",
            ));
        }
        let length = file.metadata()?.len();
        Ok(Self { name, length, file })
    }

    /// Begins to read.
    pub fn reader(&self) -> Result<Reader<BufReader<&File>>, Failure> {
        let mut file = &self.file;
        let rewound = file.seek(SeekFrom::Start(0)).map_err(TraceError::from);
        rewound.and_then(|_| Reader::new(BufReader::new(file))).map_err(|error| self.failure(&error))
    }

    /// The refusal of a trace that cannot be read.
    pub fn failure(&self, error: &impl std::fmt::Display) -> Failure {
        Failure::bad_input(format!("{}: {error}", self.name), TRACE_REMEDY)
    }
}

/// Counts the flushes of a whole trace; what is wrong behind the header is for the replay to report.
fn flushes(name: &str, input: impl Read) -> Result<Option<u64>, Failure> {
    let reader = Reader::new(BufReader::new(input));
    let mut reader = reader.map_err(|error| Failure::bad_input(format!("{name}: {error}"), TRACE_REMEDY))?;
    let mut flushes = 0;
    loop {
        match reader.entry() {
            Ok(Some((_, _, entry))) => flushes += u64::from(matches!(entry, Entry::Flush { .. })),
            Ok(None) => return Ok(Some(flushes)),
            Err(_) => return Ok(None),
        }
    }
}

/// Reads, and writes what is read to a copy.
struct Copying<'f, R> {
    input: R,
    copy: &'f mut File,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(bytes)?;
        self.copy.write_all(&bytes[..read])?;
        Ok(read)
    }
}
