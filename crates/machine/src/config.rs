use crate::limits::{
    MAX_CPUS, MAX_ENTRIES, MAX_FRAMES, MAX_KERNEL, MAX_SPACES, MAX_TABLES, MAX_TAGS, MAX_VALUES, SLOTS,
};
use crate::state::{Local, ONLINE, PAUSED, USER};
use crate::tables::Tables;
use shootdown_explore::sync::Word;

/// What a translation value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The frame it leads to.
    pub frame: usize,
    /// The space that may use it; `None`: any (the kernel's, or a shared frame).
    pub space: Option<usize>,
    /// Whether it allows writes. For display only; write protection is another value plus [`crate::hw::revoke`].
    pub writable: bool,
}

/// What orders page walks, flushes and loads of roots against accesses of their CPU: a fact of the architecture, which
/// only [`shootdown_explore::Memory::Weak`] asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HardwareOrder {
    /// The order of the program. x86: flushes and loads of roots serialize (SDM volume 3, "Serializing Instructions").
    #[default]
    Program,
    /// Barriers ([`crate::hw::dsb`]). aarch64: walks may miss what their CPU has read or stored until a DSB comes after
    /// it; a TLBI is not ordered after accesses without one. One of this CPU is complete by the next DSB. A broadcast
    /// stands for the TLBI with the DSB behind it, and is complete on return: a TLBI that no DSB waits for may take
    /// effect at any time later, so a model of a kernel that forgets the DSB issues the broadcast that late, or not at
    /// all. FEAT_ETS2 promises more.
    Barriers,
    /// Flushes themselves. riscv64: `sfence.vma` brings the walks of its own hart forward to what the hart knows (Priv,
    /// "Supervisor Memory-Management Fence Instruction"); a write to satp orders nothing.
    Flushes,
}

/// What a flush of a guest page does to combined entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combined {
    /// They stay (Arm's `TLBI IPAS2E1`).
    Stay,
    /// All of the VM's go (RISC-V's `HFENCE.GVMA`).
    Go,
}

/// The VM's second stage.
#[derive(Clone, Debug)]
pub(crate) struct SecondStage {
    pub(crate) tag: u8,
    pub(crate) combined: Combined,
    /// Translation of each guest page at the start.
    pub(crate) maps: Vec<u64>,
    /// Whether TLBs keep results of the first stage by themselves.
    pub(crate) keeps_first_stage: bool,
}

/// Describes a machine at the start.
#[derive(Debug)]
pub struct Builder {
    pub(crate) cpus: usize,
    pub(crate) spaces: usize,
    pub(crate) per_space: usize,
    pub(crate) tags: usize,
    pub(crate) kernel_pages: usize,
    kernel_table: bool,
    /// Whether each root has its own entry for the kernel's table, and those that do not link it at the start.
    pub(crate) kernel_entries: Option<u8>,
    /// The space that each root belongs to.
    pub(crate) owners: [u8; MAX_SPACES],
    /// Whether user code is told from the kernel, and what an entry uses of kernel pages.
    pub(crate) privilege: bool,
    pub(crate) entry_pages: u8,
    pub(crate) remaps: bool,
    pub(crate) software_refill: bool,
    pub(crate) late_accesses: bool,
    /// Translations of large leaves, and whether TLBs hold these page by page.
    pub(crate) large: u16,
    pub(crate) splinters: bool,
    pub(crate) absent: bool,
    /// Entries that hardware exchanges on a write: clean, dirty.
    pub(crate) marks: Vec<(u64, u64)>,
    /// CPUs whose walkers exchange none.
    pub(crate) markless: u8,
    /// Pairs of translations that a TLB may not hold for a page at the same time.
    pub(crate) conflicts: Vec<(u64, u64)>,
    /// Whether states are checked.
    pub(crate) checked: bool,
    pub(crate) translations: Vec<Translation>,
    pub(crate) must_free: [Vec<usize>; 3],
    /// Per CPU, those that share its TLB, itself included.
    pub(crate) domains: [u8; MAX_CPUS],
    /// Versions of pieces of kernel code at the start, and which of them entries run.
    pub(crate) code: Vec<u64>,
    pub(crate) entry_code: u8,
    pub(crate) second_stage: Option<SecondStage>,
    /// CPUs that are IOMMUs with the page tables of CPUs, a bit each.
    pub(crate) sharing: u8,
    /// Per CPU that is a device, its IOMMU.
    pub(crate) iommus: [Option<u8>; MAX_CPUS],
    /// Whether a flush of one kernel page may miss, where there are tags.
    pub(crate) sticky_kernel_pages: bool,
    pub(crate) order: HardwareOrder,
    /// Root, entry, and the table that it names where that is another root's.
    pub(crate) links: Vec<(usize, usize, Option<u64>)>,
    maps: Vec<(usize, usize, u64)>,
    kernel_maps: Vec<(usize, u64)>,
    pub(crate) locals: Vec<Local>,
}

