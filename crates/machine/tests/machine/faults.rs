//! Writes that fault, by walkers that set no marks, and whether they end.

use super::common::{Main, holds, idle, verdict};
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

#[test]
fn a_walker_without_marks_needs_a_handler_that_sets_them() {
    let writes: Main = |m| m.machine.write_with_faults(0, 0, || false);
    let handles: Main = |m| {
        let entry = m.leaf(0);
        m.machine.write_with_faults(0, 0, || entry.swap(DIRTY, SeqCst) != DIRTY);
    };
    assert_eq!(verdict(pair(), &[writes, idle]), Verdict::Holds, "hardware sets the mark");
    holds(pair(), &[idle, handles]);
    let stuck = verdict(pair(), &[idle, writes]);
    assert!(matches!(stuck, Verdict::Deadlock(_) | Verdict::Livelock(_)), "{stuck:?}");
    // Another CPU's change of the entry helps.
    let sets: Main = |m| m.leaf(0).store(DIRTY, SeqCst);
    holds(pair(), &[sets, writes]);
}
