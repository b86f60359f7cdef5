//! What `shootdown doctor` puts in place of `shootdown-x86_64`: operands and calls of hypervisors, compiled from the
//! arch crate's own source. A platform that executes instructions is written over ports.

#[path = "../../crates/arch/x86_64/src"]
mod source {
    pub mod encode;
    pub mod paravirt;
}

pub use source::{encode, paravirt};
