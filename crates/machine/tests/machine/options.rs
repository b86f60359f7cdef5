//! Machines that differ from the usual one: no hardware walker, broadcasts that do not wait for accesses.

use super::common::{
    Main, SmallMachine, breaks, holds, idle, misuses, pair, stale_on, unmap, unmap_and_free,
};
use core::sync::atomic::Ordering::Relaxed;
use shootdown_model::hw::{self, Install, WalkCache, Which, Whose};

fn flush_everywhere() {
    hw::broadcast(Whose::Space(0), Which::Page(0, WalkCache::Drop));
}

#[test]
fn without_a_hardware_walker_only_inserts_fill() {
    let free: Main = |m| unmap_and_free(m, || {});
    let stale: Main = |m| {
        let value = m.leaf(0).load(Relaxed);
        if value != 0 {
            hw::insert(0, 0, value);
        }
    };
    holds(pair().software_refill(), &[free, idle]);
    stale_on(1, pair().software_refill(), &[free, stale]);
    stale_on(0, pair(), &[free, idle]);
}

#[test]
fn inserts_are_refused_where_hardware_walks_and_where_they_mean_nothing() {
    let insert: Main = |_| hw::insert(0, 0, 1);
    let junk: Main = |_| hw::insert(0, 0, 7);
    misuses(pair(), &[insert, idle], "CPU 0: this machine cannot do this: insert page 0 -> f1w");
    let message = "CPU 0: this machine cannot do this: insert page 0 -> value 7";
    misuses(pair().software_refill(), &[junk, idle], message);
}

const LATE: &str = "an access by CPU 1 may still arrive at frame 1, which was freed (SD-8)";

#[test]
fn one_broadcast_does_not_wait_for_accesses_where_it_may_be_early() {
    let once: Main = |m| {
        unmap_and_free(m, || {
            flush_everywhere();
            hw::flush_page(0, 0, WalkCache::Drop);
        })
    };
    let twice: Main = |m| {
        unmap_and_free(m, || {
            flush_everywhere();
            flush_everywhere();
        })
    };
    holds(pair(), &[once, idle]);
    breaks(pair().late_accesses(), &[once, idle], LATE);
    holds(pair().late_accesses(), &[twice, idle]);
}

#[test]
fn accesses_in_flight_end_with_a_root_load_but_not_with_user_mode() {
    let flushes_and_frees: Main = |m| {
        unmap(m);
        flush_everywhere();
        m.tell(1);
        m.wait_for(2);
        hw::free_frame(1);
    };
    fn leaves_user_mode(m: &SmallMachine, and_then: fn()) {
        hw::user(false);
        m.wait_for(1);
        and_then();
        m.tell(2);
    }
    let stays: Main = |m| leaves_user_mode(m, || {});
    let loads_a_root: Main = |m| leaves_user_mode(m, || hw::install(None, 0, Install::FlushAll));
    breaks(pair().late_accesses(), &[flushes_and_frees, stays], LATE);
    holds(pair().late_accesses(), &[flushes_and_frees, loads_a_root]);
}

#[test]
fn firmware_flushes_the_cpu_that_is_named_and_no_other() {
    let flushed: Main = |m| {
        unmap_and_free(m, || {
            hw::flush_page(0, 0, WalkCache::Drop);
            hw::flush_on(1, Whose::Tag(0), Which::Page(0, WalkCache::Keep));
        })
    };
    let forgotten: Main =
        |m| unmap_and_free(m, || hw::flush_on(0, Whose::Tag(0), Which::Page(0, WalkCache::Keep)));
    holds(pair(), &[flushed, idle]);
    stale_on(1, pair(), &[forgotten, idle]);
}

#[test]
fn a_cpu_that_is_taken_off_keeps_what_it_holds_and_is_checked_when_it_runs_again() {
    // CPU 1 is off until CPU 0 has freed the frame.
    let frees: Main = |m| {
        m.wait_for(1);
        unmap(m);
        hw::flush_page(0, 0, WalkCache::Drop);
        hw::free_frame(1);
        m.tell(2);
    };
    fn is_taken_off(m: &SmallMachine, flush: fn()) {
        hw::running(false);
        m.tell(1);
        m.wait_for(2);
        flush();
        hw::running(true);
    }
    holds(pair(), &[frees, |m| is_taken_off(m, hw::flush_all)]);
    stale_on(1, pair(), &[frees, |m| is_taken_off(m, || {})]);
}
