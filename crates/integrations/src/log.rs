//! Events of the engine as records of the [`::log`] crate: `TRACE shootdown: CPU 1 caught-up space=7 generation=3`.
//!
//! The engine calls [`Platform::event`](shootdown::Platform::event) at each step of the protocol: a space was switched
//! to, a flush announced, an IPI sent and handled. One line in the platform hands them on:
//!
//! ```
//! # use shootdown::trace::Event;
//! # use shootdown::CpuId;
//! # struct Kernel;
//! # impl Kernel {
//! # fn cpu(&self) -> CpuId { CpuId::new(1) }
//! fn event(&self, event: Event) {
//!     shootdown_integrations::log::emit(self.cpu(), event);
//! }
//! # }
//! # Kernel.event(Event::Online);
//! ```
//!
//! Events come with interrupts on or off, and from interrupt handlers: a logger must take no lock that waits for
//! another CPU.

use crate::{Record, TARGET};
use shootdown::CpuId;
use shootdown::trace::Event;

/// Logs an event at level `Trace`, under the target [`TARGET`]. Costs one load while the level is off.
#[inline]
pub fn emit(cpu: CpuId, event: Event) {
    ::log::trace!(target: TARGET, "{}", Record::new(cpu, event));
}
