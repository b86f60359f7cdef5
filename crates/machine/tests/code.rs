//! Code that is changed while CPUs may have fetched it.

mod common;

use common::{Main, SmallMachine, verdict, verdict_under};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::{Memory, Verdict, sync};
use shootdown_model::{Builder, HardwareOrder, Machine, Privilege, hw};

const OLD: u64 = 1;
const NEW: u64 = 2;

fn idle(_: &SmallMachine) {}

/// Two CPUs in the kernel, and one piece of its code.
fn pair() -> Builder {
    Machine::builder(2).code(OLD)
}

fn patch(small_machine: &SmallMachine) {
    small_machine.machine.tables.code(0).store(NEW, SeqCst);
    sync::fence(SeqCst);
}

const STALE: &str = "CPU 1 can still run version 1 of code 0, which is obsolete (SD-8)";

#[test]
fn obsolete_code_must_be_out_of_every_cpu() {
    let everywhere: Main = |small_machine| {
        patch(small_machine);
        hw::synchronise_everywhere();
        hw::obsolete(0, OLD);
    };
    let only_here: Main = |small_machine| {
        patch(small_machine);
        hw::synchronise_context();
        hw::obsolete(0, OLD);
    };
    assert_eq!(verdict(pair(), &[everywhere, idle]), Verdict::Holds);
    assert_eq!(verdict(pair(), &[only_here, idle]), Verdict::Violates(STALE.into()));
}

#[test]
fn who_synchronises_before_the_store_fetches_again() {
    let too_early: Main = |small_machine| {
        hw::synchronise_everywhere();
        patch(small_machine);
        hw::obsolete(0, OLD);
    };
    let stale = STALE.replace("CPU 1", "CPU 0");
    assert_eq!(verdict(pair(), &[too_early, idle]), Verdict::Violates(stale.as_str().into()));
}

#[test]
fn user_code_runs_no_kernel_code_but_what_entries_run() {
    let only_here: Main = |small_machine| {
        patch(small_machine);
        hw::synchronise_context();
        hw::obsolete(0, OLD);
    };
    let enters: Main = |_| hw::privilege(Privilege::Kernel);
    let catches_up: Main = |small_machine| {
        sync::wait_until(|| small_machine.machine.tables.code(0).load(Acquire) == NEW);
        hw::synchronise_context();
        hw::privilege(Privilege::Kernel);
    };
    let user = || pair().user_code(1);
    assert_eq!(verdict(user(), &[only_here, idle]), Verdict::Holds);
    assert_eq!(verdict(user(), &[only_here, catches_up]), Verdict::Holds);
    assert_eq!(verdict(user(), &[only_here, enters]), Verdict::Violates(STALE.into()));
    assert_eq!(verdict(user().entry_code(0), &[only_here, idle]), Verdict::Violates(STALE.into()));
}

#[test]
fn a_cpu_that_runs_code_may_hold_no_other_version() {
    let publishes: Main = |small_machine| {
        patch(small_machine);
        small_machine.word.store(1, Release);
    };
    let runs: Main = |small_machine| {
        if small_machine.word.load(Acquire) == 1 {
            hw::execute(0, NEW);
        }
    };
    let synchronises: Main = |small_machine| {
        if small_machine.word.load(Acquire) == 1 {
            hw::synchronise_context();
            hw::execute(0, NEW);
        }
    };
    let words = "CPU 1 may run version 1 of code 0, and not 2 (SD-8)";
    assert_eq!(verdict(pair(), &[publishes, runs]), Verdict::Violates(words.into()));
    assert_eq!(verdict(pair(), &[publishes, synchronises]), Verdict::Holds);
    // What it fetched before the scenario begins counts, too.
    let fetched = Machine::builder(1).code(NEW).fetched(0, 0, OLD);
    let words = words.replace("CPU 1", "CPU 0");
    let found = verdict(fetched, &[|_| hw::execute(0, NEW)]);
    assert_eq!(found, Verdict::Violates(words.as_str().into()));
}

/// Whatever orders page walks: a CPU that synchronises fetches what it knows of, and nothing older.
#[test]
fn a_cpu_that_synchronises_fetches_what_it_knows_of_under_weak_memory() {
    let publishes: Main = |small_machine| {
        small_machine.machine.tables.code(0).store(NEW, Relaxed);
        small_machine.word.store(1, Release);
    };
    let acquires: Main = |small_machine| {
        if small_machine.word.load(Acquire) == 1 {
            hw::synchronise_context();
            hw::execute(0, NEW);
        }
    };
    let loads: Main = |small_machine| {
        if small_machine.word.load(Relaxed) == 1 {
            hw::synchronise_context();
            hw::execute(0, NEW);
        }
    };
    let everywhere: Main = |small_machine| {
        small_machine.machine.tables.code(0).store(NEW, Relaxed);
        hw::synchronise_everywhere();
        hw::obsolete(0, OLD);
    };
    // CPU 1 has run the old code for the last time when it says so, however it does.
    let says: Main = |small_machine| {
        hw::synchronise_context();
        small_machine.word.store(1, Relaxed);
    };
    let hears: Main = |small_machine| {
        if small_machine.word.load(Relaxed) == 1 {
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
    let misuse = "CPU 0: this machine cannot do this: run version 1 of code 0";
    let found = verdict(Machine::builder(1), &[|_| hw::execute(0, 1)]);
    assert!(matches!(&found, Verdict::Misuses(words) if words.starts_with(misuse)), "{found:?}");
}
