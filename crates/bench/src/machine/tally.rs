//! Counts.

use super::operation::ByOperation;
use serde::Serialize;
use std::ops::AddAssign;

/// What a CPU does when something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A user program: translations are used.
    User,
    /// A flush, from the change of the page tables until the frames may go.
    Flush,
    /// The scheduler loads a space, or returns to it.
    Switch,
    /// The scheduler turns to a kernel thread or to idling.
    Lazy,
    /// A space begins or ends.
    Lifetime,
    /// The IPI handler.
    Handler,
}

/// Counts of one class of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Times that work of this class was begun.
    pub operations: u64,
    /// Instructions, by the cost table.
    pub instructions: u64,
    /// Loads of shared words.
    pub reads: u64,
    /// Stores to shared words.
    pub writes: u64,
    /// Read-modify-writes of shared words.
    pub updates: u64,
    /// Loads that took a line from another CPU's cache.
    pub read_transfers: u64,
    /// Stores and read-modify-writes that took a line from another CPU's cache, or took it away from readers.
    pub write_transfers: u64,
    /// Full fences.
    pub fences: u64,
}

impl Tally {
    /// Transfers of lines between caches.
    pub fn transfers(&self) -> u64 {
        self.read_transfers + self.write_transfers
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.instructions += other.instructions;
        self.reads += other.reads;
        self.writes += other.writes;
        self.updates += other.updates;
        self.read_transfers += other.read_transfers;
        self.write_transfers += other.write_transfers;
        self.fences += other.fences;
    }
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// User programs.
    pub user: Tally,
    /// Flushes, at the initiator.
    pub flush: Tally,
    /// Switches to a space.
    pub switch: Tally,
    /// Switches to a kernel thread.
    pub lazy: Tally,
    /// Beginnings and ends of spaces.
    pub lifetime: Tally,
    /// IPI handlers.
    pub handler: Tally,
    /// The same work once more, by what was asked for.
    pub operations: ByOperation,
    /// Flushes that sent at least one IPI.
    pub flushes_with_ipis: u64,
    /// Flushes that concern other CPUs, whether or not an IPI was sent (Linux records a `remote ipi send` for each); of
    /// the engine not known.
    pub remote_flushes: u64,
    /// IPIs sent.
    pub sent: u64,
    /// IPIs handled.
    pub delivered: u64,
    /// Requests that found an IPI pending.
    pub merged: u64,
    /// IPIs that woke or disturbed an idle CPU.
    pub to_idle: u64,
    /// IPIs whose handler flushed nothing.
    pub useless: u64,
    /// Invalidations that hardware broadcast to all CPUs.
    pub broadcasts: u64,
    /// Flushes of a whole tag or more.
    pub full_flushes: u64,
    /// Flushes of ranges of pages.
    pub selective_flushes: u64,
    /// Pages of those ranges, once for each tag of their space.
    pub flushed_pages: u64,
    /// Loads of a root.
    pub installs: u64,
    /// Translations dropped although they were still good.
    pub lost: u64,
    /// Translations loaded by a walk.
    pub refills: u64,
    /// Frames that waited for a flush.
    pub frames_held: u64,
    /// Cycles that they waited, summed.
    pub held_cycles: u64,
    /// Uses of a translation, or reuses of a frame, that a stale translation made wrong.
    pub violations: u64,
    /// Events that the machine processed.
    pub events: u64,
    /// Cycles of the CPU that ended last.
    pub cycles: u64,
}

impl Totals {
    /// The counts of a class.
    pub fn class(&mut self, class: Class) -> &mut Tally {
        match class {
            Class::User => &mut self.user,
            Class::Flush => &mut self.flush,
            Class::Switch => &mut self.switch,
            Class::Lazy => &mut self.lazy,
            Class::Lifetime => &mut self.lifetime,
            Class::Handler => &mut self.handler,
        }
    }

    /// Counts of all classes but user programs.
    pub fn kernel(&self) -> Tally {
        let mut sum = self.flush;
        for tally in [self.switch, self.lazy, self.lifetime, self.handler] {
            sum += tally;
        }
        sum
    }

    /// Line transfers of flushes and of the handlers that answer them.
    pub fn flush_transfers(&self) -> u64 {
        self.flush.transfers() + self.handler.transfers()
    }
}
