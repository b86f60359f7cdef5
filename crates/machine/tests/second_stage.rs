//! Guests: two stages of translation, and what a flush of one of them reaches.

mod common;

use common::{Main, SmallMachine, verdict};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::{Verdict, sync};
use shootdown_model::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_model::{Builder, Combined, Machine};

/// The tag of the VM.
const VM: u8 = 1;

fn idle(_: &SmallMachine) {}

/// A guest on CPU 1, whose page 0 leads to guest page 1, and that to frame 1.
fn guest(combined: Combined) -> Builder {
    let machine = Machine::builder(2).tags(2).translation(1, Some(0), true).translation(2, Some(0), true);
    machine.second_stage(VM, combined, &[1, 2]).map(0, 0, 1).start(1, 0, VM, true)
}

/// Takes guest page 1 out of the second stage.
fn unmap(small_machine: &SmallMachine) {
    small_machine.machine.tables.second_stage(1).store(0, Relaxed);
    sync::fence(SeqCst);
}

fn flush_vm() {
    hw::broadcast(Whose::Tag(VM), Which::All);
}

const STALE: &str = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";

#[test]
fn combined_entries_stay_where_only_the_second_stage_is_flushed() {
    let guest_page: Main = |small_machine| {
        unmap(small_machine);
        hw::broadcast_guest_page(1);
        hw::free_frame(1);
    };
    assert_eq!(verdict(guest(Combined::Go), &[guest_page, idle]), Verdict::Holds);
    assert_eq!(verdict(guest(Combined::Stay), &[guest_page, idle]), Verdict::Violates(STALE.into()));
}

#[test]
fn who_flushes_both_begins_with_the_second_stage() {
    let second_first: Main = |small_machine| {
        unmap(small_machine);
        hw::broadcast_guest_page(1);
        flush_vm();
        hw::free_frame(1);
    };
    let combined_first: Main = |small_machine| {
        unmap(small_machine);
        flush_vm();
        hw::broadcast_guest_page(1);
        hw::free_frame(1);
    };
    let another_page: Main = |small_machine| {
        unmap(small_machine);
        hw::broadcast_guest_page(2);
        flush_vm();
        hw::free_frame(1);
    };
    assert_eq!(verdict(guest(Combined::Stay), &[second_first, idle]), Verdict::Holds);
    for main in [combined_first, another_page] {
        assert_eq!(verdict(guest(Combined::Stay), &[main, idle]), Verdict::Violates(STALE.into()));
    }
}

#[test]
fn a_guest_page_is_flushed_on_this_cpu_alone_unless_it_is_broadcast() {
    let here: Main = |small_machine| {
        unmap(small_machine);
        hw::flush_guest_page(1);
        hw::free_frame(1);
    };
    assert_eq!(verdict(guest(Combined::Go), &[here, idle]), Verdict::Violates(STALE.into()));
}

/// The guest moved from CPU 1 to CPU 0, has page 0 lead to guest page 2 there, and comes back.
#[test]
fn a_flush_of_the_second_stage_leaves_the_first() {
    let remaps: Main = |small_machine| {
        sync::wait_until(|| small_machine.word.load(Acquire) == 1);
        hw::install(Some(0), VM, Install::Keep);
        small_machine.machine.tables.leaf(0, 0).store(2, SeqCst);
        hw::flush_page(VM, 0, WalkCache::Keep);
        hw::install(None, 0, Install::Keep);
        hw::revoke(1);
        small_machine.word.store(2, Release);
    };
    fn leaves_and_returns(small_machine: &SmallMachine, flush: fn()) {
        hw::user(false);
        hw::install(None, 0, Install::Keep);
        small_machine.word.store(1, Release);
        sync::wait_until(|| small_machine.word.load(Acquire) == 2);
        (1..3).for_each(hw::flush_guest_page);
        flush();
        hw::install(Some(0), VM, Install::Keep);
        hw::user(true);
    }
    let second_stage: Main = |small_machine| leaves_and_returns(small_machine, || {});
    let both: Main = |small_machine| leaves_and_returns(small_machine, || hw::flush_tag(VM));
    let stale = "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)";
    let combined = || guest(Combined::Go);
    let split = || guest(Combined::Go).keeps_first_stage();
    assert_eq!(verdict(combined(), &[remaps, second_stage]), Verdict::Holds);
    assert_eq!(verdict(split(), &[remaps, second_stage]), Verdict::Violates(stale.into()));
    assert_eq!(verdict(split(), &[remaps, both]), Verdict::Holds);
}

#[test]
fn a_machine_of_one_stage_has_no_guest_pages() {
    let misuse = "CPU 0: this machine cannot do this: flush guest page 1";
    let found = verdict(Machine::builder(1), &[|_| hw::flush_guest_page(1)]);
    assert!(matches!(&found, Verdict::Misuses(words) if words.starts_with(misuse)), "{found:?}");
}
