//! The staleness check: what was given back must not be in use, nor come into use.

use super::hw::{Hw, TABLE};
use super::tlb::Fate;

impl Hw {
    /// Gives back what was retired: the flush that covers it is said to be complete.
    pub(super) fn release(&mut self, retired: &[u32]) {
        for &number in retired {
            let translation = &mut self.translations[number as usize];
            translation.fate = Fate::Gone;
            let (space, page) = (translation.space, translation.page);
            let holders = translation.holders.clone();
            if holders.is_empty() {
                self.spare.push(number);
            }
            for holder in holders {
                let cpu = &mut self.cpus[holder as usize];
                cpu.gone += 1;
                // A lazy CPU uses no page of the space; its walker may still read tables.
                let usable = cpu.root == Some(space) && (cpu.user || page & TABLE != 0);
                if usable && cpu.tlb.find(cpu.tag, page) == Some(number) {
                    self.totals.violations += 1;
                }
            }
        }
    }

    /// Counts frames that waited since `from`.
    pub(super) fn held(&mut self, frames: u64, from: u64) {
        let now = self.me().now;
        self.totals.frames_held += frames;
        self.totals.held_cycles += frames * (now - from);
    }

    /// The root of a space is given back: no CPU may have it loaded.
    pub(crate) fn free_root(&mut self, space: u32) {
        let loaded = self.cpus.iter().filter(|cpu| cpu.root == Some(space)).count();
        self.totals.violations += loaded as u64;
    }

    /// Judges what the current CPU could use from now on.
    pub(super) fn check_usable(&mut self) {
        let me = &self.cpus[self.current as usize];
        if me.gone == 0 {
            return;
        }
        let Some(entries) = me.tlb.of(me.tag) else { return };
        let gone = entries.values().filter(|number| self.translations[**number as usize].fate == Fate::Gone);
        self.totals.violations += gone.count() as u64;
    }
}
