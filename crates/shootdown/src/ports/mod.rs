//! The verbs of hardware on which a platform of the engine is written once.
//!
//! A [`Platform`](crate::Platform) that is written over [`Ports`] runs on whatever implements them: on the machine they
//! are an arch crate's instructions and the interrupt controller; under `shootdown doctor` they are a simulated
//! machine, on which every execution of the platform is visited, and checked against the platform's contract.
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

mod deferred;
mod embedded;
mod hardware;
mod portable;

/// Words that CPUs share, and waiting for them. A platform takes these in place of `core`'s atomics, so that the doctor
/// sees each access.
pub mod sync {
    pub use crate::sync::{Word, fence, retry, wait_until};
}

pub use deferred::Deferred;
pub use embedded::{Embedded, PortableCoherence};
pub use hardware::{Broadcasts, Commands, Entries, FlushCalls, HOST_FLUSHES, HOST_PREEMPTED, Host, Ports};
pub use portable::Portable;
