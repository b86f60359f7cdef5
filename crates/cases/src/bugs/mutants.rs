use super::Bug;
use shootdown_machine::Variant;
use shootdown_machine::objections::{self, Mutant};

/// Takes each step of the fix out of the mended protocol of `bug`; see [`objections::mutants`].
pub fn mutants(bug: &Bug) -> Vec<Mutant> {
    match (bug.model(Variant::Broken), bug.model(Variant::Fixed)) {
        (Ok(broken), Ok(fixed)) => objections::mutants(&broken, &fixed, bug.fixed_under, bug.argued),
        _ => Vec::new(),
    }
}
