//! Counts what the engine's operations cost: the instructions between entry and return, on a platform whose primitives
//! are empty, as callgrind sees them.
//!
//! The same program gives the same numbers on every run; another compiler gives others, and so does another
//! architecture. The aims are for x86-64. A full fence and a locked read-modify-write count one each, like any other
//! instruction, so a count says nothing about time across CPUs; it says what the engine adds to the primitives.

mod callgrind;
pub mod host;
mod operations;
mod table;
pub mod workload;

pub use callgrind::measure;
pub use operations::{EXCEPTIONS, Exception, OPERATIONS, Operation, WATCH_LIMIT, WATCHED, Watched};
pub use table::{Row, Standing, Table, Watch};
