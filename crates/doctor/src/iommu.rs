//! An IOMMU that walks the page tables of a space, and the queue by which it is told to drop.
//!
//! It is a CPU of the machine that the engine does not know: it may fill and use what it holds at any moment, and works its
//! commands off whenever its interrupt comes. A machine without one answers at once, for nobody shares its tables.

use crate::sim::{COMMANDS, Sim};
use shootdown::flush::Levels;
use shootdown::ports::Commands;
use shootdown_explore::Registry;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Calls of [`Commands::post_wait`] in a check at most: two for each flush.
const SLOTS: usize = 8;
/// Bits of a command. A slot has room for three, and for the mark that it was written.
const COMMAND: u32 = 16;
const WRITTEN: u64 = 1 << (3 * COMMAND);

/// Commands: a page (its number, and whether walkers' caches go), all of a space, and everything. The space follows.
const PAGE: u64 = 1 << 12;
const SPACE: u64 = 2 << 12;
const ALL: u64 = 3 << 12;
const WALKS: u64 = 1 << 4;

/// The IOMMU's commands.
#[derive(Debug)]
pub(crate) struct Queue {
    /// The CPU that is an IOMMU, and the space that it shares.
    shares: OnceLock<(usize, usize)>,
    /// Per CPU: what it posted since it last submitted its commands.
    staged: Vec<Word>,
    /// Per CPU: the place of what it submitted last.
    submitted: Vec<Word>,
    /// How many batches were submitted, and how many of them were worked off.
    posted: Word,
    done: Word,
    slots: [Word; SLOTS],
}

impl Queue {
    pub(crate) fn new(cpus: usize) -> Self {
        let words = |name| (0..cpus).map(|_| Word::new(name, 0)).collect();
        Self {
            shares: OnceLock::new(),
            staged: words("commands"),
            submitted: words("submitted"),
            posted: Word::new("posted", 0),
            done: Word::new("done", 0),
            slots: std::array::from_fn(|_| Word::new("command", 0)),
        }
    }

    /// Has the machine have an IOMMU.
    pub(crate) fn shares(&self, iommu: usize, space: usize) {
        assert!(self.shares.set((iommu, space)).is_ok(), "a machine has one IOMMU");
    }

    /// The CPU that is an IOMMU.
    pub(crate) fn iommu(&self) -> Option<usize> {
        self.shares.get().map(|&(iommu, _)| iommu)
    }

    #[track_caller]
    fn stage(&self, command: u64) {
        let staged = &self.staged[sync::cpu()];
        let before = staged.load(Relaxed);
        let free = (0..3).find(|place| before >> (COMMAND * place) & 0xffff == 0);
        let free = free.expect("three commands were posted and none was waited for: post_wait() is missing");
        staged.swap(before | command << (COMMAND * free), Relaxed);
    }

    #[track_caller]
    fn submit(&self) -> u64 {
        let commands = self.staged[sync::cpu()].swap(0, Relaxed);
        let at = self.posted.fetch_add(1, AcqRel);
        if let Some(iommu) = self.iommu() {
            let slot = self.slots.get(at as usize).expect("a check waits for the IOMMU eight times at most");
            // A locked operation, so that the IOMMU finds what it is told of: drivers have a barrier before the register.
            slot.swap(commands | WRITTEN, AcqRel);
            sync::raise(iommu, COMMANDS);
        }
        self.submitted[sync::cpu()].store(at + 1, Relaxed);
        at + 1
    }

    /// What the IOMMU does when it is told: works off what was posted, up to a place that is still being written.
    pub(crate) fn work_off(&self) {
        loop {
            let at = self.done.load(Acquire);
            let Some(slot) = self.slots.get(at as usize) else { return };
            let commands = slot.load(Acquire);
            if commands & WRITTEN == 0 {
                return;
            }
            (0..3).map(|place| commands >> (COMMAND * place) & 0xffff).for_each(|one| self.carry_out(one));
            self.done.store(at + 1, Release);
        }
    }

    fn carry_out(&self, command: u64) {
        let Some(&(iommu, space)) = self.shares.get() else { return };
        let levels = if command & WALKS == 0 { WalkCache::Keep } else { WalkCache::Drop };
        let page = Which::Page((command & 0xf) as usize, levels);
        match command & 0xf000 {
            PAGE | SPACE if (command >> 8 & 0xf) as usize != space => {}
            PAGE => hw::flush_on(iommu, Whose::Tag(0), page),
            SPACE => hw::flush_on(iommu, Whose::Tag(0), Which::All),
            ALL => {
                hw::flush_on(iommu, Whose::Tag(0), Which::All);
                hw::flush_on(iommu, Whose::Kernel, Which::All);
            }
            _ => {}
        }
    }

    /// The place up to which the queue was worked off.
    fn carried_out(&self) -> u64 {
        if self.iommu().is_some() { self.done.load(Acquire) } else { self.posted.load(Acquire) }
    }

    /// Whether all that this CPU submitted was worked off.
    pub(crate) fn is_worked_off(&self) -> bool {
        self.carried_out() >= self.submitted[sync::cpu()].load(Relaxed)
    }

    /// Waits until it was.
    pub(crate) fn await_worked_off(&self) {
        let submitted = self.submitted[sync::cpu()].load(Relaxed);
        sync::wait_until(|| self.carried_out() >= submitted);
    }

    /// Names the words for drawings.
    pub(crate) fn name(&self, registry: &mut Registry) {
        for (cpu, word) in
            [&self.staged, &self.submitted].into_iter().flat_map(|list| list.iter().enumerate())
        {
            registry.local(cpu, format!("cpu{cpu}"), word);
        }
        registry.object("queue", &self.posted);
        registry.object("queue", &self.done);
        registry.array("queue", &self.slots);
    }
}

impl Commands for Sim {
    #[track_caller]
    fn post_page(&self, root: u64, address: u64, levels: Levels) {
        let walks = if levels == Levels::All { WALKS } else { 0 };
        if let (Some(space), Some(page)) = (Self::space_of(root), self.page(address)) {
            self.0.queue.stage(PAGE | (space as u64) << 8 | walks | page as u64);
        }
    }
    #[track_caller]
    fn post_root(&self, root: u64) {
        if let Some(space) = Self::space_of(root) {
            self.0.queue.stage(SPACE | (space as u64) << 8);
        }
    }
    #[track_caller]
    fn post_all(&self) {
        self.0.queue.stage(ALL);
    }
    #[track_caller]
    fn post_wait(&self) -> u64 {
        self.0.queue.submit()
    }
    fn carried_out(&self) -> u64 {
        self.0.queue.carried_out()
    }
}
