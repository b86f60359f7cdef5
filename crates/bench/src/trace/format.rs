//! The file of a trace.
//!
//! ```text
//! header    "SDTRACE\0", u16 version (1 or 2), u16 CPUs, u32 reserved (0)
//! block     u32 length, u32 checksum (FNV-1a of the payload), payload of at most 65,536 bytes
//! ...
//! end       a block of length 0 and checksum 0
//!
//! payload   entries: varint microseconds since the entry before, varint CPU, u8 kind, arguments as varints
//!   1 space made: space            2 program runs: space         3 kernel thread runs
//!   4 CPU idles                    5 flush: pages (0: all), 1 if tables go, space
//!   6 last program ended: space    7 seen in the recording: 0 switch, 1 remote shootdown, 3 local, 4 remote send,
//!                                    5 a CPU called in vain (since version 2)
//! ```
//!
//! Numbers are little-endian; a varint has seven bits a byte, least first. Blocks let a reader find damage and name it,
//! in constant memory.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// First bytes of a trace.
pub const MAGIC: [u8; 8] = *b"SDTRACE\0";
const VERSION: u16 = 2;
const HEADER_BYTES: u64 = 16;
const BLOCK_BYTES: usize = 1 << 16;
/// Latest time of an entry, in microseconds: 142 years.
pub(super) const LAST_MICROS: u64 = (1 << 52) - 1;
/// Room for one more entry.
const ENTRY_BYTES: usize = 64;

/// What a trace says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// CPUs of the machine that was recorded.
    pub cpus: u16,
}

/// What the recorded kernel said that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A flush because another root was loaded.
    Switch,
    /// A flush in an IPI handler.
    RemoteShootdown,
    /// A flush of the initiator's own TLB.
    Local,
    /// A flush that turned to other CPUs.
    RemoteSend,
    /// A CPU was called that had left the space.
    WrongCpu,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A space was made.
    Create(u32),
    /// A program runs.
    Run(u32),
    /// A kernel thread runs.
    Kernel,
    /// The CPU idles.
    Idle,
    /// A flush.
    Flush {
        /// Pages; 0 for all.
        pages: u32,
        /// Whether tables go.
        tables: bool,
        /// The space.
        space: u32,
    },
    /// The last program of a space ended.
    Exit(u32),
    /// What the recorded kernel did about it.
    Seen(Seen),
}

/// Why a trace cannot be read on.
#[derive(Debug)]
pub enum TraceError {
    /// It is none: these are its first bytes.
    NotATrace(Vec<u8>),
    /// It is of another version.
    Version(u16),
    /// It ends at this byte, in the middle.
    Truncated(u64),
    /// The byte here cannot be.
    Corrupt(u64, &'static str),
    /// It could not be read or written.
    Io(io::Error),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATrace(start) => write!(f, "not a trace: it begins with {start:02x?}"),
            Self::Version(version) => {
                write!(f, "trace of version {version}, and this program reads versions 1 to {VERSION}")
            }
            Self::Truncated(offset) => write!(f, "truncated: the file ends at byte {offset}, inside a block"),
            Self::Corrupt(offset, what) => write!(f, "corrupt at byte {offset}: {what}"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for TraceError {}

impl From<io::Error> for TraceError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes a trace.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    block: Vec<u8>,
    last: u64,
    bytes: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a trace.
    ///
    /// # Errors
    /// It could not be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&header(0))?;
        Ok(Self { out, block: Vec::with_capacity(BLOCK_BYTES), last: 0, bytes: HEADER_BYTES })
    }

    /// Adds what happened on `cpu` at `micros`.
    ///
    /// # Errors
    /// It could not be written.
    pub fn add(&mut self, micros: u64, cpu: u16, entry: Entry) -> io::Result<()> {
        if self.block.len() + ENTRY_BYTES > BLOCK_BYTES {
            self.flush_block()?;
        }
        put(&mut self.block, micros.saturating_sub(self.last));
        self.last = self.last.max(micros);
        put(&mut self.block, u64::from(cpu));
        let (kind, arguments): (u8, &[u64]) = match entry {
            Entry::Create(space) => (1, &[u64::from(space)]),
            Entry::Run(space) => (2, &[u64::from(space)]),
            Entry::Kernel => (3, &[]),
            Entry::Idle => (4, &[]),
            Entry::Flush { pages, tables, space } => {
                (5, &[u64::from(pages), u64::from(tables), u64::from(space)])
            }
            Entry::Exit(space) => (6, &[u64::from(space)]),
            Entry::Seen(Seen::Switch) => (7, &[0]),
            Entry::Seen(Seen::RemoteShootdown) => (7, &[1]),
            Entry::Seen(Seen::Local) => (7, &[3]),
            Entry::Seen(Seen::RemoteSend) => (7, &[4]),
            Entry::Seen(Seen::WrongCpu) => (7, &[5]),
        };
        self.block.push(kind);
        for &argument in arguments {
            put(&mut self.block, argument);
        }
        Ok(())
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.out.write_all(&(self.block.len() as u32).to_le_bytes())?;
        self.out.write_all(&checksum(&self.block).to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.bytes += 8 + self.block.len() as u64;
        self.block.clear();
        Ok(())
    }

    /// Ends the trace of a machine of `cpus` CPUs; returns its length in bytes.
    ///
    /// # Errors
    /// It could not be written.
    pub fn finish(mut self, cpus: u16) -> io::Result<u64> {
        self.flush_block()?;
        self.out.write_all(&[0; 8])?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(cpus))?;
        self.out.flush()?;
        Ok(self.bytes + 8)
    }
}

fn header(cpus: u16) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[10..12].copy_from_slice(&cpus.to_le_bytes());
    header
}

