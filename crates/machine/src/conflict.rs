//! Translations that a TLB may not hold at once. On some architectures a valid entry may not be exchanged for just any
//! other: a TLB that has read both may raise a conflict, or mix them. Software must break first: clear the entry,
//! flush, and only then make the new one. Arm lists what needs this: another size, another memory type, global or not.

use crate::config::Builder;
use crate::machine::Machine;
use crate::oracle::broken;
use crate::state::Local;
use shootdown_explore::{Broken, Violation};

impl Builder {
    /// Forbids that a TLB holds `one` and `other` for a page at the same time.
    pub fn conflict(mut self, one: u64, other: u64) -> Self {
        self.conflicts.push((one, other));
        self
    }
}

impl Machine {
    /// Judges what a CPU may hold at once.
    pub(crate) fn conflicts(&self, cpu: usize, local: &Local) -> Result<(), Violation> {
        for &(one, other) in &self.config.conflicts {
            let both = 1 << one | 1 << other;
            for tag in &local.tlb[..self.config.tags] {
                let Some(page) = tag.iter().position(|set| set & both == both) else { continue };
                let words =
                    format!("{} may hold page {page} by entries {one} and {other} at once", self.who(cpu));
                return Err(Broken { page: Some(page), ..broken(4, words) }.into());
            }
        }
        Ok(())
    }
}
