//! Dirty marks, which walkers write. Some hardware notes in an entry that a page was written through it: it exchanges
//! the entry for one that says so, atomically, and software that edits the entry at the same time must do the same.
//! Other hardware, and other walkers of the same machine, leave that to a fault.
//!
//! A clean and a dirty entry are two values that lead to one frame. [`Machine::write`] is a write as hardware does it.
//! The oracle asks whether the mark survives: [`crate::hw::discard`] drops a frame whose content software takes for
//! unchanged. It also asks whether an access that faults ends ([`Machine::write_with_faults`]): walkers that set no
//! marks, a device's beside those of CPUs, need software to set them, and software may believe that it has.

use crate::config::Builder;
use crate::hw;
use crate::machine::Machine;
use crate::oracle::broken;
use crate::state::Shared;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::{Broken, Violation, sync};

impl Builder {
    /// Has hardware exchange `clean` in an entry for `dirty` when a CPU writes through it. Where this is not said of a
    /// value, and it is no dirty one, a write faults.
    pub fn marks_dirty(mut self, clean: u64, dirty: u64) -> Self {
        self.marks.push((clean, dirty));
        self
    }

    /// Has the walker of `cpu` exchange nothing: there a write through a clean entry faults.
    pub fn sets_no_marks(mut self, cpu: usize) -> Self {
        self.markless |= 1 << cpu;
        self
    }
}

impl Machine {
    /// Writes to `page` of `space` through its entry, as hardware that marks entries does; answers whether that was
    /// possible, and no fault.
    #[track_caller]
    pub fn write(&self, space: usize, page: usize) -> bool {
        let entry = self.tables.leaf(space, page);
        let markless = self.config.markless != 0 && self.config.markless >> sync::cpu() & 1 != 0;
        // Not in a closure, so that the steps are the caller's. An exchange fails only if another CPU has changed the
        // entry.
        let through = loop {
            let seen = entry.load(Relaxed);
            if self.config.marks.iter().any(|mark| mark.1 == seen) {
                break seen;
            }
            let Some(&(clean, dirty)) = self.config.marks.iter().find(|mark| mark.0 == seen) else {
                return false;
            };
            if markless {
                return false;
            }
            if entry.compare_exchange(clean, dirty, AcqRel, Relaxed).is_ok() {
                break dirty;
            }
        };
        hw::wrote(self.config.translations[through as usize - 1].frame);
        true
    }

    /// Writes to `page` of `space`; `fault` handles a fault, and answers whether it has changed an entry. If it has
    /// not, the write goes on faulting until another CPU changes the entry; if none does, this CPU is stuck.
    #[track_caller]
    pub fn write_with_faults(&self, space: usize, page: usize, fault: impl Fn() -> bool) {
        let entry = self.tables.leaf(space, page);
        while !self.write(space, page) {
            if !fault() {
                sync::wait_until(|| self.lets_write(entry.load(Relaxed)));
            }
        }
    }

    /// Whether a write through an entry that holds `value` does not fault on this CPU.
    fn lets_write(&self, value: u64) -> bool {
        let markless = self.config.markless >> sync::cpu() & 1 != 0;
        self.config.marks.iter().any(|&(clean, dirty)| value == dirty || value == clean && !markless)
    }

    /// Judges that `frame` is dropped as unchanged.
    pub(crate) fn discard(&self, shared: &Shared, cpu: usize, frame: usize) -> Result<(), Violation> {
        if shared.written_frames >> frame & 1 != 0 {
            let words = format!("CPU {cpu} discards frame {frame}, which was written");
            return Err(Broken { frame: Some(frame), ..broken(8, words) }.into());
        }
        Ok(())
    }
}