fn put(block: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        block.push(value as u8 | 0x80);
        value >>= 7;
    }
    block.push(value as u8);
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Reads a trace, one block in memory at a time.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    block: Vec<u8>,
    at: usize,
    /// Where the block in memory begins in the file.
    offset: u64,
    micros: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// It is no trace, or of another version.
    pub fn new(mut input: R) -> Result<Self, TraceError> {
        let mut start = [0; HEADER_BYTES as usize];
        let read = fill(&mut input, &mut start)?;
        if read < 8 || start[..8] != MAGIC {
            return Err(TraceError::NotATrace(start[..read.min(8)].to_vec()));
        }
        if read < start.len() {
            return Err(TraceError::Truncated(read as u64));
        }
        let version = u16::from_le_bytes([start[8], start[9]]);
        if !(1..=VERSION).contains(&version) {
            return Err(TraceError::Version(version));
        }
        let cpus = u16::from_le_bytes([start[10], start[11]]);
        if cpus == 0 || usize::from(cpus) > crate::machine::MAX_CPUS {
            return Err(TraceError::Corrupt(10, "a machine has 1 to 4096 CPUs"));
        }
        let header = Header { cpus };
        Ok(Self { input, header, block: Vec::new(), at: 0, offset: HEADER_BYTES, micros: 0, ended: false })
    }

    /// What the trace says about itself.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// Reads the next entry: when (in microseconds), where, what. Nothing at the end.
    ///
    /// # Errors
    /// The first place that cannot be read.
    pub fn entry(&mut self) -> Result<Option<(u64, u16, Entry)>, TraceError> {
        if self.at == self.block.len() && (self.ended || !self.next_block()?) {
            return Ok(None);
        }
        let from = self.offset();
        let corrupt = |what| TraceError::Corrupt(from, what);
        let later = self.micros.checked_add(self.varint()?).filter(|micros| *micros <= LAST_MICROS);
        self.micros = later.ok_or_else(|| corrupt("a time that no machine lives to see"))?;
        let cpu = self.varint()?;
        let cpu = u16::try_from(cpu).ok().filter(|cpu| *cpu < self.header.cpus);
        let cpu = cpu.ok_or_else(|| corrupt("a CPU that the machine does not have"))?;
        let entry = match self.byte()? {
            1 => Entry::Create(self.number()?),
            2 => Entry::Run(self.number()?),
            3 => Entry::Kernel,
            4 => Entry::Idle,
            5 => Entry::Flush { pages: self.number()?, tables: self.number()? != 0, space: self.number()? },
            6 => Entry::Exit(self.number()?),
            7 => Entry::Seen(match self.number()? {
                0 => Seen::Switch,
                1 => Seen::RemoteShootdown,
                3 => Seen::Local,
                4 => Seen::RemoteSend,
                5 => Seen::WrongCpu,
                _ => return Err(corrupt("an unknown reason of a flush")),
            }),
            _ => return Err(corrupt("an unknown kind of entry")),
        };
        Ok(Some((self.micros, cpu, entry)))
    }

    fn next_block(&mut self) -> Result<bool, TraceError> {
        let start = self.offset();
        (self.offset, self.at) = (start, 0);
        self.block.clear();
        let mut head = [0; 8];
        let read = fill(&mut self.input, &mut head)?;
        if read < head.len() {
            return Err(TraceError::Truncated(start + read as u64));
        }
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let expected = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if length == 0 && expected == 0 {
            self.ended = true;
            return match fill(&mut self.input, &mut [0])? {
                0 => Ok(false),
                _ => Err(TraceError::Corrupt(start + head.len() as u64, "bytes after the end of the trace")),
            };
        }
        if length == 0 || length > BLOCK_BYTES {
            return Err(TraceError::Corrupt(start, "a block of a length that none has"));
        }
        self.offset = start + 8;
        let mut block = vec![0; length];
        let read = fill(&mut self.input, &mut block)?;
        if read < length {
            return Err(TraceError::Truncated(self.offset + read as u64));
        }
        if checksum(&block) != expected {
            return Err(TraceError::Corrupt(self.offset, "a block whose checksum differs"));
        }
        self.block = block;
        Ok(true)
    }

    fn byte(&mut self) -> Result<u8, TraceError> {
        let corrupt = TraceError::Corrupt(self.offset(), "an entry that goes past its block");
        let byte = *self.block.get(self.at).ok_or(corrupt)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, TraceError> {
        let from = self.offset();
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift > 56 {
                return Err(TraceError::Corrupt(from, "a number that is too long"));
            }
        }
    }

    fn number(&mut self) -> Result<u32, TraceError> {
        let from = self.offset();
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| TraceError::Corrupt(from, "a number that is too large"))
    }
}

