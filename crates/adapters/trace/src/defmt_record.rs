//! Frames of the `defmt` crate.

use crate::Record;
use shootdown::CpuId;
use shootdown::trace::Event;

/// Logs an event at level `trace`. The words stay in the ELF file; what is sent are an index and the numbers.
#[inline]
pub fn to_defmt(cpu: CpuId, event: Event) {
    defmt::trace!("{}", Record::new(cpu, event));
}

impl defmt::Format for Record {
    fn format(&self, f: defmt::Formatter<'_>) {
        let cpu = self.cpu.number();
        match (self.space, self.generation, self.target) {
            (None, None, None) => defmt::write!(f, "CPU {=u32} {=str}", cpu, self.name),
            (Some(space), None, _) => {
                defmt::write!(f, "CPU {=u32} {=str} space={=u64}", cpu, self.name, space)
            }
            (Some(space), Some(generation), _) => {
                defmt::write!(
                    f,
                    "CPU {=u32} {=str} space={=u64} generation={=u64}",
                    cpu,
                    self.name,
                    space,
                    generation
                );
            }
            (None, Some(generation), _) => {
                defmt::write!(f, "CPU {=u32} {=str} generation={=u64}", cpu, self.name, generation);
            }
            (None, None, Some(target)) => {
                defmt::write!(f, "CPU {=u32} {=str} target={=u32}", cpu, self.name, target)
            }
        }
    }
}
