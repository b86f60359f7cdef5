//! TLB instructions of x86-64, and the part of a [`shootdown::Platform`] that is made of them.
//!
//! [`Mmu`] has the bodies of `flush_local`, `install`, `flush_remote` and the interrupt methods; an embedder adds its
//! interrupts between processors, its per-CPU memory and its frames:
//!
//! ```text
//! unsafe fn flush_local(&self, what: LocalFlush) {
//!     // SAFETY: 1. as the engine promises.
//!     unsafe { self.mmu.flush_local(what) }
//! }
//! ```
//!
//! [`encode`] computes operands and [`Plan`] chooses instructions, both pure and tested on any host; [`exec`] runs one
//! sequence a function, on x86-64 alone. [`Features`] decodes CPUID, [`Strategies`] says what is used of it. [`guest`]
//! has the second stage of hypervisors: EPT with VPIDs, and nested paging with ASIDs; [`rar`] has Intel's remote action
//! requests.
//!
//! A request that the hardware cannot carry out exactly is widened, never narrowed: a tag that is no PCID drops
//! everything, a range that is not canonical drops the whole context.
//!
//! A tag that is loaded is never flushed before it is left, and one that is not is flushed before it is loaded, so that
//! no walker meets a freed table between the two: one write of CR3 does both. PCID 0 is flushed at every load: it
//! stands for no tag, and for tags that are out of range. Freed tables: INVLPG drops the current PCID's cached tables
//! whatever the address, INVPCID of an address does not, so that one is widened to the PCID. Kernel tables are cached
//! under every PCID, global pages or not, so all go.
//!
//! Manuals: SDM is Intel's Software Developer's Manual, volume 3A, order number 325384-080, and volumes 2 and 3C; APM
//! is AMD's Architecture Programmer's Manual, volumes 2 and 3, publications 24593 and 24594.
#![no_std]
#![deny(unsafe_code)]

mod cpuid;
pub mod encode;
#[cfg(any(target_arch = "x86_64", doc))]
#[expect(unsafe_code, reason = "one instruction sequence a function")]
pub mod exec;
mod features;
pub mod guest;
#[cfg(any(target_arch = "x86_64", doc))]
#[expect(unsafe_code, reason = "carries plans out")]
mod mmu;
pub mod paravirt;
mod plan;
pub mod rar;

pub use cpuid::{Leaf, Leaves};
pub use features::Features;
#[cfg(any(target_arch = "x86_64", doc))]
pub use mmu::{Broadcaster, Mmu};
pub use plan::{Broadcast, KernelMappings, Plan, RANGE_CEILING, Step, Strategies, Tagging, Target};
