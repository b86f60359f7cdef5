use crate::limits::{MAX_ENTRIES, SLOTS};
use shootdown_explore::Registry;
use shootdown_explore::sync::Word;

/// Page tables in memory. Code under check stores to the words; hardware walks them.
///
/// A root entry holds the number of a leaf table (1 and up) or 0; a leaf holds a translation value (1 to 15) or 0.
/// Page `p` is slot `p % 2` of the table that root entry `p / 2` names.
///
/// Kernel pages are reached from every root. They are there by themselves, or in a table of the kernel's that one more word
/// links ([`crate::Builder::kernel_table`]); its number is the one after those of the spaces' tables.
#[derive(Debug)]
pub struct Tables {
    pub(crate) per_space: usize,
    pub(crate) roots: Vec<[Word; MAX_ENTRIES]>,
    pub(crate) leaves: Vec<[Word; SLOTS]>,
    pub(crate) kernel: Vec<Word>,
    pub(crate) kernel_link: Option<Word>,
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

    /// The entry that links the kernel's table, in the part that all roots share.
    pub fn kernel_link(&self) -> &Word {
        self.kernel_link.as_ref().expect("this machine has no kernel table")
    }

    /// Number of the kernel's table, whether there is one or not.
    pub fn kernel_table(&self) -> u64 {
        self.leaves.len() as u64 + 1
    }

    /// Number of the last table.
    pub(crate) fn last(&self) -> u64 {
        self.leaves.len() as u64 + u64::from(self.kernel_link.is_some())
    }

    /// Names all words and has hardware read them; returns the index of the first. Order: roots, leaves, kernel, the link of
    /// the kernel's table.
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
        if let Some(link) = &self.kernel_link {
            registry.object("kernel root", link);
            watch(registry, link);
        }
        first.unwrap_or(0)
    }
}

/// Letter by which messages and drawings call a space.
pub fn space_name(space: usize) -> char {
    char::from(b'A' + space.min(25) as u8)
}
