//! Historical TLB-coherence bugs, each as a broken and a fixed protocol on the simulated machine.
//!
//! Every model is ordinary Rust over [`shootdown_explore::sync`] and [`shootdown_machine::hw`], written for this collection,
//! and shares no line with the engine. A [`Bug`] says where it is from, what it takes to show it, and builds the model.

mod bug;
mod bugs;
mod header;
mod protocols;
#[cfg(test)]
mod tests;

pub use bug::{Bug, Class, Needs, Protocol};
pub use bugs::bugs;
pub use header::{Problem, is_kebab_case, problems};
pub use protocols::KIT;

use shootdown_machine::Case;

/// All cases: each bug as `NAME/broken` and `NAME/fixed`.
pub fn cases() -> Vec<Case> {
    bugs().flat_map(Bug::cases).collect()
}
