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
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Calls of [`Commands::post_wait`] in a check at most: some for each page of each flush.
const SLOTS: usize = 48;

/// Commands, a bit each: a slot has room for all that there are, as often as they are posted. Of a space they are its pages, a
/// bit each, the same with what walkers cache, and all of it.
const COMMANDS_OF_SPACE: u32 = 5;
const WALKS: u32 = 2;
const WHOLE: u32 = 4;
const SPACES: usize = 8;
const ALL: u32 = COMMANDS_OF_SPACE * SPACES as u32;
/// The mark that a slot was written.
const WRITTEN: u64 = 1 << 63;

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
    fn stage(&self, command: u32) {
        let staged = &self.staged[sync::cpu()];
        staged.swap(staged.load(Relaxed) | 1 << command, Relaxed);
    }

    #[track_caller]
    fn submit(&self) -> u64 {
        let commands = self.staged[sync::cpu()].swap(0, Relaxed);
        let at = self.posted.fetch_add(1, AcqRel);
        if let Some(iommu) = self.iommu() {
            let slot =
                self.slots.get(at as usize).expect("this machine takes 48 calls of post_wait() in a check");
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
            self.carry_out(commands);
            // A locked operation, as above: what a device writes waits in no store buffer.
            self.done.swap(at + 1, AcqRel);
        }
    }

    fn carry_out(&self, commands: u64) {
        let Some(&(iommu, space)) = self.shares.get() else { return };
        let has = |command: u32| commands >> command & 1 != 0;
        for command in (0..COMMANDS_OF_SPACE).filter(|&command| has(command_of(space, command))) {
            let which = match command {
                WHOLE => Which::All,
                page if page < WALKS => Which::Page(page as usize, WalkCache::Keep),
                page => Which::Page((page - WALKS) as usize, WalkCache::Drop),
            };
            hw::flush_on(iommu, Whose::Tag(0), which);
        }
        if has(ALL) {
            hw::flush_on(iommu, Whose::Tag(0), Which::All);
            hw::flush_on(iommu, Whose::Kernel, Which::All);
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

/// The bit of a command.
fn command_of(space: usize, command: u32) -> u32 {
    COMMANDS_OF_SPACE * space as u32 + command
}

impl Commands for Sim {
    #[track_caller]
    fn post_page(&self, root: u64, address: u64, levels: Levels) {
        let walks = if levels == Levels::All { WALKS } else { 0 };
        if let (Some(space), Some(page)) = (Self::space_of(root), self.page(address, false)) {
            self.0.queue.stage(command_of(space, walks + page as u32));
        }
    }
    #[track_caller]
    fn post_root(&self, root: u64) {
        if let Some(space) = Self::space_of(root) {
            self.0.queue.stage(command_of(space, WHOLE));
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
