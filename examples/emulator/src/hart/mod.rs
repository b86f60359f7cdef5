//! A hart: registers, control registers, traps, and what one instruction does. It knows memory by a trait alone.

mod csr;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use state::{Cause, Hart, Mode, Trap, View};
pub use step::{Memory, Next, Stop, step};
