//! The platforms beside this package as a kernel compiles them: against the engine that ships, on real ports.
#![no_std]

#[path = "../toy_coherence.rs"]
pub mod toy_coherence;
#[path = "../toy_guest.rs"]
pub mod toy_guest;
#[path = "../toy_hypervisor.rs"]
pub mod toy_hypervisor;
#[path = "../toy_kernel.rs"]
pub mod toy_kernel;
#[cfg(target_arch = "x86_64")]
pub mod x86_64;

#[cfg(test)]
mod tests;
