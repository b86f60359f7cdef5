//! The protocol, over whatever cells a checker brings.

use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// A shared word of a checker.
pub(crate) trait Cell: Send + Sync + 'static {
    fn new(name: &'static str, value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn swap(&self, value: u64, order: Ordering) -> u64;
}

/// What else a checker brings.
pub(crate) trait Checker {
    type Cell: Cell;
    fn full_fence();
    fn wait_until(condition: impl Fn() -> bool);
    /// An access through a translation of a frame that was freed.
    fn stale_access();
}

/// Which variant runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// With both fences.
    Sound,
    /// Without the borrower's fence between its mask bit and the generation. Either CPU's store may wait in its store
    /// buffer while it reads what the other is about to change.
    WithoutFence,
}

/// How often the borrower borrows. With 2 the explorer visits 394 states; loom is not done after 2,000,000 executions.
const ROUNDS: u64 = 1;

/// A page, the two CPUs' words, and the frame that the page maps.
pub(crate) struct Machine<C: Checker> {
    /// 1 while the page maps the frame.
    entry: C::Cell,
    /// Flushes so far.
    generation: C::Cell,
    /// The borrower's bit in the mask, in a word of its own.
    member: C::Cell,
    /// Generation with which the borrower's TLB agrees.
    caught: C::Cell,
    /// Whether an IPI to the borrower is pending.
    ipi: C::Cell,
    /// 1 from the moment at which the frame may be anybody's.
    freed: C::Cell,
    variant: Variant,
}

impl<C: Checker> Machine<C> {
    pub(crate) fn new(variant: Variant) -> Self {
        Self {
            entry: C::Cell::new("entry", 1),
            generation: C::Cell::new("generation", 1),
            member: C::Cell::new("member", 0),
            caught: C::Cell::new("caught", 0),
            ipi: C::Cell::new("ipi", 0),
            freed: C::Cell::new("freed", 0),
            variant,
        }
    }

    /// Unmaps the page, has the borrower's TLB flushed if it may hold the entry, then frees the frame.
    pub(crate) fn unmap(&self) {
        self.entry.store(0, Relaxed);
        // This CPU alone writes the generation: the page-table lock is its.
        let generation = self.generation.load(Relaxed) + 1;
        self.generation.store(generation, Release);
        C::full_fence();
        let late = || self.member.load(Acquire) != 0 && self.caught.load(Acquire) < generation;
        if late() {
            self.ipi.store(1, Release);
            C::wait_until(|| !late());
        }
        self.freed.store(1, Relaxed);
    }

    /// Borrows the space, uses the page where it is mapped, handles the IPI, and leaves; [`ROUNDS`] times.
    pub(crate) fn borrow(&self) {
        for _ in 0..ROUNDS {
            self.member.store(1, Relaxed);
            if self.variant == Variant::Sound {
                C::full_fence();
            }
            let generation = self.generation.load(Acquire);
            self.caught.store(generation, Release);
            let mut translation = self.entry.load(Relaxed);
            self.access(translation);
            if self.ipi.swap(0, Acquire) != 0 {
                let generation = self.generation.load(Acquire);
                // The flush, and a walk of the tables as they are now.
                translation = self.entry.load(Relaxed);
                self.caught.store(generation, Release);
            }
            self.access(translation);
            self.member.store(0, Release);
        }
    }

    fn access(&self, translation: u64) {
        if translation == 1 && self.freed.load(Relaxed) == 1 {
            C::stale_access();
        }
    }
}
