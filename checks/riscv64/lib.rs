//! What `shootdown doctor` puts in place of `shootdown-riscv64`, so that a platform's file is examined as it ships: the
//! operands are compiled from the arch crate's own source, [`Mmu`] with its plans too, and an instruction is a step of
//! the simulated machine.

#[path = "../../crates/arch/riscv64/src"]
mod source {
    pub mod encode;
    pub mod guest;
    pub mod mmu;
    pub mod plan;
}

pub mod exec;

pub use exec::{simulated_free_root, simulated_hart};
pub use source::encode;
pub use source::guest::{GuestFence, GuestInstall, GuestStep, GuestTlbs, Guests, Handover};
pub use source::mmu::Mmu;
use source::plan;
pub use source::plan::{Install, RANGE_CEILING, SatpWrite, Step, Strategies};
