//! A CPU comes back to the space on which it was lazy and keeps its old ASID, though the space has a new one.

use crate::bugs::Bug;
use crate::protocols::Mm;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-8678c1f0-arm-asid-version",
    id: "B6",
    source: "8678c1f04277",
    year: 2007,
    title: "[ARM] Fix ASID version switch",
    arch: "arm",
    rules: &[5, 12],
    about: "A space gets a new ASID while a CPU is lazy on it; the CPU comes back, sees that it is the same space, and \
            keeps the old ASID, which no flush names any more.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "tag-reuse",
    ..Bug::race(Memory::Pso, AsidVersion::model)
};

const A: usize = 0;
const B: usize = 1;
/// ASIDs of a version are 1 and 2; an id is version * 4 + ASID.
const LAST_ASID: u64 = 2;

fn version(id: u64) -> u64 {
    id / 4
}

fn asid(id: u64) -> u8 {
    (id % 4) as u8
}

/// What every space has: its users' words and its id.
#[derive(Debug)]
struct Space {
    mm: Mm,
    id: Word,
}

/// Space A has one thread. CPU 1 is lazy on it. CPU 0 runs B and then A's thread, and hands it over to CPU 1, where it
/// has a page copied on write.
#[derive(Debug)]
pub(crate) struct AsidVersion {
    variant: Variant,
    machine: Machine,
    spaces: [Space; 2],
    /// The id that was given out last.
    last: Word,
    /// Whether A's thread may run on CPU 1.
    handed_over: Word,
}

impl AsidVersion {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .tags(3)
            .translation(1, Some(A), false)
            .translation(2, Some(A), true)
            .map(A, 0, 1)
            .start(1, A, 1, false)
            .must_free_frame(1);
        let space = |mask, id| Space { mm: Mm::new(1, 1, mask), id: Word::new("id", id) };
        machine.runs(|machine| Self {
            variant,
            machine,
            spaces: [space(0b10, 4 + 1), space(0, 0)],
            last: Word::new("last", 4 + LAST_ASID),
            handed_over: Word::new("handed_over", 0),
        })
    }

    fn switch(&self, cpu: usize, previous: Option<usize>, next: usize) {
        let space = &self.spaces[next];
        let listed = space.mm.mask.fetch_or(1 << cpu, AcqRel) & 1 << cpu != 0;
        let stays = match self.variant {
            Variant::Broken => previous == Some(next),
            _ => listed && previous == Some(next),
        };
        if stays {
            return;
        }
        let (mut id, last) = (space.id.load(Acquire), self.last.load(Acquire));
        if version(id) != version(last) {
            id = self.new_id(cpu, space, last);
        }
        hw::install(Some(next), asid(id), Install::Keep);
    }

    /// Gives the space an ASID of the current version, or starts a new version if there is none left.
    fn new_id(&self, cpu: usize, space: &Space, last: u64) -> u64 {
        let id = if u64::from(asid(last)) < LAST_ASID { last + 1 } else { 4 * (version(last) + 1) + 1 };
        self.last.store(id, Release);
        if asid(id) == 1 {
            sync::note("a new version begins");
            (1..=LAST_ASID).for_each(|asid| hw::broadcast(Whose::Tag(asid as u8), Which::All));
        }
        if self.variant == Variant::Fixed {
            // A CPU that ran the space before must look at the id again.
            space.mm.mask.store(1 << cpu, Relaxed);
        }
        space.id.store(id, Release);
        id
    }

    fn copy_on_write(&self) {
        sync::note("copy page 0 on write");
        self.machine.tables.leaf(A, 0).store(2, Relaxed);
        let tag = asid(self.spaces[A].id.load(Acquire));
        hw::broadcast(Whose::Tag(tag), Which::Page(0, WalkCache::Drop));
        hw::free_frame(1);
    }
}

impl Program for AsidVersion {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("switch to B");
            self.switch(cpu, None, B);
            sync::note("switch to A");
            self.switch(cpu, Some(B), A);
            self.handed_over.store(1, Release);
        } else {
            sync::wait_until(|| self.handed_over.load(Acquire) != 0);
            sync::note("from idle back to A");
            self.switch(cpu, Some(A), A);
            hw::user(true);
            self.copy_on_write();
        }
    }

    fn register(&self, registry: &mut Registry) {
        for (name, space) in ["a", "b"].into_iter().zip(&self.spaces) {
            registry.object(name, space);
        }
        registry.object("asids", &self.last);
        registry.object("thread", &self.handed_over);
    }
}
