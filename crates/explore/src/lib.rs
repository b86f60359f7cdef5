//! Runs ordinary synchronous Rust through every execution of a small SMP machine.
//!
//! Code under check uses the cells and functions of [`sync`]; a [`Scenario`] says what each CPU runs,
//! a [`Device`] adds what hardware does besides memory; [`explore`] visits every reachable state.

mod cells;
mod coder;
mod coroutine;
mod device;
mod explore;
mod footprint;
mod hash;
mod intern;
mod learn;
mod machine;
mod op;
mod options;
mod reached;
mod reduce;
mod report;
mod resolve;
mod round;
mod run;
mod scenario;
mod set;
mod state;
mod symmetry;
pub mod sync;
mod trace;
mod values;
mod words;
mod worker;
mod world;

pub use device::{Commutes, Device, Effect, Facts, NoDevice, View, Violation};
pub use explore::{explore, replay};
pub use options::{Memory, Options, Progress, Reductions};
pub use report::{Action, Move, Reached, Report, Step, Trace, Verdict};
pub use scenario::{Registry, Scenario};
