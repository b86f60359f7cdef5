//! Machines that differ from the usual one: no hardware walker, broadcasts that do not wait for accesses.

mod common;

use common::{Main, SmallMachine, verdict};
use shootdown_explore::Verdict;
use shootdown_explore::sync::{self, fence};
use shootdown_model::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_model::{Builder, Machine};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

#[track_caller]
fn breaks(builder: Builder, mains: &[Main], message: &str) {
    assert_eq!(verdict(builder, mains), Verdict::Violates(message.into()));
}

#[track_caller]
fn misuses(builder: Builder, mains: &[Main], message: &str) {
    let verdict = verdict(builder, mains);
    // Behind it stands what the machine has.
    let said = verdict.words().and_then(|words| words.split(" (it has ").next());
    assert!(matches!(verdict, Verdict::Misuses(_)) && said == Some(message), "{verdict:?}");
}

/// Two CPUs in user mode in space A, where page 0 leads to frame 1.
fn pair() -> Builder {
    Machine::builder(2).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true).start(1, 0, 0, true)
}

fn idle(_: &SmallMachine) {}

fn unmap(small_machine: &SmallMachine) {
    small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
    fence(SeqCst);
}

fn flush_everywhere() {
    hw::broadcast(Whose::Space(0), Which::Page(0, WalkCache::Drop));
}

#[test]
fn without_a_hardware_walker_only_inserts_fill() {
    let free: Main = |small_machine| {
        unmap(small_machine);
        hw::free_frame(1);
    };
    let stale: Main = |small_machine| {
        let value = small_machine.machine.tables.leaf(0, 0).load(Relaxed);
        if value != 0 {
            hw::insert(0, 0, value);
        }
    };
    assert_eq!(verdict(pair().software_refill(), &[free, idle]), Verdict::Holds);
    let message = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    breaks(pair().software_refill(), &[free, stale], message);
    let message = "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    breaks(pair(), &[free, idle], message);
}

#[test]
fn inserts_are_refused_where_hardware_walks_and_where_they_mean_nothing() {
    let insert: Main = |_| hw::insert(0, 0, 1);
    let junk: Main = |_| hw::insert(0, 0, 7);
    misuses(pair(), &[insert, idle], "CPU 0: this machine cannot do this: insert page 0 -> f1");
    let message = "CPU 0: this machine cannot do this: insert page 0 -> value 7";
    misuses(pair().software_refill(), &[junk, idle], message);
}

const LATE: &str = "an access by CPU 1 may still arrive at frame 1, which was freed (SD-8)";

#[test]
fn one_broadcast_does_not_wait_for_accesses_where_it_may_be_early() {
    let once: Main = |small_machine| {
        unmap(small_machine);
        flush_everywhere();
        hw::flush_page(0, 0, WalkCache::Drop);
        hw::free_frame(1);
    };
    let twice: Main = |small_machine| {
        unmap(small_machine);
        flush_everywhere();
        flush_everywhere();
        hw::free_frame(1);
    };
    assert_eq!(verdict(pair(), &[once, idle]), Verdict::Holds);
    breaks(pair().late_accesses(), &[once, idle], LATE);
    assert_eq!(verdict(pair().late_accesses(), &[twice, idle]), Verdict::Holds);
}

#[test]
fn accesses_in_flight_end_with_a_root_load_but_not_with_user_mode() {
    let flushes_and_frees: Main = |small_machine| {
        unmap(small_machine);
        flush_everywhere();
        small_machine.word.store(1, Release);
        sync::wait_until(|| small_machine.word.load(Acquire) == 2);
        hw::free_frame(1);
    };
    let leaves_user_mode: Main = |small_machine| {
        hw::user(false);
        sync::wait_until(|| small_machine.word.load(Acquire) == 1);
        small_machine.word.store(2, Release);
    };
    let loads_a_root: Main = |small_machine| {
        hw::user(false);
        sync::wait_until(|| small_machine.word.load(Acquire) == 1);
        hw::install(None, 0, Install::FlushAll);
        small_machine.word.store(2, Release);
    };
    breaks(pair().late_accesses(), &[flushes_and_frees, leaves_user_mode], LATE);
    assert_eq!(verdict(pair().late_accesses(), &[flushes_and_frees, loads_a_root]), Verdict::Holds);
}

#[test]
fn firmware_flushes_the_cpu_that_is_named_and_no_other() {
    let flushed: Main = |small_machine| {
        unmap(small_machine);
        hw::flush_page(0, 0, WalkCache::Drop);
        hw::flush_on(1, Whose::Tag(0), Which::Page(0, WalkCache::Keep));
        hw::free_frame(1);
    };
    let forgotten: Main = |small_machine| {
        unmap(small_machine);
        hw::flush_on(0, Whose::Tag(0), Which::Page(0, WalkCache::Keep));
        hw::free_frame(1);
    };
    assert_eq!(verdict(pair(), &[flushed, idle]), Verdict::Holds);
    let message = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    breaks(pair(), &[forgotten, idle], message);
}

#[test]
fn a_cpu_that_is_taken_off_keeps_what_it_holds_and_is_checked_when_it_runs_again() {
    // CPU 1 is off until CPU 0 has freed the frame.
    let frees: Main = |small_machine| {
        sync::wait_until(|| small_machine.word.load(Acquire) == 1);
        unmap(small_machine);
        hw::flush_page(0, 0, WalkCache::Drop);
        hw::free_frame(1);
        small_machine.word.store(2, Release);
    };
    let flushes: Main = |small_machine| {
        hw::running(false);
        small_machine.word.store(1, Release);
        sync::wait_until(|| small_machine.word.load(Acquire) == 2);
        hw::flush_all();
        hw::running(true);
    };
    let forgets: Main = |small_machine| {
        hw::running(false);
        small_machine.word.store(1, Release);
        sync::wait_until(|| small_machine.word.load(Acquire) == 2);
        hw::running(true);
    };
    assert_eq!(verdict(pair(), &[frees, flushes]), Verdict::Holds);
    let message = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    breaks(pair(), &[frees, forgets], message);
}
