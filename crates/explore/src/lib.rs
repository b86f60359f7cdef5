//! Runs ordinary synchronous Rust through every execution of a small SMP machine.
//!
//! Code under check uses the cells and functions of [`sync`]; a [`Scenario`] says what each CPU runs,
//! a [`Device`] adds what hardware does besides memory; [`explore`] visits every reachable state.

mod device;
mod options;
mod report;
mod scenario;
pub mod sync;

pub use device::{Commutes, Device, Effect, Facts, NoDevice, View, Violation};
pub use options::{Memory, Options, Progress, Reductions};
pub use report::{Action, Move, Reached, Report, Step, Trace, Verdict, explore, replay};
pub use scenario::{Registry, Scenario};
