//! A kernel shootdown at boot waits for CPUs that have not been started.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "maestro-097b6b21-boot-shootdown",
    id: "G18c",
    source: "097b6b21",
    year: 2025,
    title: "fix: kernel TLB shootdown",
    kernel: "Maestro",
    arch: "x86",
    rules: &[11, 13],
    about: "Kernel shootdowns go to every CPU in the firmware's table; at boot the first CPU waits for one that it \
            has yet to start.",
    ends: "no CPU can go on: CPU 0 waits for cpu1.call to change from 0x1; CPU 1 waits for cpu1.started to change from 0x0",
    engine: "kernel-memory-hotplug",
    ..Bug::race(Memory::Tso, Boot::model)
};

const TAG: u8 = 0;
const CALL: u8 = 0;

/// CPU 0 boots the machine: it gives up a mapping of the kernel's, then starts CPU 1.
#[derive(Debug)]
pub(crate) struct Boot {
    variant: Variant,
    machine: Machine,
    /// CPU 1 may start.
    started: Word,
    /// CPU 1 takes part.
    online: Word,
    /// A flush asked of CPU 1.
    call: Word,
}

impl Boot {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .kernel_pages(1)
            .translation(1, None, true)
            .map_kernel(0, 1)
            .offline(1)
            .must_free_frame(1);
        let word = |name| Word::new(name, 0);
        machine.runs(|machine| Self {
            variant,
            machine,
            started: word("cpu1.started"),
            online: word("cpu1.online"),
            call: word("cpu1.call"),
        })
    }

    fn boot(&self) {
        sync::note("drop a mapping of the kernel's");
        self.machine.tables.kernel(0).store(0, Relaxed);
        sync::fence(SeqCst);
        match self.variant {
            Variant::Broken => self.call_and_wait(),
            _ => {
                if self.online.load(Relaxed) != 0 {
                    self.call_and_wait();
                }
            }
        }
        hw::flush_kernel_page(0);
        hw::free_frame(1);
        sync::note("start CPU 1");
        self.started.store(1, Relaxed);
    }

    fn call_and_wait(&self) {
        self.call.store(1, Release);
        sync::raise(1, CALL);
        sync::wait_until(|| self.call.load(Acquire) == 0);
    }

    fn start(&self) {
        let on = sync::irq_save();
        sync::wait_until(|| self.started.load(Acquire) != 0);
        sync::note("come on line");
        self.online.swap(1, Relaxed);
        hw::online();
        hw::flush_all();
        hw::install(None, TAG, Install::FlushAll);
        sync::irq_restore(on);
    }
}

impl Program for Boot {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.boot() } else { self.start() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CALL), "only CPU 0 calls");
        // An interrupt that comes before the CPU was started is lost.
        if self.online.load(Relaxed) != 0 {
            hw::flush_kernel_page(0);
            self.call.store(0, Release);
        }
    }
}
