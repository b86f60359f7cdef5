//! Events of the `tracing` crate.

use crate::Record;
use shootdown::CpuId;
use shootdown::trace::Event;

/// Makes an event at level `TRACE`, under the target [`TARGET`](crate::TARGET), with the fields `cpu`, `space`, `generation`
/// and `target`, those that there are, and the event's word as message.
#[inline]
pub fn to_tracing(cpu: CpuId, event: Event) {
    if tracing::enabled!(target: "shootdown", tracing::Level::TRACE) {
        let Record { cpu, name, space, generation, target } = Record::new(cpu, event);
        tracing::event!(
            target: "shootdown",
            tracing::Level::TRACE,
            cpu = cpu.number(),
            space,
            generation,
            target,
            message = name
        );
    }
}
