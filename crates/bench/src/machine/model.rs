//! What code on the machine may do: policies that are written for it call this.

use super::hw::{forget_lines, with};
pub(crate) use super::run::let_others_go_first;
use super::run::{pass, suspend};
use super::tlb::{PageTables, Pages};
use shootdown_instrumented::Access;

/// Words of modelled code have addresses above all of the host's, each on a line of its own.
const MODELLED: u64 = 1 << 63;

/// A shared word on a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

impl Word {
    /// The word of kind `kind` that belongs to `a` (a CPU, a space) and `b`.
    pub const fn new(kind: u8, a: u32, b: u32) -> Self {
        Self(MODELLED | (kind as u64) << 54 | ((a as u64) << 18 | b as u64) << 6)
    }

    /// Loads it.
    pub fn read(self) {
        with(|hw| hw.access(self.0, Access::Load));
    }

    /// Stores to it.
    pub fn write(self) {
        with(|hw| hw.access(self.0, Access::Store));
    }

    /// Gives its line back.
    pub fn forget(self) {
        forget_lines(self.0, 1);
    }

    /// Changes it by one instruction.
    pub fn update(self) {
        with(|hw| hw.access(self.0, Access::Update));
    }
}

/// A full fence.
pub fn fence() {
    with(|hw| hw.access(0, Access::Fence));
}

/// The CPU that runs the caller.
pub fn me() -> u32 {
    with(|hw| hw.current)
}

/// Flushes pages under a tag on the CPU that runs the caller, one by one.
pub fn flush_pages(tag: u16, pages: Pages, tables: PageTables) {
    with(|hw| hw.flush_pages(tag, pages, tables));
    pass();
}

/// Flushes a tag on the CPU that runs the caller.
pub fn flush_tag(tag: u16) {
    with(|hw| hw.flush_tag(tag));
    pass();
}

/// Waits until `ready`, which loads the words that it looks at.
pub fn wait_until(ready: impl Fn() -> bool) {
    while !ready() {
        suspend();
    }
}
