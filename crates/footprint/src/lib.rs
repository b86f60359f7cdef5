//! Weighs the machine code of the engine.
//!
//! A static library holds all that the operations of `shootdown-footprint-probe` can come to, the core library included.
//! [`Program`] makes a graph of it, whose edges are the relocations: every reference to a function counts as a call, and
//! what a constant refers to (a table of functions) counts as called by whoever refers to the constant. Calls through a
//! pointer that the embedder hands in are the embedder's. So the graph holds every call that there can be, and may hold
//! more.

mod bound;
mod built;
mod known;
pub mod panics;
mod program;
mod reach;
pub mod size;
pub mod stack;

pub use bound::Bound;
pub use built::{Built, PLATFORMS};
pub use program::{Kind, Node, Program, Reference};
pub use reach::Reached;
