//! A flush that was sent as a number, for the explorer. Its CPUs share no stack, so a thread that is moved to another CPU
//! between sending and waiting carries the number over.

use super::{Pending, Targets, WaitsFor};
use crate::engine::Shootdown;
use crate::platform::Platform;
use crate::space::AddressSpace;
use crate::types::{CpuId, PageTables};

const NOBODY: u64 = 0;
const SPACE: u64 = 1;
const SPACE_TABLES: u64 = 2;
const KERNEL: u64 = 3;

impl<P: Platform> Pending<'_, P> {
    /// Takes it apart without waiting. Bits 0..2 say of what it is, 2..16 who sent it, and above is the generation.
    pub fn into_word(self) -> u64 {
        let word =
            |kind, generation: u64, sender: CpuId| generation << 16 | u64::from(sender.number()) << 2 | kind;
        let carried = match &self.target {
            WaitsFor::Nobody => NOBODY,
            WaitsFor::Space(targets, sender) => {
                let kind = if targets.tables == PageTables::Freed { SPACE_TABLES } else { SPACE };
                word(kind, targets.generation, *sender)
            }
            WaitsFor::Kernel(generation, sender) => word(KERNEL, *generation, *sender),
        };
        core::mem::forget(self);
        carried
    }
}

impl<P: Platform> Shootdown<P> {
    /// Puts together what [`Pending::into_word`] took apart; `space` is the one that was flushed, if it was one.
    pub fn pending_from_word<'a>(&'a self, space: &'a AddressSpace<P>, word: u64) -> Pending<'a, P> {
        let (generation, sender) = (word >> 16, CpuId::new((word >> 2) as u32 & 0x3fff));
        let targets = |tables| WaitsFor::Space(Targets { engine: self, space, generation, tables }, sender);
        let target = match word & 3 {
            SPACE => targets(PageTables::Kept),
            SPACE_TABLES => targets(PageTables::Freed),
            KERNEL => WaitsFor::Kernel(generation, sender),
            _ => WaitsFor::Nobody,
        };
        Pending { engine: self, target }
    }
}
