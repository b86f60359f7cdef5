//! Machines that differ from the usual one: no hardware walker, broadcasts that do not wait for accesses.

use shootdown_explore::sync::{self, fence};
use shootdown_explore::{Memory, Options, Registry, Scenario, Verdict, explore};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Builder, Machine};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

type Main = fn(&Machine);

struct Rig {
    machine: Machine,
    mains: Vec<Main>,
}

impl Scenario for Rig {
    type Device = Machine;
    fn cpus(&self) -> usize {
        self.mains.len()
    }
    fn main(&self, cpu: usize) {
        self.mains[cpu](&self.machine);
    }
    fn device(&self) -> &Machine {
        &self.machine
    }
    fn register(&self, registry: &mut Registry) {
        self.machine.register(registry, &[]);
    }
}

fn verdict(builder: Builder, mains: &[Main]) -> Verdict {
    let rig = Rig { machine: builder.build(), mains: mains.to_vec() };
    explore(&rig, &Options { memory: Memory::Tso, workers: 1, ..Options::default() }).verdict
}

#[track_caller]
fn breaks(builder: Builder, mains: &[Main], message: &str) {
    assert_eq!(verdict(builder, mains), Verdict::Violates(message.into()));
}

/// Two CPUs in user mode in space A, where page 0 leads to frame 1.
fn pair() -> Builder {
    Machine::builder(2).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true).start(1, 0, 0, true)
}

fn idle(_: &Machine) {}

fn unmap(machine: &Machine) {
    machine.tables.leaf(0, 0).store(0, Relaxed);
    fence(SeqCst);
}

fn flush_everywhere() {
    hw::broadcast(Whose::Space(0), Which::Page(0, WalkCache::Drop));
}

#[test]
fn without_a_hardware_walker_only_inserts_fill() {
    let free: Main = |machine| {
        unmap(machine);
        hw::free_frame(1);
    };
    let stale: Main = |machine| {
        let value = machine.tables.leaf(0, 0).load(Relaxed);
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
    breaks(pair(), &[insert, idle], "CPU 0: this machine cannot do this: insert page 0 -> f1");
    let message = "CPU 0: this machine cannot do this: insert page 0 -> value 7";
    breaks(pair().software_refill(), &[junk, idle], message);
}

const LATE: &str = "an access by CPU 1 may still arrive at frame 1, which was freed (SD-8)";

#[test]
fn one_broadcast_does_not_wait_for_accesses_where_it_may_be_early() {
    let once: Main = |machine| {
        unmap(machine);
        flush_everywhere();
        hw::flush_page(0, 0, WalkCache::Drop);
        hw::free_frame(1);
    };
    let twice: Main = |machine| {
        unmap(machine);
        flush_everywhere();
        flush_everywhere();
        hw::free_frame(1);
    };
    assert_eq!(verdict(pair(), &[once, idle]), Verdict::Holds);
    breaks(pair().late_accesses(), &[once, idle], LATE);
    assert_eq!(verdict(pair().late_accesses(), &[twice, idle]), Verdict::Holds);
}

#[test]
fn accesses_in_flight_arrive_before_their_cpu_loads_a_root() {
    let unmaps: Main = |machine| {
        hw::user(false);
        unmap(machine);
        flush_everywhere();
        if sync::choose(2) == 0 {
            hw::install(None, 0, Install::FlushAll);
        }
        hw::revoke(1);
    };
    let alone: Main = |machine| {
        hw::user(false);
        unmap(machine);
        flush_everywhere();
        hw::install(None, 0, Install::FlushAll);
        hw::revoke(1);
    };
    let late = "an access by CPU 0 may still arrive at frame 1 writable, which was revoked (SD-8)";
    let single = || Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true);
    breaks(single().late_accesses(), &[unmaps], late);
    assert_eq!(verdict(single().late_accesses(), &[alone]), Verdict::Holds);
}
