//! Which TLB tag a space runs under on a CPU.

mod policy;
mod slots;

pub use policy::{Assignment, Held, Reach, TagCpu, TagPolicy, TagSpace, Untagged};
pub use slots::{PerCpuSlots, SLOTS, TagSlots};
