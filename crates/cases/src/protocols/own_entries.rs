//! Each root has an entry of its own for a part of the kernel. They are copies of that in the kernel's own root, made
//! when a process faults there; a change to that part goes to the kernel's own root.

use super::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// The change to the part of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is unmapped in the kernel's own root, flushed everywhere, and what it led to is given back.
    ClearsReference,
    /// The same in all roots.
    ClearsAll,
    /// Its table is to be replaced by a large mapping, and is given back once flushed.
    FreesTable,
    /// Its table stays, and no large mapping is made.
    KeepsTable,
}

const PROCESS: usize = 0;
const CPU: usize = 1;
const FLUSH: u64 = 1;

/// CPU 0 changes the part of the kernel. CPU 1 is in the kernel, with the root of a process that has an entry for it.
#[derive(Debug)]
pub(crate) struct OwnEntries {
    machine: Machine,
    change: Change,
    calls: CrossCall,
}

impl OwnEntries {
    pub(crate) fn model(change: Change) -> Model {
        let unmaps = matches!(change, Change::ClearsReference | Change::ClearsAll);
        let machine = Machine::builder(2)
            .kernel_pages(1)
            .kernel_entry_per_root(&[])
            .translation(1, None, true)
            .map_kernel(0, 1)
            .start(CPU, PROCESS, 0, false);
        let machine = if unmaps { machine.must_free_frame(1) } else { machine };
        machine.runs(|machine| Self { machine, change, calls: CrossCall::new(2) })
    }

    fn change(&self) {
        let tables = &self.machine.tables;
        if self.change == Change::KeepsTable {
            sync::note("keep the table, map by small pages");
            return;
        }
        tables.kernel_link().swap(0, AcqRel);
        if self.change == Change::ClearsAll {
            sync::note("copy the empty entry to all processes");
            tables.kernel_link_of(PROCESS).swap(0, Relaxed);
        }
        flush();
        self.calls.call(0, 1 << CPU, FLUSH);
        if self.change == Change::FreesTable {
            hw::free_table(tables.kernel_table());
        } else {
            hw::free_frame(1);
        }
    }
}

fn flush() {
    hw::flush_kernel(0, WalkCache::Drop);
}

impl Program for OwnEntries {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("change a part of the kernel");
            self.change();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (CPU, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| flush());
    }
}
