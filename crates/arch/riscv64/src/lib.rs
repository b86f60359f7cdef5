//! TLB instructions of RISC-V with 64 bits, and the part of a [`shootdown::Platform`] that is made of them.
//!
//! [`Mmu`] has the bodies of `flush_local`, `install`, `flush_remote` and the interrupt methods; an embedder adds its
//! interrupts between processors, its per-CPU memory and its frames. [`Stage2`] does the same for the guests of a
//! hypervisor, whose tags are VMIDs. [`encode`] computes operands and [`Strategies`] chooses instructions, both pure
//! and tested on any host; [`exec`] runs one sequence a function, on RISC-V alone.
//!
//! A request that the hardware cannot carry out exactly is widened, never narrowed: a tag that is no ASID of this
//! machine drops everything, and freed tables drop the whole ASID, since `sfence.vma` with an address reaches leaf
//! entries alone.
//!
//! A tag that is loaded is never flushed before it is left, and one that is not is flushed before it is loaded, so that
//! no walker meets a freed table between the two. ASID 0 is flushed at every load: it stands for no tag, and for tags
//! that are out of range. A write to satp orders nothing by the manual, so a fence follows each unless the embedder
//! says that the core orders walks there, as Linux takes for granted.
//!
//! Where code is changed under [`FlushRequest::contexts`](shootdown::flush::FlushRequest::contexts), `fence.i` follows
//! what may stand for such a request; [`Strategies::without_code_changes`] saves it.
//!
//! Manuals: Unpriv and Priv are The RISC-V Instruction Set Manual, volumes I and II, Unprivileged and Privileged
//! Architecture, version 20240411, cited by the register or instruction that a section is about; SBI is the RISC-V
//! Supervisor Binary Interface Specification, version 2.0.
#![no_std]
#![deny(unsafe_code)]

pub mod encode;
#[cfg(any(target_arch = "riscv64", doc))]
#[expect(unsafe_code, reason = "one instruction sequence a function")]
pub mod exec;
mod guest;
#[cfg(any(target_arch = "riscv64", doc))]
#[expect(unsafe_code, reason = "carries plans out")]
mod mmu;
mod plan;
#[cfg(any(target_arch = "riscv64", doc))]
#[expect(unsafe_code, reason = "carries sequences out")]
mod stage2;

pub use guest::{GuestFence, GuestInstall, GuestStep, GuestTlbs, Guests, Handover};
#[cfg(any(target_arch = "riscv64", doc))]
pub use mmu::Mmu;
pub use plan::{Install, RANGE_CEILING, SatpWrite, Step, Strategies};
#[cfg(any(target_arch = "riscv64", doc))]
pub use stage2::Stage2;
