//! Writes that fault, by walkers that set no marks, and whether they end.

mod common;

use common::{Main, SmallMachine, verdict};
use core::sync::atomic::Ordering::SeqCst;
use shootdown_explore::Verdict;
use shootdown_model::{Builder, Machine};

const CLEAN: u64 = 1;
const DIRTY: u64 = 2;

/// Two CPUs, the second of which has a walker that sets no marks.
fn pair() -> Builder {
    let machine = Machine::builder(2).translation(1, Some(0), false).translation(1, Some(0), true);
    machine.marks_dirty(CLEAN, DIRTY).map(0, 0, CLEAN).sets_no_marks(1)
}

fn idle(_: &SmallMachine) {}

#[test]
fn a_walker_without_marks_needs_a_handler_that_sets_them() {
    let writes: Main = |small_machine| small_machine.machine.write_with_faults(0, 0, || false);
    let handles: Main = |small_machine| {
        let entry = small_machine.machine.tables.leaf(0, 0);
        small_machine.machine.write_with_faults(0, 0, || entry.swap(DIRTY, SeqCst) != DIRTY);
    };
    assert_eq!(verdict(pair(), &[writes, idle]), Verdict::Holds, "hardware sets the mark");
    assert_eq!(verdict(pair(), &[idle, handles]), Verdict::Holds);
    let stuck = verdict(pair(), &[idle, writes]);
    assert!(matches!(stuck, Verdict::Deadlock(_) | Verdict::Livelock(_)), "{stuck:?}");
    // What somebody else does to the entry helps.
    let sets: Main = |small_machine| small_machine.machine.tables.leaf(0, 0).store(DIRTY, SeqCst);
    assert_eq!(verdict(pair(), &[sets, writes]), Verdict::Holds);
}
