//! The shipped engine on the simulated machine: platform, scenarios, and the switches that remove a rule or an ordering.

mod fault;

pub use fault::Fault;

use crate::case::Case;

/// All engine cases, with `fault` injected.
pub fn cases(fault: Fault) -> Vec<Case> {
    let _ = fault;
    Vec::new()
}
