//! Memory that can be given back: frames, page tables, the memory of a space.

use loom::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What went wrong in this execution. Collected rather than thrown, because unwinding a CPU would run the engine's
/// `Drop`s, which wait for CPUs that no longer run.
#[derive(Clone, Default)]
pub(super) struct Blame(Arc<Mutex<Vec<String>>>);

impl Blame {
    pub(super) fn report(&self, what: String) {
        self.0.lock().expect("no panic under this lock").push(what);
    }

    pub(super) fn first(&self) -> Option<String> {
        self.0.lock().expect("no panic under this lock").first().cloned()
    }
}

/// A piece of memory that hardware or software uses until it is given back.
///
/// loom reports a use that is not ordered against the giving back, whichever of the two ran first; the flag shows a use
/// that is ordered and simply too late. The flag is invisible to loom's search, which is sound: without an order
/// between the two the cell fails, and with one every execution of that order sets the flag in the same way.
pub struct Memory {
    name: String,
    cell: UnsafeCell<()>,
    gone: AtomicBool,
    blame: Blame,
}

// SAFETY: the cell holds nothing; loom tracks its accesses, and finding unordered ones is what it is here for.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

impl Memory {
    pub(super) fn new(name: impl Into<String>, blame: &Blame) -> Arc<Self> {
        let (cell, gone) = (UnsafeCell::new(()), AtomicBool::new(false));
        Arc::new(Self { name: name.into(), cell, gone, blame: blame.clone() })
    }

    /// Somebody uses it.
    pub(super) fn used(&self) {
        if self.gone.load(Ordering::Relaxed) {
            self.blame.report(format!("{} used after it was given back", self.name));
        }
        self.guarded(|| self.cell.with(|_| ()));
    }

    /// It is given back: from now on it is somebody else's.
    pub(super) fn reused(&self) {
        if self.gone.swap(true, Ordering::Relaxed) {
            self.blame.report(format!("{} given back twice", self.name));
        }
        self.guarded(|| self.cell.with_mut(|_| ()));
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Turns loom's panic about an unordered access into a report.
    fn guarded(&self, access: impl FnOnce()) {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(access)).is_err() {
            self.blame.report(format!("{}: a use and the giving back are not ordered", self.name));
        }
    }
}

/// Ownership of a piece of memory: dropped, the memory is given back.
pub struct Owned(pub(super) Arc<Memory>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.reused();
    }
}
