//! Events of the engine as frames of the [`::defmt`] crate.
//!
//! One line in the platform hands them on:
//!
//! ```no_run
//! # use shootdown::trace::Event;
//! # use shootdown::CpuId;
//! # struct Kernel;
//! # impl Kernel {
//! # fn cpu(&self) -> CpuId { CpuId::new(1) }
//! fn event(&self, event: Event) {
//!     shootdown_integrations::defmt::emit(self.cpu(), event);
//! }
//! # }
//! ```
//!
//! Events come with interrupts on or off, and from interrupt handlers: a logger must take no lock that waits for
//! another CPU.

use crate::Record;
use shootdown::CpuId;
use shootdown::trace::Event;

/// Logs an event at level `trace`. The words of the format stay in the ELF file; only an index and the numbers are
/// sent.
#[inline]
pub fn emit(cpu: CpuId, event: Event) {
    ::defmt::trace!("{}", Record::new(cpu, event));
}

impl ::defmt::Format for Record {
    fn format(&self, f: ::defmt::Formatter<'_>) {
        let cpu = self.cpu.number();
        match (self.space, self.generation, self.target) {
            (None, None, None) => ::defmt::write!(f, "CPU {=u32} {=str}", cpu, self.name),
            (Some(space), None, _) => {
                ::defmt::write!(f, "CPU {=u32} {=str} space={=u64}", cpu, self.name, space)
            }
            (Some(space), Some(generation), _) => {
                ::defmt::write!(
                    f,
                    "CPU {=u32} {=str} space={=u64} generation={=u64}",
                    cpu,
                    self.name,
                    space,
                    generation
                );
            }
            (None, Some(generation), _) => {
                ::defmt::write!(f, "CPU {=u32} {=str} generation={=u64}", cpu, self.name, generation);
            }
            (None, None, Some(target)) => {
                ::defmt::write!(f, "CPU {=u32} {=str} target={=u32}", cpu, self.name, target)
            }
        }
    }
}
