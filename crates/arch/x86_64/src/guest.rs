//! Guests of a hypervisor: second stages of translation.
//!
//! A space of the engine is a guest: its addresses are guest physical, its root is the top-level table of the second
//! stage. CPUs name guests each for itself, so the policy is [`PerCpuSlots`](shootdown::tags::PerCpuSlots)
//! (this crate asks for the engine's feature `per-cpu-tags`), and flushes reach other CPUs by IPIs, which make them leave
//! their guest. Second-stage tables are walked on behalf of a running guest alone. So `install` writes no register: it prepares what the next VM entry takes ([`EptEntry`], [`NptEntry`]),
//! and with no root nothing is loaded.
//!
//! | | Intel: [`Ept`] | AMD: [`Npt`] |
//! |---|---|---|
//! | the hypervisor changes a table | INVEPT of the root, or of all | TLB_CONTROL at the next VMRUN, or a fresh ASID |
//! | one page of it | as above: INVEPT takes no address | as above: INVLPGA takes a guest's *virtual* address |
//! | a guest's own translations | INVVPID | INVLPGA, or as above |
//!
//! A tag is a guest's on a CPU. Virtual CPUs of one guest that take turns on a CPU run under the same VPID or ASID, and
//! each has page tables of its own: where another one of the guest has run since, `flush_own` comes before the entry.

mod ept;
mod npt;
#[cfg(any(target_arch = "x86_64", doc))]
#[expect(unsafe_code, reason = "carries plans out")]
mod vmx;

pub use ept::{EptCpu, EptEntry, EptInstall, EptStep, EptStrategies, EptVpidCap, Own, OwnStep, Unsupported};
pub use npt::{Npt, NptCpu, NptEntry, NptError, Svm};
#[cfg(any(target_arch = "x86_64", doc))]
pub use vmx::Ept;
