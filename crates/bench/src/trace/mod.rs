//! What a real kernel did, recorded: read from ftrace's text, kept in a compact file, run under any policy.

mod format;
mod ftrace;
mod invented;
mod replay;

pub use format::{Entry, Header, MAGIC, Reader, Seen, TraceError, Writer};
pub use ftrace::{Imported, import};
pub use invented::Invented;
pub use replay::{Recorded, Replayed, replay};
