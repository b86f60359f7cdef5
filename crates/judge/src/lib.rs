//! A judge for real kernels.
#![no_std]
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a platform's promises, handed on")]
mod checked;
mod cpu;
mod judge;
mod removal;
mod sync;
mod verdict;

pub use checked::{Checked, Wrapped};
pub use judge::{Judge, Moment};
pub use verdict::{Counts, Kind, Missing, Panics, Tally, Verdict, Violation};
