//! Software that uses frames past the TLB.

mod common;

use common::{Main, SmallMachine};
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use shootdown_explore::{Verdict, sync};
use shootdown_model::{Machine, hw};

/// Two spaces; page 0 of each is mapped, value 1 belongs to the first, value 2 to the second.
fn verdict(mains: &[Main]) -> Verdict {
    let machine = Machine::builder(mains.len())
        .spaces(2, 1)
        .translation(1, Some(0), true)
        .translation(2, Some(1), true)
        .map(0, 0, 1)
        .map(1, 0, 2);
    common::verdict(machine, mains)
}

/// Looks page 0 of the first space up and uses what is found.
fn look_up(small_machine: &SmallMachine) {
    match small_machine.machine.tables.leaf(0, 0).load(Acquire) {
        0 => {}
        value => hw::access(0, value),
    }
}

#[test]
fn software_must_not_use_a_frame_that_was_freed() {
    let free: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
        hw::free_frame(1);
    };
    assert_eq!(verdict(&[look_up]), Verdict::Holds);
    let message = "CPU 1 uses frame 1, which was freed (SD-8)";
    assert_eq!(verdict(&[free, look_up]), Verdict::Violates(message.into()));
}

#[test]
fn software_must_not_use_a_value_that_was_revoked() {
    let revoke: Main = |_| hw::revoke(1);
    let message = "CPU 1 uses frame 1 writable, which was revoked (SD-8)";
    assert_eq!(verdict(&[revoke, look_up]), Verdict::Violates(message.into()));
}

#[test]
fn software_must_not_use_what_belongs_to_another_space() {
    let remap: Main = |small_machine| small_machine.machine.tables.leaf(0, 0).store(2, Relaxed);
    let message = "CPU 1 uses frame 2 of space B for space A (SD-12)";
    assert_eq!(verdict(&[remap, look_up]), Verdict::Violates(message.into()));
}

#[test]
fn software_that_found_nothing_uses_nothing() {
    let unmapped: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
        sync::fence(core::sync::atomic::Ordering::SeqCst);
        look_up(small_machine);
        hw::free_frame(1);
    };
    assert_eq!(verdict(&[unmapped]), Verdict::Holds);
}
