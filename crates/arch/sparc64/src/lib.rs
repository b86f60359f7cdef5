//! TLB instructions of sparc64, and the part of a [`shootdown::Platform`] that is made of them: for sun4u, where the
//! kernel works the MMU itself, and for sun4v, where a hypervisor does.
//!
//! [`Mmu`] has the bodies of `flush_local`, `install`, `send_ipi` and the interrupt methods; an embedder adds its
//! per-CPU memory, its frames, and the handlers of TLB misses. [`encode`] computes operands and [`Strategies`] chooses
//! instructions, both pure and tested on any host. The instructions need the feature `nightly`, since `asm!` for
//! sparc64 is unstable, and a core library built from source: `cargo +nightly build -Zbuild-std=core --target
//! sparc64-unknown-linux-gnu --features nightly`.
//!
//! TLBs are filled by software or from translation storage buffers (TSBs), so what a flush concerns besides TLBs, the
//! kernel's own TSB entries, must be cleared before the engine is asked. Tags are context numbers; context 0 is the
//! kernel's. A request that the hardware cannot carry out exactly is widened, never narrowed.
//!
//! A tag that is loaded is never flushed before it is left, and one that is not is flushed before it is loaded, so that
//! no walker meets a freed table between the two. The highest context is flushed at every load: it stands for no tag,
//! and for tags that are out of range.
//!
//! Manuals: US is Sun's UltraSPARC I & II User's Manual, 802-7220; US3 is the UltraSPARC III Cu User's Manual; HV is
//! the UltraSPARC Virtual Machine Specification (hypervisor API 2.0).
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(all(target_arch = "sparc64", feature = "nightly"), feature(asm_experimental_arch))]

pub mod encode;
#[cfg(any(all(target_arch = "sparc64", feature = "nightly"), doc))]
#[expect(unsafe_code, reason = "one instruction sequence a function")]
pub mod exec;
#[cfg(any(all(target_arch = "sparc64", feature = "nightly"), doc))]
#[expect(unsafe_code, reason = "carries plans out")]
mod mmu;
mod plan;

#[cfg(any(all(target_arch = "sparc64", feature = "nightly"), doc))]
pub use mmu::Mmu;
pub use plan::{Machine, RANGE_CEILING, Step, Strategies};
