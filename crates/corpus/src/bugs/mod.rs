//! The bugs: a folder a class, a file a bug, its story beside it.

mod freeing;
mod interrupts;
mod lifetime;
mod masks;
mod ordering;
mod others;
mod suspects;
mod tags;

use crate::bug::Bug;

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
pub fn bugs() -> impl Iterator<Item = &'static Bug> {
    CLASSES.into_iter().flatten()
}
