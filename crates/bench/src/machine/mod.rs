//! A simulated multiprocessor: sequentially consistent, one event at a time, the same counts from the same seed.
//!
//! Each CPU runs its operations as a coroutine, so that policies and the engine are ordinary synchronous code: a wait
//! suspends the CPU until a cache line that it polls is written, and a flush of its TLB until that is complete, so that
//! others act in the middle of a handler. IPIs arrive after a delay, between operations or during waits.

mod cost;
mod hw;
mod lines;
pub mod model;
mod operation;
mod oracle;
mod policy;
mod run;
mod staleness;
mod tally;
mod tlb;

pub use cost::COSTS;
pub(crate) use cost::SECOND;
pub(crate) use hw::{forget_lines, with};
pub use lines::Touched;
pub use operation::{ByOperation, Operation, Spent};
pub use policy::{Policy, Request};
pub use run::{CpuCount, MAX_CPUS, Op, Outcome, Source, run, run_watched};
pub(crate) use run::{pass, suspend};
pub use tally::{Class, Tally, Totals};
pub use tlb::{LARGE, LARGE_SHIFT, PageTables, Pages};
