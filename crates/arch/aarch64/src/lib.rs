//! TLB maintenance of AArch64, and the part of a [`shootdown::Platform`] that is made of it.
//!
//! [`Mmu`] has the bodies of `flush_local`, `install`, `flush_remote`, `publish_tables` and the interrupt methods; an
//! embedder adds its interrupts between processors, its per-CPU memory and its frames. [`Stage2`] does the same for the
//! guests of a hypervisor. [`encode`] computes operands and [`Strategies`] chooses instructions, both pure and tested
//! on any host; [`exec`] runs one sequence a function, on AArch64 alone.
//!
//! A request that the hardware cannot carry out exactly is widened, never narrowed: a tag that is no ASID drops
//! everything, pages smaller than the granule drop the granule. Level hints ([`encode::Ttl`]) are never given on behalf
//! of the engine: a wrong hint drops nothing, and the engine merges requests of several page sizes into one of the
//! smallest. The common-not-private bit is not set, since each CPU numbers spaces for itself.
//!
//! A tag that is loaded is never flushed before it is left, and one that is not is flushed before it is loaded, so that
//! no walker meets a freed table between the two. ASID 0 is flushed at every load: it stands for no tag, and for tags
//! that are out of range. Where tables are freed, TLBI takes the form for all levels.
//!
//! Manual: Arm is the Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue J.a.
#![no_std]
#![deny(unsafe_code)]

pub mod encode;
#[cfg(any(target_arch = "aarch64", doc))]
#[expect(unsafe_code, reason = "one instruction sequence a function")]
pub mod exec;
mod features;
mod guest;
mod id_registers;
#[cfg(any(target_arch = "aarch64", doc))]
#[expect(unsafe_code, reason = "carries plans out")]
mod mmu;
mod ops;
mod plan;
#[cfg(any(target_arch = "aarch64", doc))]
#[expect(unsafe_code, reason = "carries sequences out")]
mod stage2;

pub use features::{AsidIn, Features, Translation};
pub use guest::{GuestFlush, GuestPages, Guests};
pub use id_registers::IdRegisters;
#[cfg(any(target_arch = "aarch64", doc))]
pub use mmu::{Broadcaster, Mmu};
pub use ops::{Form, Ops, Tlbi};
pub use plan::{Errata, Install, RANGE_CEILING, Roots, Strategies};
#[cfg(any(target_arch = "aarch64", doc))]
pub use stage2::Stage2;
