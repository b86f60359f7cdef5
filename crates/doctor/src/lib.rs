//! Examines an implementation of [`shootdown::Platform`] on a simulated machine, through every execution of a fixed set
//! of scenarios, and says which line of the platform's contract it breaks.
//!
//! The platform is written over [`shootdown::ports::Ports`]. This crate implements these ports by a simulated machine:
//! TLBs that hold whatever hardware might hold, walkers that fill at any time, interrupts that come at any moment,
//! store buffers. A check either looks at one method (does `flush_local` drop what it was asked for, and no less?) or
//! has the engine run on the platform, on two or three CPUs. A finding comes with the execution that shows it.
//!
//! `shootdown doctor PATH` does this from the command line. In a test, [`examine_path`] does the same with a source
//! file or a crate's folder; [`examine`] takes a platform that is already compiled with the explorer's engine.

mod boot;
mod build;
mod checks;
mod cpu;
mod examine;
mod iommu;
mod plan;
mod report;
mod run;
mod sim;
mod size;
mod world;

pub use build::{Build, DoctorError, examine_path};
pub use examine::{examine, examine_with, print_events};
pub use report::{Drawn, Event, Finding, Outcome, Report, Verdict};
pub use sim::Sim;
pub use world::PlatformUnderTest;
