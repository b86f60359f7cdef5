//! TLB instructions of LoongArch64, and the part of a [`shootdown::Platform`] that is made of them.
//!
//! [`Mmu`] has the bodies of `flush_local`, `install`, `send_ipi` and the interrupt methods; an embedder adds its
//! per-CPU memory, its frames, and the handler of TLB refills. [`encode`] computes operands and [`Strategies`] chooses
//! instructions, both pure and tested on any host; [`exec`] runs one sequence a function, on LoongArch alone.
//!
//! A request that the hardware cannot carry out exactly is widened, never narrowed: a tag that is no ASID of this
//! machine drops everything. INVTLB reaches one core, so others take IPIs.
//!
//! A tag that is loaded is never flushed before it is left, and one that is not is flushed before it is loaded, so that
//! no walker meets a freed table between the two. ASID 0 is flushed at every load: it stands for no tag, and for tags
//! that are out of range.
//!
//! Most cores walk no tables: at each miss a handler of the kernel, at TLBRENTRY, does ([`Walker::Software`]). It runs
//! with interrupts off and remembers nothing. So a core that handles an IPI is in no walk, and a freed table needs no
//! other flush than its pages do. A hardware walker ([`Walker::Hardware`]) may cache tables.
//!
//! Manuals: LA is the LoongArch Reference Manual, volume 1, version 1.10, cited by the register or instruction that a
//! section is about; 3A is the Loongson 3A5000 User Manual, for IPIs.
#![no_std]
#![deny(unsafe_code)]

pub mod encode;
#[cfg(any(target_arch = "loongarch64", doc))]
#[expect(unsafe_code, reason = "one instruction sequence a function")]
pub mod exec;
#[cfg(any(target_arch = "loongarch64", doc))]
#[expect(unsafe_code, reason = "carries plans out")]
mod mmu;
mod plan;

#[cfg(any(target_arch = "loongarch64", doc))]
pub use mmu::Mmu;
pub use plan::{Install, KernelMappings, RANGE_CEILING, Step, Strategies, Walker};
