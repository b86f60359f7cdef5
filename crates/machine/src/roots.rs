//! Several roots. A space may have more than one: a user root and a kernel root where page tables are isolated, or a
//! replica for each NUMA node. Each root may also have its own entry for the kernel's table; code that changes this
//! entry must find it in all of them.

use crate::config::Builder;
use crate::machine::Machine;
use crate::oracle::broken;
use crate::state::Shared;
use crate::tables::space_name;
use shootdown_explore::{Broken, View};

impl Builder {
    /// Makes the root of `other` another one of `space`: what belongs to the space, its CPU mask and the end of its
    /// mappings are meant under both. `other` has no pages of its own; its entries may name the space's tables.
    pub fn same_space(mut self, other: usize, space: usize) -> Self {
        self.owners[other] = space as u8;
        self
    }

    /// Has root entry `entry` of `other` name `table` at the start, which may be another root's.
    pub fn link_table(mut self, other: usize, entry: usize, table: u64) -> Self {
        self.links.push((other, entry, Some(table)));
        self
    }

    /// Gives each root an entry of its own for the [kernel's table](Self::kernel_table), and one to the root that CPUs
    /// have loaded which have none of a space ([`crate::Tables::kernel_link_of`]). All are linked at the start, but
    /// those of `without`.
    pub fn kernel_entry_per_root(mut self, without: &[usize]) -> Self {
        self.kernel_entries = Some(without.iter().fold(0, |set, root| set | 1 << root));
        self.kernel_table()
    }
}

impl Machine {
    /// The space that a root belongs to.
    pub(crate) fn owner(&self, root: usize) -> usize {
        self.config.owners[root].into()
    }

    /// The entry by which the root that `space` names reaches the kernel's table.
    pub(crate) fn kernel_entry(&self, space: Option<usize>) -> Option<usize> {
        let first = self.watched().kernel_link()?;
        let alone = self.config.kernel_entries.is_none();
        Some(if alone { first } else { first + space.unwrap_or(self.config.spaces) })
    }

    /// Judges entries that name the kernel's table though it was freed, of roots that can still be walked.
    pub(crate) fn kernel_linked(&self, view: &View<'_, Self>, shared: &Shared) -> Option<Broken> {
        let table = self.tables.kernel_table();
        if shared.freed_tables >> (table - 1) & 1 == 0 {
            return None;
        }
        let names = |space| self.kernel_entry(space).is_some_and(|entry| view.memory(entry) == table);
        let reference = names(None).then(|| "the kernel's root".to_owned());
        let lives = |root: &usize| shared.freed_roots >> root & 1 == 0;
        let other = || (0..self.config.spaces).filter(lives).find(|&root| names(Some(root)));
        let whose = reference.or_else(|| other().map(|root| format!("root {}", space_name(root))))?;
        Some(broken(7, format!("{whose} still points to table {table}, which was freed")))
    }
}
