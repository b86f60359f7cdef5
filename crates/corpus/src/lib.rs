//! Placeholder.
/// All corpus cases.
pub fn cases() -> Vec<shootdown_machine::Case> { Vec::new() }
