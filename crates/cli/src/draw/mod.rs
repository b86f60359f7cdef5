//! Drawings of an execution: columns in a terminal, which the models' own command draws too, and a picture.

#[cfg(feature = "full")]
mod interrupts;
#[cfg(feature = "full")]
pub mod svg;

pub use shootdown_machine::draw::columns;
#[cfg(feature = "full")]
pub use shootdown_machine::draw::{headings, lanes};
