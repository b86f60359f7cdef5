//! Code that is changed while CPUs may have fetched it.

use super::common::{Main, SmallMachine, breaks, holds, idle, misuses, verdict_under};
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, SeqCst};
use shootdown_explore::{Memory, Verdict, sync};
use shootdown_model::{Builder, HardwareOrder, Machine, Privilege, hw};

const OLD: u64 = 1;
const NEW: u64 = 2;

/// Two CPUs in the kernel, and one piece of its code.
fn pair() -> Builder {
    Machine::builder(2).code(OLD)
}

fn patch(m: &SmallMachine) {
    m.machine.tables.code(0).store(NEW, SeqCst);
    sync::fence(SeqCst);
}

const STALE: &str = "CPU 1 can still run version 1 of code 0, which is obsolete (SD-8)";

/// Patches the code, synchronises, and declares the old version obsolete.
fn patch_and_retire(m: &SmallMachine, synchronise: fn()) {
    patch(m);
    synchronise();
    hw::obsolete(0, OLD);
}

/// Runs the new code once it is told.
fn run_when_told(m: &SmallMachine, order: Ordering, synchronise: fn()) {
    if m.word.load(order) == 1 {
        synchronise();
        hw::execute(0, NEW);
    }
}

#[test]
fn obsolete_code_must_be_out_of_every_cpu() {
    let everywhere: Main = |m| patch_and_retire(m, hw::synchronise_everywhere);
    let only_here: Main = |m| patch_and_retire(m, hw::synchronise_context);
    holds(pair(), &[everywhere, idle]);
    breaks(pair(), &[only_here, idle], STALE);
}

#[test]
fn who_synchronises_before_the_store_fetches_again() {
    let too_early: Main = |m| {
        hw::synchronise_everywhere();
        patch(m);
        hw::obsolete(0, OLD);
    };
    let stale = STALE.replace("CPU 1", "CPU 0");
    breaks(pair(), &[too_early, idle], &stale);
}

#[test]
fn user_code_runs_no_kernel_code_but_what_entries_run() {
    let only_here: Main = |m| patch_and_retire(m, hw::synchronise_context);
    let enters: Main = |_| hw::privilege(Privilege::Kernel);
    let catches_up: Main = |m| {
        sync::wait_until(|| m.machine.tables.code(0).load(Acquire) == NEW);
        hw::synchronise_context();
        hw::privilege(Privilege::Kernel);
    };
    let user = || pair().user_code(1);
    holds(user(), &[only_here, idle]);
    holds(user(), &[only_here, catches_up]);
    breaks(user(), &[only_here, enters], STALE);
    breaks(user().entry_code(0), &[only_here, idle], STALE);
}

#[test]
fn a_cpu_that_runs_code_may_hold_no_other_version() {
    let publishes: Main = |m| {
        patch(m);
        m.tell(1);
    };
    let runs: Main = |m| run_when_told(m, Acquire, || {});
    let synchronises: Main = |m| run_when_told(m, Acquire, hw::synchronise_context);
    let words = "CPU 1 may run version 1 of code 0, and not 2 (SD-8)";
    breaks(pair(), &[publishes, runs], words);
    holds(pair(), &[publishes, synchronises]);
    // What it fetched before the scenario begins counts, too.
    let fetched = Machine::builder(1).code(NEW).fetched(0, 0, OLD);
    let words = words.replace("CPU 1", "CPU 0");
    breaks(fetched, &[|_| hw::execute(0, NEW)], &words);
}

/// Whatever orders page walks: a CPU that synchronises fetches what it knows of, and nothing older.
#[test]
fn a_cpu_that_synchronises_fetches_what_it_knows_of_under_weak_memory() {
    let publishes: Main = |m| {
        m.machine.tables.code(0).store(NEW, Relaxed);
        m.tell(1);
    };
    let acquires: Main = |m| run_when_told(m, Acquire, hw::synchronise_context);
    let loads: Main = |m| run_when_told(m, Relaxed, hw::synchronise_context);
    let everywhere: Main = |m| {
        m.machine.tables.code(0).store(NEW, Relaxed);
        hw::synchronise_everywhere();
        hw::obsolete(0, OLD);
    };
    // CPU 1 has run the old code for the last time when it says so, however it does.
    let says: Main = |m| {
        hw::synchronise_context();
        m.word.store(1, Relaxed);
    };
    let hears: Main = |m| {
        if m.word.load(Relaxed) == 1 {
            hw::obsolete(0, OLD);
        }
    };
    let patched = |order| Machine::builder(2).order(order).code(NEW).fetched(1, 0, OLD);
    let words = "CPU 1 may run version 1 of code 0, and not 2 (SD-8)";
    for order in [HardwareOrder::Program, HardwareOrder::Barriers, HardwareOrder::Flushes] {
        let weak = |mains: [Main; 2]| verdict_under(Memory::Weak, pair().order(order), &mains);
        assert_eq!(weak([publishes, acquires]), Verdict::Holds, "{order:?}");
        assert_eq!(weak([publishes, loads]), Verdict::Violates(words.into()), "{order:?}");
        assert_eq!(weak([everywhere, idle]), Verdict::Holds, "{order:?}");
        assert_eq!(verdict_under(Memory::Weak, patched(order), &[hears, says]), Verdict::Holds, "{order:?}");
    }
}

#[test]
fn a_machine_without_code_runs_none() {
    misuses(
        Machine::builder(1),
        &[|_| hw::execute(0, 1)],
        "CPU 0: this machine cannot do this: run version 1 of code 0",
    );
}
