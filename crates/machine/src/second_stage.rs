//! Two stages of translation, as guests have: a guest's tables lead to guest pages, and the hypervisor's table of the
//! second stage leads from those to frames.
//!
//! A TLB may hold the result of both (a combined entry), that of the second stage, and on some hardware that of the
//! first. A flush of one guest page ([`crate::hw::flush_guest_page`]) finds entries of the second stage; combined ones
//! do not say which guest page they went through. Arm leaves those to a flush of the VM's tag; RISC-V has the one fence
//! drop them all. Neither drops entries of the first stage, which are the guest's: only a flush of the tag or of the
//! guest's page does.
//!
//! There is one VM, and its guest has no tags of its own.

use crate::config::{Builder, Combined, SecondStage};
use crate::hw::Which;
use crate::limits::MAX_GUEST_PAGES;
use crate::machine::Machine;
use crate::state::Local;
use shootdown_explore::View;

impl Builder {
    /// Has leaves of all spaces hold guest pages (1 and up) instead of translations. `maps` has the translation of each
    /// in the second stage at the start (up to 2). The guest runs under `tag`, the VM's number.
    pub fn second_stage(mut self, tag: u8, combined: Combined, maps: &[u64]) -> Self {
        assert!((1..=MAX_GUEST_PAGES).contains(&maps.len()), "1 to {MAX_GUEST_PAGES} guest pages");
        self.second_stage =
            Some(SecondStage { tag, combined, maps: maps.to_vec(), keeps_first_stage: false });
        self
    }

    /// Translations of guest pages at the start, if there is a second stage.
    pub(crate) fn guest_maps(&self) -> &[u64] {
        self.second_stage.as_ref().map_or(&[], |stage| &stage.maps)
    }

    /// Has TLBs keep results of the first stage by themselves (split TLBs). To be called after
    /// [`second_stage`](Self::second_stage).
    pub fn keeps_first_stage(mut self) -> Self {
        self.second_stage.as_mut().expect("second_stage comes first").keeps_first_stage = true;
        self
    }
}

impl Machine {
    /// Combines what the walker of `cpu` read in a leaf for `page`, guest pages, with the second stage; answers
    /// translations.
    pub(crate) fn combine(
        &self,
        view: &View<'_, Self>,
        cpu: usize,
        local: &mut Local,
        page: usize,
        read: u16,
    ) -> u16 {
        let Some(stage) = &self.config.second_stage else { return read };
        let first = if stage.keeps_first_stage {
            local.first_stage[page] |= read as u8;
            local.first_stage[page].into()
        } else {
            read
        };
        let through = (0..stage.maps.len()).filter(|guest| first >> (guest + 1) & 1 != 0);
        through.fold(0, |all, guest| {
            let held = &mut local.second_stage[guest];
            view.readable(cpu, self.watched().second_stage(guest), |value| {
                *held |= 1u16.wrapping_shl(value as u32) & !1
            });
            all | *held
        })
    }

    /// Drops guest page `guest` of the second stage on one CPU.
    pub(crate) fn flush_guest_page(&self, local: &mut Local, guest: usize) {
        let Some(stage) = &self.config.second_stage else { return };
        local.second_stage[guest] = 0;
        if stage.combined == Combined::Go {
            local.tlb[usize::from(stage.tag)] = Default::default();
        }
    }

    /// Drops all that is held under `tag`.
    pub(crate) fn drop_tag(&self, local: &mut Local, tag: u8) {
        local.drop_tag(tag.into());
        self.drop_first_stage(local, tag, Which::All);
    }

    /// Drops the first stage of `which` pages, if `tag` is the VM's.
    pub(crate) fn drop_first_stage(&self, local: &mut Local, tag: u8, which: Which) {
        let vm = self.config.second_stage.as_ref().is_some_and(|stage| stage.tag == tag);
        let pages = local.first_stage.iter_mut().enumerate();
        pages.filter(|(page, _)| vm && which.covers(*page)).for_each(|(_, held)| *held = 0);
    }
}
