//! The policies that are compared: the engine, kernels as their descriptions say, and two bounds.

mod engine;
mod kernel;
mod kinds;
mod state;
mod style;
mod words;

use crate::machine::Policy;
use std::rc::Rc;

pub use kinds::PolicyKind;

/// Makes a policy for a machine of so many CPUs, with tags or without.
pub fn policy(kind: PolicyKind, cpus: u32, tags: bool) -> Rc<dyn Policy> {
    match kind {
        PolicyKind::Shootdown => engine::policy(cpus, tags, true),
        PolicyKind::ShootdownExact => engine::policy(cpus, tags, false),
        modelled => Rc::new(kernel::Kernel::new(style::style(modelled, tags))),
    }
}
