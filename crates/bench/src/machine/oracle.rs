//! What only a simulator can know: which spaces live, and what the policy `exact-sharers`, a bound, asks.

use super::hw::{Hw, TABLE};
use super::tlb::{Fate, Pages};

impl Hw {
    /// Whether a space was made and has not ended.
    pub(super) fn lives(&self, space: u32) -> bool {
        self.living.contains(&space)
    }

    /// Notes that a space was made, or ends.
    pub(super) fn set_lives(&mut self, space: u32, lives: bool) {
        if lives {
            self.living.insert(space);
        } else {
            self.living.remove(&space);
        }
    }

    /// CPUs other than the current one that hold a translation of `pages` that is no longer mapped, and could use it
    /// now.
    pub(crate) fn stale_users(&self, space: u32, retired: &[u32]) -> Vec<u32> {
        let mut users = Vec::new();
        for &number in retired {
            let translation = &self.translations[number as usize];
            let table = translation.page & TABLE != 0;
            for &cpu in &translation.holders {
                let state = &self.cpus[cpu as usize];
                if cpu != self.current && state.root == Some(space) && (state.user || table) {
                    users.push(cpu);
                }
            }
        }
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Drops from the current CPU's TLB what is mapped no more, under the loaded tag: what only an oracle can.
    pub(crate) fn drop_stale(&mut self) {
        let me = self.current as usize;
        let tag = self.cpus[me].tag;
        let Some(entries) = self.cpus[me].tlb.of(tag) else { return };
        let stale =
            entries.iter().filter(|(_, number)| self.translations[**number as usize].fate != Fate::Mapped);
        let mut pages: Vec<u64> = stale.map(|(page, _)| *page).collect();
        pages.sort_unstable();
        if pages.is_empty() {
            return;
        }
        self.totals.selective_flushes += 1;
        self.cpus[me].flushes += 1;
        for page in pages {
            let dropped = self.cpus[me].tlb.drop_pages(tag, Pages { first: page, count: 1 });
            self.dropped(me as u32, &dropped);
        }
    }
}