/// Reads until `bytes` is full or the input ends; returns how much.
fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match input.read(&mut bytes[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const ENTRIES: [Entry; 8] = [
        Entry::Create(300),
        Entry::Run(300),
        Entry::Flush { pages: 33, tables: true, space: 300 },
        Entry::Seen(Seen::RemoteSend),
        Entry::Seen(Seen::WrongCpu),
        Entry::Kernel,
        Entry::Exit(300),
        Entry::Idle,
    ];

    fn written() -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut out).expect("a header");
        for (at, entry) in ENTRIES.into_iter().enumerate() {
            writer.add(1_000 * at as u64, at as u16 % 3, entry).expect("an entry");
        }
        let bytes = writer.finish(3).expect("an end");
        assert_eq!(bytes, out.get_ref().len() as u64);
        out.into_inner()
    }

    fn read(bytes: &[u8]) -> (usize, Option<TraceError>) {
        let mut reader = match Reader::new(bytes) {
            Ok(reader) => reader,
            Err(error) => return (0, Some(error)),
        };
        let mut entries = 0;
        loop {
            match reader.entry() {
                Ok(Some((micros, cpu, entry))) => {
                    assert_eq!((micros, cpu), (1_000 * entries as u64, entries as u16 % 3));
                    assert_eq!(entry, ENTRIES[entries]);
                    entries += 1;
                }
                Ok(None) => return (entries, None),
                Err(error) => return (entries, Some(error)),
            }
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let (entries, error) = read(&written());
        assert_eq!(entries, ENTRIES.len());
        assert!(error.is_none(), "{error:?}");
    }

    #[test]
    fn a_trace_cut_anywhere_is_truncated_there() {
        let whole = written();
        for length in 8..whole.len() {
            let (_, error) = read(&whole[..length]);
            assert!(
                matches!(error, Some(TraceError::Truncated(at)) if at == length as u64),
                "{length} {error:?}"
            );
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let whole = written();
        for at in (0..12).chain(16..whole.len()) {
            let mut changed = whole.clone();
            changed[at] ^= 0x41;
            let (entries, error) = read(&changed);
            assert!(error.is_some() || at == 10 && entries == ENTRIES.len(), "byte {at}");
        }
    }

    #[test]
    fn bytes_after_the_end_are_refused() {
        let mut longer = written();
        let end = longer.len() as u64;
        longer.push(0);
        let (entries, error) = read(&longer);
        assert_eq!(entries, ENTRIES.len());
        assert!(matches!(error, Some(TraceError::Corrupt(at, _)) if at == end), "{error:?}");
    }

    #[test]
    fn a_trace_of_the_version_before_is_read() {
        let mut older = written();
        older[8] = 1;
        assert!(matches!(read(&older), (count, None) if count == ENTRIES.len()));
    }

    #[test]
    fn another_file_or_version_is_named() {
        assert!(matches!(read(b"# shootdown replay 1\n").1, Some(TraceError::NotATrace(_))));
        let mut newer = written();
        newer[8] = 9;
        assert!(matches!(read(&newer).1, Some(TraceError::Version(9))));
    }
}