impl Builder {
    /// A machine of `cpus` CPUs (up to 8), all online without a root; 1 space with 1 leaf table, no tags, no kernel
    /// pages, nothing mapped.
    pub fn new(cpus: usize) -> Self {
        assert!((1..=MAX_CPUS).contains(&cpus), "a machine has 1 to {MAX_CPUS} CPUs, not {cpus}");
        Self {
            cpus,
            spaces: 1,
            per_space: 1,
            tags: 1,
            kernel_pages: 0,
            kernel_table: false,
            kernel_entries: None,
            owners: std::array::from_fn(|root| root as u8),
            privilege: false,
            entry_pages: 0,
            remaps: false,
            software_refill: false,
            late_accesses: false,
            large: 0,
            splinters: false,
            absent: false,
            marks: Vec::new(),
            markless: 0,
            conflicts: Vec::new(),
            checked: true,
            translations: Vec::new(),
            must_free: Default::default(),
            domains: std::array::from_fn(|cpu| 1 << cpu),
            code: Vec::new(),
            entry_code: 0,
            second_stage: None,
            sharing: 0,
            iommus: [None; MAX_CPUS],
            sticky_kernel_pages: false,
            order: HardwareOrder::Program,
            links: Vec::new(),
            maps: Vec::new(),
            kernel_maps: Vec::new(),
            locals: vec![Local { flags: ONLINE, ..Local::default() }; cpus],
        }
    }

    /// Sets the number of spaces (up to 6) and of leaf tables of each (1 or 2; 2 pages per table).
    pub fn spaces(mut self, spaces: usize, tables_each: usize) -> Self {
        assert!((1..=MAX_SPACES).contains(&spaces), "1 to {MAX_SPACES} spaces");
        assert!((1..=MAX_ENTRIES).contains(&tables_each), "1 to {MAX_ENTRIES} tables per space");
        assert!(spaces * tables_each <= MAX_TABLES, "{MAX_TABLES} leaf tables at most");
        (self.spaces, self.per_space) = (spaces, tables_each);
        self
    }

    /// Sets the number of tags (1 to 6). With 1 the machine is untagged: every root load flushes.
    pub fn tags(mut self, tags: usize) -> Self {
        assert!((1..=MAX_TAGS).contains(&tags), "1 to {MAX_TAGS} tags");
        self.tags = tags;
        self
    }

    /// Sets the number of kernel pages (0 to 2).
    pub fn kernel_pages(mut self, pages: usize) -> Self {
        assert!(pages <= MAX_KERNEL, "0 to {MAX_KERNEL} kernel pages");
        self.kernel_pages = pages;
        self
    }

    /// Puts the kernel pages into a table, which is linked at the start and can be freed.
    pub fn kernel_table(mut self) -> Self {
        self.kernel_table = true;
        self
    }

    /// Gives the machine a known fault of real ones: while tags are in use, [`crate::hw::flush_kernel_page`] may leave
    /// what it should drop (here it always does). Flushes of everything work.
    pub fn sticky_kernel_pages(mut self) -> Self {
        self.sticky_kernel_pages = true;
        self
    }

    /// Sets what orders page walks and flushes against accesses under weak memory; [`HardwareOrder::Program`]
    /// otherwise.
    pub fn order(mut self, order: HardwareOrder) -> Self {
        self.order = order;
        self
    }

    /// Allows [`crate::hw::mapped`], at the price of fewer reductions.
    pub fn remaps(mut self) -> Self {
        self.remaps = true;
        self
    }

    /// Takes the hardware walker away (MIPS, say): user translations come from [`crate::hw::insert`] alone. Kernel
    /// pages are still walked.
    pub fn software_refill(mut self) -> Self {
        self.software_refill = true;
        self
    }

    /// Leaves states unchecked, so that only another oracle can notice.
    pub fn without_oracle(mut self) -> Self {
        self.checked = false;
        self
    }

