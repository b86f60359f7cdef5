//! An IOMMU that walks the page tables of a space, perhaps with a device behind it, and the queue by which it is told
//! to drop.
//!
//! Both are CPUs of the machine that the engine does not know: each may fill and use what it holds at any moment. The
//! IOMMU works commands off in the order in which they were posted, whenever its interrupt comes.

use super::cpu::Cpu;
use super::plan::Start;
use super::sim::{TestMachine, pages, walk};
use super::world::World;
use shootdown::flush::FlushRequest;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// Interrupt line by which the IOMMU is told that there are commands.
pub(crate) const COMMANDS: u8 = 4;

/// Commands of a scenario at most.
const SLOTS: usize = 4;

/// Commands: everything, a page (plus its number), and with [`WALK`] what walkers cache too.
const ALL: u64 = 1;
const PAGE: u64 = 2;
const WALK: u64 = 16;
/// The same of kernel memory.
const KERNEL: u64 = 32;
/// To leave the space.
const LEAVE: u64 = 64;

/// The IOMMU's commands.
#[derive(Debug)]
pub(crate) struct Queue {
    iommu: usize,
    device: Option<usize>,
    /// The space whose tables are shared.
    space: usize,
    /// Commands that were posted, and those that were carried out.
    posted: Word,
    done: Word,
    slots: [Word; SLOTS],
}

impl Queue {
    /// The queue of the one IOMMU that a world starts with.
    pub(crate) fn new(starts: impl Iterator<Item = Start>) -> Self {
        let (mut iommu, mut device) = (None, None);
        for (cpu, start) in starts.enumerate() {
            match start {
                Start::Iommu(space) => iommu = Some((cpu, space)),
                Start::Device(..) => device = Some(cpu),
                _ => {}
            }
        }
        let (iommu, space) = iommu.expect("a world with secondary TLBs has an IOMMU");
        let slots = std::array::from_fn(|_| Word::new("command", 0));
        Self { iommu, device, space, posted: Word::new("posted", 0), done: Word::new("done", 0), slots }
    }

    /// Has the IOMMU and its device drop what a flush covers.
    pub(crate) fn post_flush(&self, space: Option<usize>, request: FlushRequest) -> u64 {
        if space.is_some_and(|space| space != self.space) {
            return 0;
        }
        let whose = if space.is_none() { KERNEL } else { 0 };
        let walks = if walk(request) == WalkCache::Drop { WALK } else { 0 };
        let what = match request.range() {
            Some(range) if range.count() == 1 => PAGE + pages(range).next().unwrap_or(0) as u64 + walks,
            _ => ALL,
        };
        self.post(whose + what)
    }

    /// Puts a command into the queue and rings.
    fn post(&self, command: u64) -> u64 {
        let at = self.posted.fetch_add(1, AcqRel);
        // A locked operation, so that the IOMMU finds what it is told of: drivers have a barrier before the register.
        self.slots[at as usize].swap(command, AcqRel);
        sync::raise(self.iommu, COMMANDS);
        at + 1
    }

    /// Whether commands up to a position were carried out.
    pub(crate) fn is_done(&self, position: u64) -> bool {
        self.done.load(Acquire) >= position
    }

    /// What the IOMMU does when it is told: carries out what was posted, up to a place that is still being written.
    fn work_off(&self) {
        loop {
            let at = self.done.load(Acquire);
            let Some(slot) = self.slots.get(at as usize) else { return };
            match slot.load(Acquire) {
                0 => return,
                command => self.carry_out(command),
            }
            self.done.store(at + 1, Release);
        }
    }

    fn carry_out(&self, command: u64) {
        if command == LEAVE {
            hw::user(false);
            hw::install(None, 0, hw::Install::FlushTag);
            return;
        }
        let whose = if command & KERNEL != 0 { Whose::Kernel } else { Whose::Tag(0) };
        let which = match command & !(KERNEL | WALK) {
            ALL => Which::All,
            page if command & WALK != 0 => Which::Page((page - PAGE) as usize, WalkCache::Drop),
            page => Which::Page((page - PAGE) as usize, WalkCache::Keep),
        };
        // The device fills from the IOMMU, which goes first.
        hw::flush_on(self.iommu, whose, which);
        if let Some(device) = self.device {
            hw::flush_on(device, whose, which);
        }
    }
}

impl<S: TestMachine> World<S> {
    /// The IOMMU works off its commands.
    pub(super) fn work_off_commands(&self, cpu: usize) {
        let queue = self.engine.platform().queue.as_ref().expect("somebody has posted");
        assert_eq!(cpu, queue.iommu, "the IOMMU alone is told");
        queue.work_off();
    }
}

impl<S: TestMachine> Cpu<'_, S> {
    /// Ends the last thread of a space that the IOMMU shares: the IOMMU leaves it before it is torn down.
    pub fn exit_and_detach(&self, space: usize) {
        self.run_kernel_thread();
        sync::note("detach the IOMMU");
        let queue = self.engine().platform().queue.as_ref().expect("there is an IOMMU");
        queue.post(LEAVE);
        self.engine().flush(self.space(space), FlushRequest::all().tables_freed());
        self.put(space, self.user(space));
    }
}
