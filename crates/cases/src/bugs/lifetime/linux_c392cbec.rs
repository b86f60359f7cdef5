//! A ring of buffers that the kernel allocated is freed while a program has it mapped.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::AcqRel;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-c392cbec-kbuf-ring",
    id: "E13",
    source: "c392cbecd8ec (CVE-2024-0582)",
    year: 2023,
    title: "io_uring/kbuf: defer release of mapped buffer rings",
    rules: &[8],
    about: "A program maps pages that a driver allocated, unregisters them, and keeps the mapping: a mapping made without references \
            does not keep its pages.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    ..Bug::race(Memory::Tso, Ring::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;

/// CPU 0 runs a thread that uses the mapped ring and unmaps it; CPU 1 runs one that unregisters it and closes the
/// context.
#[derive(Debug)]
struct Ring {
    variant: Variant,
    machine: Machine,
    context: Context,
}

/// The I/O context: a file, whose last reference releases it.
#[derive(Debug)]
struct Context {
    /// References: the descriptor's and the mapping's.
    refs: Word,
}

impl Ring {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).own_page(SPACE, 0, 1).start(0, SPACE, TAG, true).must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            context: Context { refs: Word::new("context.refs", 2) },
        })
    }

    fn unmap(&self) {
        sync::note("use the ring");
        hw::touch(0);
        sync::note("munmap");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        self.put();
    }

    fn unregister(&self) {
        sync::note("unregister the ring");
        if self.variant == Variant::Broken {
            hw::free_frame(1);
        }
        sync::note("close the context");
        self.put();
    }

    /// Drops a reference to the context. With the last, the rings that were unregistered before are freed since the
    /// fix.
    fn put(&self) {
        if self.context.refs.fetch_sub(1, AcqRel) == 1 && self.variant == Variant::Fixed {
            hw::free_frame(1);
        }
    }
}

impl Program for Ring {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.unregister() }
    }
}
