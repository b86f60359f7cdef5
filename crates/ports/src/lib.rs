//! The verbs of hardware on which a platform of the engine is written once.
//!
//! A [`shootdown::Platform`] that is written over [`Ports`] runs on whatever implements them: on the machine they are an
//! arch crate's instructions and the interrupt controller; under `shootdown doctor` they are a simulated machine, on which
//! every execution of the platform is visited, and checked against the platform's contract.
//!
//! ```text
//!   your platform:  impl<H: Ports> Platform for Kernel<H>     impl<H: Ports> Portable<H> for Kernel<H>
//!                        |                                          |
//!                   on the machine                             under the doctor
//!                        |                                          |
//!                   H = your ports: write CR3, TLBI, ICR       H = the simulated machine
//! ```
//!
//! The book's chapter "Porting" writes such a platform, and `examples/ports` has whole ones.
#![no_std]
#![deny(unsafe_code)]

mod deferred;
mod portable;
mod ports;
pub mod sync;

pub use deferred::Deferred;
pub use portable::Portable;
pub use ports::{Broadcasts, Entries, HOST_FLUSHES, HOST_PREEMPTED, Host, Levels, Ports};

/// Hash of the sources that this was compiled from, which is compared with those of the checkout.
#[cfg(shootdown_source)]
pub const SOURCE: &str = env!("SHOOTDOWN_SOURCE");
