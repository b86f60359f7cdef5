//! A CPU switches to a task whose stack is at an address that it has cached from an earlier stack.

use crate::bugs::{Bug, code};
use crate::protocols::slot::Slot;
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "asterinas-26c50ea3-kernel-stack",
    id: "G48",
    source: "26c50ea33591",
    year: 2025,
    title: "Track and flush TLBs that map kernel stacks",
    kernel: "Asterinas",
    arch: "x86",
    rules: &[5, 8],
    about: "A new task's stack is mapped where an old one was; a CPU that still holds the old translation \
            switches to the task and runs on the old stack.",
    ends: "CPU 0 can still use kernel page 0 -> frame 1 writable, which was revoked (SD-8)",
    engine: "two-flushers",
    code: code!["asterinas_26c50ea3.rs", "slot.rs"],
    ..Bug::race(Memory::Tso, |variant| Slot::model(variant == Variant::Fixed))
};
