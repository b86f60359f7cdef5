//! What `shootdown doctor` puts in place of `shootdown-riscv64`, so that a platform's file is examined as it ships: the operands are
//! compiled from the arch crate's own source, and an instruction is a step of the simulated machine.

#[path = "../../crates/arch/riscv64/src"]
mod source {
    pub mod encode;
}

pub mod exec;

pub use exec::simulated_hart;
pub use source::encode;
