//! Frames, who owns them, and what must never happen to them.

use std::sync::{Mutex, MutexGuard};

/// What a frame is used for, in an order of uses: a frame that is given back and taken again has another number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lease {
    /// Number of the frame.
    pub frame: usize,
    epoch: u64,
}

/// The frames of the machine, and all that was found wrong.
pub struct Oracle {
    inner: Mutex<Inner>,
}

struct Inner {
    /// Epoch of each frame; odd while it is in use.
    epochs: Vec<u64>,
    /// Last in, first out: a frame that is given back is used again at once.
    free: Vec<usize>,
    found: Vec<String>,
}

impl Oracle {
    /// Makes a machine with so many free frames.
    pub fn new(frames: usize) -> Self {
        let inner = Inner { epochs: vec![0; frames], free: (0..frames).collect(), found: Vec::new() };
        Self { inner: Mutex::new(inner) }
    }

    /// Takes a free frame.
    pub fn take(&self) -> Lease {
        let mut inner = self.inner();
        let frame = inner.free.pop().expect("as many frames as there are pages");
        inner.epochs[frame] += 1;
        Lease { frame, epoch: inner.epochs[frame] }
    }

    /// Gives a frame back.
    pub fn give(&self, lease: Lease) {
        if !self.holds(lease) {
            self.report(format!("frame {} given back twice", lease.frame));
            return;
        }
        let mut inner = self.inner();
        inner.epochs[lease.frame] += 1;
        inner.free.push(lease.frame);
    }

    /// Whether what was once leased is still the same.
    pub fn holds(&self, lease: Lease) -> bool {
        self.inner().epochs[lease.frame] == lease.epoch
    }

    /// Number of frames that are in use.
    pub fn in_use(&self) -> usize {
        let inner = self.inner();
        inner.epochs.len() - inner.free.len()
    }

    /// Something is wrong. Collected rather than thrown: a CPU that unwinds waits in the engine's `Drop`s.
    pub fn report(&self, what: String) {
        self.inner().found.push(what);
    }

    /// The first thing that was wrong.
    pub fn first(&self) -> Option<String> {
        self.inner().found.first().cloned()
    }

    /// Never held across an operation of shuttle, so never waited for.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic under this lock")
    }
}
