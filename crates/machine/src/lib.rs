//! What hardware may do with page tables and TLBs, and an oracle that watches it.
//!
//! A [`Machine`] is the [`shootdown_explore::Device`] of a scenario. Page tables are ordinary words in [`Tables`]; TLB and
//! root instructions are the functions of [`hw`]. After every step the machine adds to each CPU's TLB all that hardware
//! could have read by then, so the TLB is the *set* of translations that the CPU may hold, and only a flush takes something
//! out. The oracle then asks whether a CPU can use what was already given away.

mod absent;
mod case;
mod code;
mod config;
mod conflict;
mod device;
mod dirty;
mod dissect;
mod domain;
pub mod hw;
mod leaves;
mod limits;
mod machine;
mod oracle;
mod privilege;
mod roots;
mod second_stage;
mod show;
mod software;
mod state;
mod tables;
#[cfg(test)]
mod tests;

pub use case::{
    Case, Expected, Kind, Model, Objections, OnMachine, Program, ReplayFn, Variant, boxed, run, run_again,
};
pub use config::{Builder, Combined, Translation};
pub use device::{InvalidationQueue, Submitted};
pub use limits::{MAX_CPUS, MAX_PAGES, MAX_TAGS};
pub use machine::{Acknowledged, Machine, MaskWord};
pub use state::{Local, Privilege, Shared};
pub use tables::{Tables, space_name};
