//! "There is nothing here", cached. Some hardware keeps that it found no valid entry, and faults without another walk
//! when one is there already: RISC-V allows it, other architectures do where they virtualise.
//!
//! A walker that finds nothing may then hold [`ABSENT`] for the page, which a flush of the page drops as it drops a
//! translation. The question is which CPU must be able to translate: [`crate::hw::reach`] is an access whose fault
//! nobody handles.

use crate::config::Builder;
use crate::limits::SLOTS;
use crate::machine::Machine;
use crate::oracle::broken;
use crate::state::Local;
use crate::tables::space_name;
use shootdown_explore::{Broken, Violation};

/// What a set of values holds where the page may be taken for absent; no translation has this value.
pub(crate) const ABSENT: u16 = 1;

impl Builder {
    /// Lets TLBs keep that a page is absent, until a flush.
    pub fn caches_absent(mut self) -> Self {
        self.absent = true;
        self
    }
}

impl Machine {
    /// What a walker holds that finds nothing.
    pub(crate) fn nothing(&self) -> u16 {
        if self.config.absent { ABSENT } else { 0 }
    }

    /// Lets `local` hold that root entry `entry` is empty, and with it each page below.
    pub(crate) fn hold_no_table(&self, local: &mut Local, tag: usize, entry: usize) {
        let nothing = self.nothing();
        local.tlb[tag][entry * SLOTS..][..SLOTS].iter_mut().for_each(|set| *set |= nothing);
    }

    /// Judges an access to user page `page` that must not fault.
    pub(crate) fn reach(&self, local: &Local, cpu: usize, page: usize) -> Result<(), Violation> {
        let Some(space) = local.space() else {
            let words = format!("CPU {cpu} must reach page {page} and has no root loaded");
            return Err(words.into());
        };
        if local.tlb[usize::from(local.tag)][page] & ABSENT != 0 {
            let name = space_name(space);
            let words = format!("CPU {cpu} may find page {page} of space {name} absent");
            return Err(Broken { page: Some(page), ..broken(4, words) }.into());
        }
        Ok(())
    }

    /// The same of kernel page `page`.
    pub(crate) fn reach_kernel(&self, local: &Local, cpu: usize, page: usize) -> Result<(), Violation> {
        if local.kernel[page] & ABSENT != 0 {
            let words = format!("CPU {cpu} may find kernel page {page} absent");
            return Err(Broken { page: Some(page), ..broken(4, words) }.into());
        }
        Ok(())
    }
}
