//! Software that uses frames past the TLB.

use super::common::{Main, SmallMachine, breaks, holds, unmap};
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use shootdown_model::{Builder, Machine, hw};

/// Two spaces; page 0 of each is mapped, value 1 belongs to the first, value 2 to the second.
fn two(cpus: usize) -> Builder {
    Machine::builder(cpus).spaces(2, 1).own_page(0, 0, 1).own_page(1, 0, 2)
}

/// Looks page 0 of the first space up and uses what is found.
fn look_up(m: &SmallMachine) {
    match m.leaf(0).load(Acquire) {
        0 => {}
        value => hw::access(0, value),
    }
}

#[test]
fn software_must_not_use_a_frame_that_was_freed() {
    let free: Main = |m| {
        m.leaf(0).store(0, Relaxed);
        hw::free_frame(1);
    };
    holds(two(1), &[look_up]);
    let message = "CPU 1 uses frame 1, which was freed (SD-8)";
    breaks(two(2), &[free, look_up], message);
}

#[test]
fn software_must_not_use_a_value_that_was_revoked() {
    let revoke: Main = |_| hw::revoke(1);
    let message = "CPU 1 uses frame 1 writable, which was revoked (SD-8)";
    breaks(two(2), &[revoke, look_up], message);
}

#[test]
fn software_must_not_use_what_belongs_to_another_space() {
    let remap: Main = |m| m.leaf(0).store(2, Relaxed);
    let message = "CPU 1 uses frame 2 of space B for space A (SD-12)";
    breaks(two(2), &[remap, look_up], message);
}

#[test]
fn software_that_found_nothing_uses_nothing() {
    let unmapped: Main = |m| {
        unmap(m);
        look_up(m);
        hw::free_frame(1);
    };
    holds(two(1), &[unmapped]);
}
