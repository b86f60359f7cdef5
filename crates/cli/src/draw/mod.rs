//! Drawings of an execution: columns in a terminal, which the models' own command draws too, and a picture.

#[cfg(feature = "pages")]
mod interrupts;
#[cfg(feature = "pages")]
pub mod svg;

pub use shootdown_machine::draw::columns;
#[cfg(feature = "pages")]
pub use shootdown_machine::draw::{headings, lanes};
