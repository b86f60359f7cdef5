//! Historical TLB-coherence bugs: a folder a class, a file a bug, its story beside it.
//!
//! Every model is ordinary Rust over [`shootdown_explore::sync`] and [`shootdown_machine::hw`], written for this
//! collection, and shares no line with the engine. A [`Bug`] says where it is from, what it takes to show it, and
//! builds the models: a chain of protocols, most often two.

mod bug;

mod freeing;
mod header;
mod interrupts;
mod lifetime;
mod masks;
mod mutants;
mod objections;
mod ordering;
mod others;
mod stage;
mod suspects;
mod tags;
#[cfg(test)]
mod tests;

pub use bug::{Bug, Class, Needs};
use bug::{bugs, code};
pub use header::{Problem, problems};
pub use mutants::mutants;
pub use stage::{Right, Stage};

pub use shootdown_machine::objections::Mutant;
pub use shootdown_machine::{Protocol, SOURCES, is_kebab_case};

use shootdown_machine::Case;

const CLASSES: [&[Bug]; 8] = [
    masks::ALL,
    ordering::ALL,
    tags::ALL,
    freeing::ALL,
    lifetime::ALL,
    interrupts::ALL,
    others::ALL,
    suspects::ALL,
];

/// All bugs, class by class.
pub fn all() -> impl Iterator<Item = &'static Bug> {
    CLASSES.into_iter().flatten()
}

/// All cases: each protocol of each bug, as `NAME/PROTOCOL`.
pub fn cases() -> Vec<Case> {
    all().flat_map(Bug::cases).collect()
}
