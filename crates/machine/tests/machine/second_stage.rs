//! Guests: two stages of translation, and what a flush of one of them reaches.

use super::common::{Main, SmallMachine, breaks, holds, idle, misuses, stale_on};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_model::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_model::{Builder, Combined, Machine};

/// The tag of the VM.
const VM: u8 = 1;

/// A guest on CPU 1, whose page 0 leads to guest page 1, and that to frame 1.
fn guest(combined: Combined) -> Builder {
    let machine = Machine::builder(2).tags(2).translation(1, Some(0), true).translation(2, Some(0), true);
    machine.second_stage(VM, combined, &[1, 2]).map(0, 0, 1).start(1, 0, VM, true)
}

/// Takes guest page 1 out of the second stage, flushes, and gives the frame back.
fn unmap_and_free(m: &SmallMachine, flush: fn()) {
    m.machine.tables.second_stage(1).store(0, Relaxed);
    sync::fence(SeqCst);
    flush();
    hw::free_frame(1);
}

fn flush_vm() {
    hw::broadcast(Whose::Tag(VM), Which::All);
}

#[test]
fn combined_entries_stay_where_only_the_second_stage_is_flushed() {
    let guest_page: Main = |m| unmap_and_free(m, || hw::broadcast_guest_page(1));
    holds(guest(Combined::Go), &[guest_page, idle]);
    stale_on(1, guest(Combined::Stay), &[guest_page, idle]);
}

#[test]
fn who_flushes_both_begins_with_the_second_stage() {
    let second_first: Main = |m| {
        unmap_and_free(m, || {
            hw::broadcast_guest_page(1);
            flush_vm();
        })
    };
    let combined_first: Main = |m| {
        unmap_and_free(m, || {
            flush_vm();
            hw::broadcast_guest_page(1);
        })
    };
    let another_page: Main = |m| {
        unmap_and_free(m, || {
            hw::broadcast_guest_page(2);
            flush_vm();
        })
    };
    holds(guest(Combined::Stay), &[second_first, idle]);
    for main in [combined_first, another_page] {
        stale_on(1, guest(Combined::Stay), &[main, idle]);
    }
}

#[test]
fn a_guest_page_is_flushed_on_this_cpu_alone_unless_it_is_broadcast() {
    let here: Main = |m| unmap_and_free(m, || hw::flush_guest_page(1));
    stale_on(1, guest(Combined::Go), &[here, idle]);
}

/// The guest moved from CPU 1 to CPU 0, has page 0 lead to guest page 2 there, and comes back.
#[test]
fn a_flush_of_the_second_stage_leaves_the_first() {
    let remaps: Main = |m| {
        m.wait_for(1);
        hw::install(Some(0), VM, Install::Keep);
        m.leaf(0).store(2, SeqCst);
        hw::flush_page(VM, 0, WalkCache::Keep);
        hw::install(None, 0, Install::Keep);
        hw::revoke(1);
        m.tell(2);
    };
    fn leaves_and_returns(m: &SmallMachine, flush: fn()) {
        hw::user(false);
        hw::install(None, 0, Install::Keep);
        m.tell(1);
        m.wait_for(2);
        (1..3).for_each(hw::flush_guest_page);
        flush();
        hw::install(Some(0), VM, Install::Keep);
        hw::user(true);
    }
    let second_stage: Main = |m| leaves_and_returns(m, || {});
    let both: Main = |m| leaves_and_returns(m, || hw::flush_tag(VM));
    let stale = "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)";
    let combined = || guest(Combined::Go);
    let split = || guest(Combined::Go).keeps_first_stage();
    holds(combined(), &[remaps, second_stage]);
    breaks(split(), &[remaps, second_stage], stale);
    holds(split(), &[remaps, both]);
}

#[test]
fn a_machine_of_one_stage_has_no_guest_pages() {
    misuses(
        Machine::builder(1),
        &[|_| hw::flush_guest_page(1)],
        "CPU 0: this machine cannot do this: flush guest page 1",
    );
}
