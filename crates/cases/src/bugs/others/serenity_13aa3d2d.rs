//! A temporary mapping that another CPU has made is used without a flush.

use crate::bugs::{Bug, code};
use crate::protocols::slot::Slot;
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "serenity-13aa3d2d-quickmap",
    id: "G39",
    source: "13aa3d2d62e3",
    year: 2020,
    title: "Kernel: Flush TLB when quick-mapping PD/PT that was mapped on other CPU",
    kernel: "SerenityOS",
    arch: "x86",
    rules: &[5, 8],
    about: "A temporary mapping is flushed only if its entry changes; a CPU that finds the entry as it \
            needs it has not flushed since another CPU wrote it.",
    ends: "CPU 0 can still use kernel page 0 -> frame 1 writable, which was revoked (SD-8)",
    engine: "two-flushers",
    code: code!["serenity_13aa3d2d.rs", "slot.rs"],
    ..Bug::race(Memory::Tso, |variant| Slot::model(variant == Variant::Fixed))
};
