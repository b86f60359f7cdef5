//! Historical TLB-coherence bugs, each as a broken and a fixed protocol on the simulated machine.
//!
//! Every model is ordinary Rust over [`shootdown_explore::sync`] and [`shootdown_machine::hw`], written for this corpus,
//! and shares no line with the engine. A [`Header`] says where the bug is from and what it takes to show it.

mod bugs;
mod header;
mod shapes;
#[cfg(test)]
mod tests;

pub use bugs::headers;
pub use header::{Class, Header, Needs};

use shootdown_machine::Case;

/// All cases: each bug as `NAME/broken` and `NAME/fixed`.
pub fn cases() -> Vec<Case> {
    bugs::cases()
}
