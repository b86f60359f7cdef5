//! A flush reads the mask before its page-table store has left the store buffer.

use crate::bugs::boxed;
use crate::bugs::{Bug, Needs, code};
use crate::protocols::switch_in::{Bit, Policy, SwitchIn};
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "linux-71b3c126-x86-switch-barrier",
    id: "B1",
    source: "71b3c126e611 (CVE-2016-2069)",
    title: "x86/mm: Add barriers and document switch_mm()-vs-flush synchronization",
    arch: "x86",
    rules: &[4, 5],
    needs: Needs::StoreBuffer,
    about: "A CPU that does not run the space clears an entry and reads the mask with no barrier between: a CPU that \
            switches in meanwhile is not in the mask yet and still reads the old entry.",
    story: include_str!("linux_71b3c126.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in/pso",
    code: code!["linux_71b3c126.rs", "switch_in.rs"],
    build: |variant| boxed(model(variant)),
    ..super::CLASS
};

fn model(variant: Variant) -> SwitchIn {
    let fences = variant == Variant::Fixed;
    SwitchIn::new(Policy { bit: Bit::BeforeRoot, fences })
}
