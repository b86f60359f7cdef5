//! What a real kernel did, recorded: read from the text of tracers, kept in a compact file, run under any policy.

mod format;
mod import;
mod invented;
mod replay;

pub use format::{Entry, Header, MAGIC, Reader, Seen, TraceError, Writer};
pub use import::{ImportError, ImportOptions, Imported, import};
pub use invented::Invented;
pub use replay::{Recorded, Replayed, replay};
