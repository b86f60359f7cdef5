//! The same small shootdown protocol, from one source, on this project's explorer and on loom, in one run: what each has
//! to visit, what each says of a sound and of a broken variant, and how long each takes.
//!
//! Two machines of two CPUs are compared, not two programs: loom knows weaker loads than the explorer, the explorer
//! interrupts and devices, of which this protocol has none. The numbers say what an answer about this protocol costs.

mod compare;
mod on_explorer;
mod on_loom;
mod protocol;

pub use compare::{Comparison, Outcome, Row, explore_vs_loom};
