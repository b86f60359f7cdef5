use crate::limits::{MAX_ENTRIES, SLOTS};
use shootdown_explore::Registry;
use shootdown_explore::sync::Word;

/// Page tables in memory. Code under check stores to the words; hardware walks them.
///
/// A root entry holds the number of a leaf table (1 and up) or 0; a leaf holds a translation value (1 to 15) or 0.
/// Page `p` is slot `p % 2` of the table that root entry `p / 2` names.
///
/// Kernel pages are reached from every root. They are there by themselves, or in a table of the kernel's that one more
/// word links ([`crate::Builder::kernel_table`]); its number is the one after those of the spaces' tables.
#[derive(Debug)]
pub struct Tables {
    pub(crate) per_space: usize,
    pub(crate) roots: Vec<[Word; MAX_ENTRIES]>,
    pub(crate) leaves: Vec<[Word; SLOTS]>,
    pub(crate) kernel: Vec<Word>,
    /// None, one that all roots share, or one for each root and the kernel's own.
    pub(crate) kernel_links: Vec<Word>,
    pub(crate) second_stage: Vec<Word>,
    pub(crate) code: Vec<Word>,
}

impl Tables {
    /// Entry `entry` of the root of `space`.
    pub fn root(&self, space: usize, entry: usize) -> &Word {
        assert!(entry < self.per_space, "space {} has no root entry {entry}", space_name(space));
        &self.roots[space][entry]
    }

    /// Leaf of `page` in the table that `space` starts with.
    pub fn leaf(&self, space: usize, page: usize) -> &Word {
        self.slot(self.table(space, page), page % SLOTS)
    }

    /// Slot `slot` of leaf table `table`.
    pub fn slot(&self, table: u64, slot: usize) -> &Word {
        &self.leaves[table as usize - 1][slot]
    }

    /// The memory of leaf table `table`, for [`shootdown_explore::sync::retire`].
    pub fn page(&self, table: u64) -> &[Word; SLOTS] {
        &self.leaves[table as usize - 1]
    }

    /// Number of the leaf table that `space` starts with for `page`.
    pub fn table(&self, space: usize, page: usize) -> u64 {
        assert!(page / SLOTS < self.per_space, "space {} has no page {page}", space_name(space));
        (space * self.per_space + page / SLOTS + 1) as u64
    }

    /// Leaf of kernel page `page`.
    pub fn kernel(&self, page: usize) -> &Word {
        &self.kernel[page]
    }

    /// The entry that links the kernel's table, in the part that all roots share, or in the kernel's own root.
    pub fn kernel_link(&self) -> &Word {
        self.kernel_links.last().expect("this machine has no kernel table")
    }

    /// The entry of the root of `space` that links the kernel's table, on a machine where each has one
    /// ([`crate::Builder::kernel_entry_per_root`]).
    pub fn kernel_link_of(&self, space: usize) -> &Word {
        assert!(self.kernel_links.len() > 1, "the roots of this machine share their entry for the kernel");
        &self.kernel_links[space]
    }

    /// Second-stage entry of guest page `guest` (1 and up, as leaves name it).
    pub fn second_stage(&self, guest: usize) -> &Word {
        &self.second_stage[guest - 1]
    }

    /// Piece `piece` of code: its version (1 to 7).
    pub fn code(&self, piece: usize) -> &Word {
        &self.code[piece]
    }

    /// Number of the kernel's table, whether there is one or not.
    pub fn kernel_table(&self) -> u64 {
        self.leaves.len() as u64 + 1
    }

    /// Number of the last table.
    pub(crate) fn last(&self) -> u64 {
        self.leaves.len() as u64 + u64::from(!self.kernel_links.is_empty())
    }

    /// Names all words and has hardware read them; returns the index of the first. Order: roots, leaves, kernel, the
    /// links of the kernel's table, the second stage, code.
    pub(crate) fn register(&self, registry: &mut Registry) -> usize {
        let mut first = None;
        let mut watch = |registry: &mut Registry, word: &Word| {
            let index = registry.watch(word);
            first.get_or_insert(index);
        };
        for (space, root) in self.roots.iter().enumerate() {
            registry.object(format!("{}.root", space_name(space)), root);
            root[..self.per_space].iter().for_each(|word| watch(registry, word));
        }
        for (table, leaf) in self.leaves.iter().enumerate() {
            registry.object(format!("table{}", table + 1), leaf);
            leaf.iter().for_each(|word| watch(registry, word));
        }
        for (page, word) in self.kernel.iter().enumerate() {
            registry.object(format!("kernel{page}"), word);
            watch(registry, word);
        }
        let last = self.kernel_links.len().saturating_sub(1);
        for (root, link) in self.kernel_links.iter().enumerate() {
            let name =
                if root == last { "kernel root".to_owned() } else { format!("{}.kernel", space_name(root)) };
            registry.object(name, link);
            watch(registry, link);
        }
        for (guest, word) in self.second_stage.iter().enumerate() {
            registry.object(format!("guest{}", guest + 1), word);
            watch(registry, word);
        }
        for (piece, word) in self.code.iter().enumerate() {
            registry.object(format!("code{piece}"), word);
            watch(registry, word);
        }
        first.unwrap_or(0)
    }
}

/// Letter by which messages and drawings call a space.
pub fn space_name(space: usize) -> char {
    char::from(b'A' + space.min(25) as u8)
}
