//! The same machine, on the same engine with switches that remove a rule.

use host::shootdown::fault;
use shootdown_host_instrumented as host;

#[expect(clippy::duplicate_mod, reason = "the same code on two builds of the engine")]
#[path = "vm/mod.rs"]
pub mod vm;

/// Whether there is a rule of that number.
pub fn has_rule(number: u8) -> bool {
    fault::rule(number).is_some()
}

/// Removes a rule from the engine of every machine of this process. Call it before there is one.
pub fn drop_rule(number: u8) {
    fault::inject(fault::rule(number).expect("the command line knows the rules"));
}
