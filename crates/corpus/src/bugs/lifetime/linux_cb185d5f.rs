//! userfaultfd holds a structure reference only and works on mappings that exit has torn down.

use crate::bug::{Bug, Class, Needs};
use crate::shapes::{Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry, Scenario};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-cb185d5f-userfaultfd-exit",
    id: "E1",
    source: "cb185d5f1ebf (CVE-2021-47461)",
    title: "userfaultfd: fix a race between writeprotect and exit_mmap()",
    kernel: "Linux",
    arch: "generic",
    class: Class::Lifetime,
    rules: &[9, 10],
    needs: Needs::Interleaving,
    cpus: 2,
    memory: Memory::Tso,
    about: "A holder of a structure reference write-protects pages without taking a user reference, while the last user \
            exits and frees areas and page tables.",
    story: include_str!("linux_cb185d5f.md"),
    ends: "use of areas.first after its memory was given back",
    engine: "upgrade-vs-last-drop",
    code: &[("linux_cb185d5f.rs", include_str!("linux_cb185d5f.rs"))],
    build: |variant| Box::new(WriteProtect::new(variant)),
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const WRITABLE: u64 = 1;
const PROTECTED: u64 = 2;

/// The areas of the space: memory that dies with its mappings.
#[derive(Debug)]
struct Areas {
    first: Word,
}

/// CPU 0 runs the only user, which exits. CPU 1 serves a request on the userfaultfd, which holds a structure reference.
#[derive(Debug)]
pub(crate) struct WriteProtect {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    /// Protects the areas, but exit does not take it: nobody else can be there, it believes.
    mmap_lock: Lock,
    areas: Areas,
}

impl WriteProtect {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .translation(1, Some(SPACE), false)
            .map(SPACE, 0, WRITABLE)
            .start(0, SPACE, TAG, true)
            .must_free_frame(1)
            .must_free_table(1)
            .must_free_root(SPACE)
            .build();
        Self {
            variant,
            machine,
            mm: Mm::new(1, 2, 0b01),
            mmap_lock: Lock::new(),
            areas: Areas { first: Word::new("first", 1) },
        }
    }

    fn exit(&self) {
        sync::note("exit");
        hw::user(false);
        hw::install(None, TAG, Install::FlushTag);
        self.mm.leave(0);
        self.put_user();
    }

    fn put_user(&self) {
        if !self.mm.put_user() {
            return;
        }
        sync::note("exit_mmap");
        hw::teardown(SPACE);
        sync::retire(&self.areas);
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.machine.tables.root(SPACE, 0).store(0, Relaxed);
        hw::broadcast(Whose::Space(SPACE), Which::All);
        hw::free_frame(1);
        hw::free_table(1);
        sync::retire(self.machine.tables.page(1));
        self.put_struct();
    }

    fn put_struct(&self) {
        if self.mm.put_struct() {
            hw::free_root(SPACE);
        }
    }

    fn ioctl(&self) {
        sync::note("UFFDIO_WRITEPROTECT");
        match self.variant {
            Variant::Broken => self.write_protect(),
            _ => {
                if self.mm.upgrade() {
                    self.write_protect();
                    self.put_user();
                }
            }
        }
        sync::note("close the userfaultfd");
        self.put_struct();
    }

    fn write_protect(&self) {
        self.mmap_lock.lock();
        if self.areas.first.load(Relaxed) != 0 {
            let leaf = self.machine.tables.leaf(SPACE, 0);
            let _ = leaf.compare_exchange(WRITABLE, PROTECTED, AcqRel, Relaxed);
            hw::broadcast(Whose::Space(SPACE), Which::Page(0, WalkCache::Keep));
        }
        self.mmap_lock.unlock();
    }
}

impl Scenario for WriteProtect {
    type Device = Machine;

    fn cpus(&self) -> usize {
        2
    }

    fn main(&self, cpu: usize) {
        if cpu == 0 { self.exit() } else { self.ioctl() }
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.mm);
        registry.object("mm.mmap_lock", &self.mmap_lock);
        registry.object("areas", &self.areas);
        self.machine.register(registry, &[]);
    }
}