    /// What hardware may do, by field and in words, without sizes.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        macro_rules! facts {
            ($($field:ident)*) => { vec![$((stringify!($field), format!("{:?}", self.$field))),*] };
        }
        facts! {
            kernel_table privilege entry_pages software_refill late_accesses large splinters absent marks markless conflicts
            domains entry_code second_stage sharing iommus sticky_kernel_pages order
        }
    }

    /// Lets a broadcast finish before the accesses of other CPUs that used the translations it dropped (an erratum):
    /// they may arrive until the next broadcast, or until their CPU flushes or loads a root itself. On other machines a
    /// flush waits for them.
    pub fn late_accesses(mut self) -> Self {
        self.late_accesses = true;
        self
    }

    /// Adds a translation; its value is the number of translations added so far: 1, 2, ... up to 15.
    pub fn translation(mut self, frame: usize, space: Option<usize>, writable: bool) -> Self {
        assert!(frame < MAX_FRAMES && self.translations.len() < MAX_VALUES - 1, "at most 15 translations");
        self.translations.push(Translation { frame, space, writable });
        self
    }

    /// Maps `page` of `space` to `value` at the start, and links its table.
    pub fn map(mut self, space: usize, page: usize, value: u64) -> Self {
        self.maps.push((space, page, value));
        self.links.push((space, page / SLOTS, None));
        self
    }

    /// Maps `page` of `space` at the start to `frame`, which is the space's own: a [translation](Self::translation)
    /// that allows writes, and the [map](Self::map) of its value.
    pub fn own_page(self, space: usize, page: usize, frame: usize) -> Self {
        let with_value = self.translation(frame, Some(space), true);
        let value = with_value.translations.len() as u64;
        with_value.map(space, page, value)
    }

    /// Links an empty table at root entry `entry` of `space` at the start.
    pub fn link(mut self, space: usize, entry: usize) -> Self {
        self.links.push((space, entry, None));
        self
    }

    /// Maps kernel page `page` to `value` at the start.
    pub fn map_kernel(mut self, page: usize, value: u64) -> Self {
        self.kernel_maps.push((page, value));
        self
    }

    /// Has `cpu` start with the root of `space` loaded under `tag`, in user mode or lazy. It may hold by then all that
    /// it could have read.
    pub fn start(mut self, cpu: usize, space: usize, tag: u8, user: bool) -> Self {
        let local = &mut self.locals[cpu];
        (local.root, local.tag) = (space as u8 + 1, tag);
        local.set(USER, user);
        self
    }

    /// Has `cpu` start with `value` of `page` under `tag` in its TLB, from an earlier time.
    pub fn cached(mut self, cpu: usize, tag: u8, page: usize, value: u64) -> Self {
        self.locals[cpu].tlb[usize::from(tag)][page] |= 1 << value;
        self
    }

    /// Has `cpu` start without being run ([`crate::hw::running`]).
    pub fn taken_off(mut self, cpu: usize) -> Self {
        self.locals[cpu].set(PAUSED, true);
        self
    }

    /// Has `cpu` start offline.
    pub fn offline(mut self, cpu: usize) -> Self {
        self.locals[cpu].set(ONLINE, false);
        self
    }

    /// Demands that `frame` has been freed when all CPUs have finished.
    pub fn must_free_frame(mut self, frame: usize) -> Self {
        self.must_free[0].push(frame);
        self
    }

    /// Demands that leaf table `table` has been freed when all CPUs have finished.
    pub fn must_free_table(mut self, table: u64) -> Self {
        self.must_free[1].push(table as usize);
        self
    }

    /// Demands that the root of `space` has been freed when all CPUs have finished.
    pub fn must_free_root(mut self, space: usize) -> Self {
        self.must_free[2].push(space);
        self
    }

    /// Checks that all fits together, and lays the page tables out.
    pub(crate) fn tables(&self) -> Tables {
        self.check();
        let kernel_number = (self.spaces * self.per_space + 1) as u64;
        Tables {
            per_space: self.per_space,
            roots: (0..self.spaces)
                .map(|space| {
                    let linked = |entry| {
                        let own = (space * self.per_space + entry + 1) as u64;
                        let link = self.links.iter().rfind(|link| (link.0, link.1) == (space, entry));
                        link.map_or(0, |link| link.2.unwrap_or(own))
                    };
                    [Word::new("entry0", linked(0)), Word::new("entry1", linked(1))]
                })
                .collect(),
            leaves: (0..self.spaces * self.per_space)
                .map(|table| {
                    let value = |slot| {
                        let page = (table / self.per_space, table % self.per_space * SLOTS + slot);
                        self.maps.iter().rfind(|m| (m.0, m.1) == page).map_or(0, |m| m.2)
                    };
                    [Word::new("slot0", value(0)), Word::new("slot1", value(1))]
                })
                .collect(),
            kernel: (0..self.kernel_pages)
                .map(|page| {
                    let value = self.kernel_maps.iter().rfind(|m| m.0 == page).map_or(0, |m| m.1);
                    Word::new("page", value)
                })
                .collect(),
            kernel_links: self.kernel_links(kernel_number),
            second_stage: self.guest_maps().iter().map(|&value| Word::new("entry", value)).collect(),
            code: self.code.iter().map(|&version| Word::new("version", version)).collect(),
        }
    }

    /// The entries for the kernel's table: one that all roots share, or one each and that of the kernel's own root.
    fn kernel_links(&self, table: u64) -> Vec<Word> {
        let entries = match self.kernel_entries {
            None => 0..usize::from(self.kernel_table),
            Some(_) => 0..self.spaces + 1,
        };
        let without = self.kernel_entries.unwrap_or(0);
        let linked = |root: usize| if without >> root & 1 == 0 { table } else { 0 };
        entries.map(|root| Word::new("entry", linked(root))).collect()
    }

    /// What there is of everything, in words.
    pub(crate) fn says(&self) -> String {
        let pages = self.per_space * SLOTS;
        let frames: Vec<String> = self.translations.iter().map(|one| one.frame.to_string()).collect();
        format!(
            "{} CPUs, {} spaces with pages 0 to {} each, tags 0 to {}, {} kernel pages, frames {}",
            self.cpus,
            self.spaces,
            pages - 1,
            self.tags - 1,
            self.kernel_pages,
            frames.join(", ")
        )
    }

    fn check(&self) {
        let pages = self.per_space * SLOTS;
        let value = |v: u64| (1..=self.translations.len() as u64).contains(&v);
        let tables = self.spaces * self.per_space + usize::from(self.kernel_table);
        let guests = self.guest_maps();
        assert!(guests.iter().all(|&v| v == 0 || value(v)), "no such translation");
        let leaf = |v: u64| if guests.is_empty() { value(v) } else { (1..=guests.len() as u64).contains(&v) };
        assert!(tables <= MAX_TABLES, "{MAX_TABLES} tables at most, the kernel's included");
        assert!(
            self.maps.iter().all(|m| m.0 < self.spaces && m.1 < pages && leaf(m.2)),
            "mapping out of range"
        );
        let table = |t: u64| (1..=(self.spaces * self.per_space) as u64).contains(&t);
        let link = |l: &(usize, usize, Option<u64>)| {
            l.0 < self.spaces && l.1 < self.per_space && l.2.is_none_or(table)
        };
        assert!(self.links.iter().all(link), "link out of range");
        assert!(
            self.kernel_maps.iter().all(|m| m.0 < self.kernel_pages && value(m.1)),
            "kernel page out of range"
        );
        let mut pairs = self.marks.iter().chain(&self.conflicts);
        assert!(pairs.all(|pair| value(pair.0) && value(pair.1)), "no such translation");
        assert!(self.translations.iter().all(|t| t.space.is_none_or(|s| s < self.spaces)), "no such space");
        let owner = |root: usize| usize::from(self.owners[root]);
        let owned =
            |root: usize| owner(root) == root || root < self.spaces && owner(owner(root)) == owner(root);
        assert!((0..MAX_SPACES).all(|root| owner(root) < MAX_SPACES && owned(root)), "no such space");
        assert!(u32::from(self.entry_pages) >> self.kernel_pages == 0, "entry page out of range");
        assert!(u32::from(self.entry_code) >> self.code.len() == 0, "no such code");
        let roots = self.kernel_entries.unwrap_or(0);
        assert!(u32::from(roots) >> self.spaces == 0, "no such root");
        for (local, domain) in self.locals.iter().zip(self.domains) {
            let alone = domain.count_ones() == 1;
            assert!(alone || local.is(ONLINE), "CPUs that share a TLB stay online");
            assert!(usize::from(local.root) <= self.spaces, "no such space");
            assert!(usize::from(local.tag) < self.tags, "no such tag");
        }
    }
}
