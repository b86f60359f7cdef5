//! What hypervisors offer in place of interrupts between virtual CPUs.
//!
//! Checked as the engine's `transport-paravirtual` and `transport-hypercall` scenarios.

pub mod hyperv;
pub mod kvm;
