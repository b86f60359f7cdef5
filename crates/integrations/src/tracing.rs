//! Events of the engine as events of the [`::tracing`] crate, with fields.
//!
//! One line in the platform hands them on:
//!
//! ```
//! # use shootdown::trace::Event;
//! # use shootdown::CpuId;
//! # struct Kernel;
//! # impl Kernel {
//! # fn cpu(&self) -> CpuId { CpuId::new(1) }
//! fn event(&self, event: Event) {
//!     shootdown_integrations::tracing::emit(self.cpu(), event);
//! }
//! # }
//! # Kernel.event(Event::Online);
//! ```
//!
//! Events come with interrupts on or off, and from interrupt handlers: a subscriber must take no lock that waits for
//! another CPU.

use crate::Record;
use shootdown::CpuId;
use shootdown::trace::Event;

/// Makes an event at level `TRACE`, under the target [`TARGET`](crate::TARGET), with the fields `cpu`, `space`,
/// `generation` and `target`, those that there are, and the event's word as message.
#[inline]
pub fn emit(cpu: CpuId, event: Event) {
    if ::tracing::enabled!(target: "shootdown", ::tracing::Level::TRACE) {
        let Record { cpu, name, space, generation, target } = Record::new(cpu, event);
        ::tracing::event!(
            target: "shootdown",
            ::tracing::Level::TRACE,
            cpu = cpu.number(),
            space,
            generation,
            target,
            message = name
        );
    }
}
