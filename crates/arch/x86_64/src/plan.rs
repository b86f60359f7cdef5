//! The choice of instructions for a request.

use crate::encode::{Depth, Globals, Invlpgb, LinearWidth, Pcid, Stride, Under};
use crate::features::Features;
use shootdown::flush::{FlushRequest, Levels, LocalFlush, PageRange, PageSize, Pages};
use shootdown::tags::Tag;

/// Most pages that are dropped one by one; [`shootdown::Platform::RANGE_CEILING`] and the default of
/// [`Strategies::ceiling`].
///
/// Linux measured it (`tlb_single_page_flush_ceiling`, arch/x86/mm/tlb.c): one INVLPG costs about 100 ns, what a full
/// flush costs in refills is about 3 us, so up to 33 pages one by one are cheaper.
pub const RANGE_CEILING: u64 = 33;

/// How tags are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// CR4.PCIDE is 0, and each root load flushes.
    None,
    /// A tag is a PCID.
    Pcid,
    /// A tag is a pair of PCIDs, for kernel page-table isolation: user code runs under the half with bit 11.
    Pairs,
}

/// How the kernel's own pages are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelMappings {
    /// As global pages: INVLPG drops them whatever PCID is current.
    Global,
    /// As others: every PCID may have its copy.
    PerTag,
}

/// The parts of a CPU's [`Features`] that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategies {
    tagging: Tagging,
    kernel: KernelMappings,
    width: LinearWidth,
    invpcid: bool,
    global_pages: bool,
    invlpgb: Option<u32>,
    serialize: bool,
    ceiling: u64,
}

impl Strategies {
    /// Settings that work on every x86-64 CPU: no tags, no broadcast.
    pub const PLAIN: Self = Self {
        tagging: Tagging::None,
        kernel: KernelMappings::Global,
        width: LinearWidth::Bits48,
        invpcid: false,
        global_pages: true,
        invlpgb: None,
        serialize: false,
        ceiling: RANGE_CEILING,
    };

    /// Takes the best of `features` that fits: tags where `wanted` and available, else [`Tagging::None`].
    ///
    /// - Pairs need INVPCID, as nothing else drops a PCID that is not loaded; without it each switch of roots flushes.
    /// - INVLPGB is used with PCIDs alone, and never with pairs: Linux had to give up both other combinations (commits
    ///   44126343d58c, 94a17f2dc90b), so that nobody runs them.
    /// - `width` says whether CR4.LA57 is set.
    pub const fn choose(
        features: &Features,
        wanted: Tagging,
        kernel: KernelMappings,
        width: LinearWidth,
    ) -> Self {
        let tagging = match wanted {
            Tagging::Pcid if features.pcid && features.global_pages => Tagging::Pcid,
            Tagging::Pairs if features.pcid && features.global_pages && features.invpcid => Tagging::Pairs,
            _ => Tagging::None,
        };
        let invlpgb = match tagging {
            Tagging::Pcid => features.invlpgb,
            Tagging::None | Tagging::Pairs => None,
        };
        let Features { invpcid, global_pages, serialize, .. } = *features;
        Self { tagging, kernel, width, invpcid, global_pages, invlpgb, serialize, ceiling: RANGE_CEILING }
    }

    /// Drops ranges of more than `pages` pages as a whole.
    pub const fn with_ceiling(mut self, pages: u64) -> Self {
        self.ceiling = pages;
        self
    }

    /// Does without broadcasts: hardware that announces them by mistake exists (Linux commit a74bb5f202da).
    pub const fn without_broadcast(mut self) -> Self {
        self.invlpgb = None;
        self
    }

    /// How tags are used.
    pub const fn tagging(&self) -> Tagging {
        self.tagging
    }

    /// Whether the CPU has CR4.PGE.
    pub const fn global_pages(&self) -> bool {
        self.global_pages
    }

    /// Width of linear addresses.
    pub const fn width(&self) -> LinearWidth {
        self.width
    }

    /// Most pages that are dropped one by one.
    pub const fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Returns the PCID that stands for `tag`. [`Pcid::SHARED`], which is flushed at each load, stands for tags that
    /// are no PCID, and for all where there are no PCIDs.
    pub const fn pcid(&self, tag: Tag) -> Pcid {
        match self.exact(tag) {
            Some(pcid) => pcid,
            None => Pcid::SHARED,
        }
    }

    const fn exact(&self, tag: Tag) -> Option<Pcid> {
        let pcid = match self.tagging {
            Tagging::None => Ok(Pcid::SHARED),
            Tagging::Pcid => Pcid::new(tag.number()),
            Tagging::Pairs => Pcid::paired(tag.number()),
        };
        match pcid {
            Ok(pcid) => Some(pcid),
            Err(_) => None,
        }
    }

    /// Chooses the instructions for `what` on a CPU that has `current` loaded.
    ///
    /// What drops everything serialises as well, as it may stand for a request for contexts. Under a tag that is not
    /// loaded it need not: the write to CR3 that loads it does.
    #[inline]
    pub const fn local(&self, what: LocalFlush, current: Pcid) -> Plan {
        if what.request.syncs_contexts() {
            return Plan::one(self.serializing());
        }
        let (range, levels) = (what.request.range(), what.request.levels());
        let Some(tag) = what.tag else {
            return match range {
                Some(range) => self.kernel_pages(range, levels),
                None => self.everything(),
            };
        };
        match (self.exact(tag), range) {
            (Some(pcid), Some(range)) => self.user_pages(pcid, range, levels, current),
            (Some(pcid), None) => self.context(pcid, current),
            (None, _) => self.everything(),
        }
    }

    /// What must go besides the write to CR3 when a root is installed with a flush: the user half, which CR3 does not
    /// name.
    #[inline]
    pub const fn besides_install(&self, pcid: Pcid) -> Option<Step> {
        match self.tagging {
            Tagging::Pairs => Some(Step::InvpcidContext(pcid.user_half())),
            Tagging::None | Tagging::Pcid => None,
        }
    }

    #[inline]
    const fn user_pages(&self, pcid: Pcid, range: PageRange, levels: Levels, current: Pcid) -> Plan {
        let Some(pages) = self.one_by_one(range) else { return self.context(pcid, current) };
        let is_current = pcid.number() == current.number();
        match (self.tagging, levels) {
            // INVLPG drops the paging-structure caches of the current PCID, whatever the address (SDM 4.10.4.1).
            (Tagging::None, _) => Plan::of(pages, Step::Invlpg, None),
            (Tagging::Pcid, _) if is_current => Plan::of(pages, Step::Invlpg, None),
            (Tagging::Pcid, Levels::Leaf) if self.invpcid => {
                Plan::of(pages, Step::InvpcidAddress(pcid), None)
            }
            (Tagging::Pairs, Levels::Leaf) if is_current => {
                Plan::of(pages, Step::Invlpg, Some(Step::InvpcidAddress(pcid.user_half())))
            }
            // INVPCID of an address promises nothing for tables above other addresses.
            (Tagging::Pairs, Levels::All) if is_current => {
                Plan::of(pages, Step::Invlpg, Some(Step::InvpcidContext(pcid.user_half())))
            }
            (Tagging::Pcid | Tagging::Pairs, _) => self.context(pcid, current),
        }
    }

    const fn context(&self, pcid: Pcid, current: Pcid) -> Plan {
        let is_current = pcid.number() == current.number();
        match self.tagging {
            Tagging::None => Plan::one(Step::ReloadCr3),
            Tagging::Pcid if is_current => Plan::one(Step::ReloadCr3),
            Tagging::Pcid if self.invpcid => Plan::one(Step::InvpcidContext(pcid)),
            Tagging::Pcid => self.everything(),
            Tagging::Pairs => {
                let half = if is_current { Step::ReloadCr3 } else { Step::InvpcidContext(pcid) };
                Plan::of(Pages::NONE, half, Some(Step::InvpcidContext(pcid.user_half())))
            }
        }
    }

    const fn kernel_pages(&self, range: PageRange, levels: Levels) -> Plan {
        let Some(pages) = self.one_by_one(range) else { return self.everything() };
        match (self.tagging, self.kernel, levels) {
            (Tagging::None, _, _) => Plan::of(pages, Step::Invlpg, None),
            (Tagging::Pcid | Tagging::Pairs, KernelMappings::Global, Levels::Leaf) => {
                Plan::of(pages, Step::Invlpg, None)
            }
            // Each PCID has its own translations, or its own cached entries of the tables: those are never global.
            (Tagging::Pcid | Tagging::Pairs, _, _) => self.everything(),
        }
    }

    const fn everything(&self) -> Plan {
        if self.invpcid {
            Plan::of(Pages::NONE, Step::InvpcidAll, Some(self.serializing()))
        } else if self.global_pages {
            Plan::one(Step::TogglePge)
        } else {
            // No CPU has PCIDs and no CR4.PGE, and without either this is all there is.
            Plan::one(Step::ReloadCr3)
        }
    }

    const fn serializing(&self) -> Step {
        if self.serialize { Step::Serialize } else { Step::RewriteCr2 }
    }

    /// The pages of `range`, unless they are too many or not all canonical.
    #[inline]
    const fn one_by_one(&self, range: PageRange) -> Option<Pages> {
        let pages = pages_of(range);
        if pages.remaining() > self.ceiling || !canonical(&pages, self.width) { None } else { Some(pages) }
    }

    /// Whether INVLPGB is used: whether tags may rest on broadcasts.
    pub const fn broadcasts(&self) -> bool {
        self.invlpgb.is_some()
    }

    /// Chooses the broadcasts for a request, or nothing where they are not used: no broadcast synchronises the context
    /// of another CPU.
    #[inline]
    pub const fn broadcast(&self, whose: Target, request: FlushRequest) -> Option<Broadcast> {
        if request.syncs_contexts() {
            return None;
        }
        let Some(most) = self.invlpgb else { return None };
        let globals = match whose {
            Target::Space(_) => Globals::Excepted,
            Target::Kernel => Globals::Included,
        };
        let under = match whose {
            Target::Space(Some(tag)) => match self.exact(tag) {
                Some(pcid) => Under::One(pcid),
                None => Under::All,
            },
            // Each CPU numbers spaces for itself.
            Target::Space(None) | Target::Kernel => Under::All,
        };
        let left = match request.range() {
            Some(range) => match self.one_by_one(range) {
                Some(pages) => Left::Pages(pages),
                None => Left::All,
            },
            None => Left::All,
        };
        let depth = match request.levels() {
            Levels::Leaf => Depth::Final,
            Levels::All => Depth::PageTables,
        };
        Some(Broadcast { left, limits: (most, self.width), depth, globals, under })
    }
}

/// The memory that a broadcast is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A space's, which all CPUs run under this tag, if there is one such.
    Space(Option<Tag>),
    /// The kernel's.
    Kernel,
}

/// Returns the hardware pages of `range`. For a size that x86-64 lacks these are the smallest pages.
#[inline]
pub(crate) const fn pages_of(range: PageRange) -> Pages {
    let size = match range.size() {
        PageSize::Size2M | PageSize::Size1G => range.size(),
        _ => PageSize::Size4K,
    };
    Pages::holding(range, size.shift())
}

/// Whether all pages are canonical.
pub(crate) const fn canonical(pages: &Pages, width: LinearWidth) -> bool {
    pages.in_one_half() && width.is_canonical(pages.start()) && width.is_canonical(pages.last_page())
}

/// One kind of instruction, or several of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// INVLPG for each page of the plan.
    Invlpg,
    /// INVPCID of type 0 for each page of the plan.
    InvpcidAddress(Pcid),
    /// INVPCID of type 1.
    InvpcidContext(Pcid),
    /// CR3 is written with what it holds: drops the current PCID, global translations excepted.
    ReloadCr3,
    /// INVPCID of type 2.
    InvpcidAll,
    /// CR4.PGE is changed there and back.
    TogglePge,
    /// SERIALIZE, which drops nothing.
    Serialize,
    /// CR2 is written with what it holds: serialises where SERIALIZE is missing.
    RewriteCr2,
}

/// Instructions for a local request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For the steps that go page by page. Kept once: a plan lies on the stack of the IPI handler.
    pub pages: Pages,
    /// First.
    pub first: Step,
    /// Then, if anything.
    pub second: Option<Step>,
}

impl Plan {
    /// A step that asks for no pages.
    #[inline]
    const fn one(first: Step) -> Self {
        Self::of(Pages::NONE, first, None)
    }

    #[inline]
    const fn of(pages: Pages, first: Step, second: Option<Step>) -> Self {
        Self { pages, first, second }
    }
}

/// The INVLPGBs that carry a request out, before one TLBSYNC.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    left: Left,
    limits: (u32, LinearWidth),
    depth: Depth,
    globals: Globals,
    under: Under,
}

#[derive(Clone, Copy, Debug)]
enum Left {
    Pages(Pages),
    All,
    Nothing,
}

impl Iterator for Broadcast {
    type Item = Invlpgb;

    #[inline]
    fn next(&mut self) -> Option<Invlpgb> {
        let Left::Pages(pages) = &mut self.left else {
            let all = matches!(self.left, Left::All);
            self.left = Left::Nothing;
            return all.then(|| Invlpgb::all(self.globals, self.under));
        };
        if pages.remaining() == 0 {
            return None;
        }
        let (stride, most) = match pages.shift() {
            12 => (Stride::Small, self.limits.0),
            21 => (Stride::Large, self.limits.0),
            // No stride of that size: one at a time.
            _ => (Stride::Large, 1),
        };
        let count = pages.remaining().min(u64::from(most)).min(1 << 16);
        let run = (pages.start(), count, stride);
        let request = Invlpgb::pages(run, self.depth, self.globals, self.under, (most, self.limits.1));
        pages.skip_pages(count);
        let Ok(request) = request else {
            // Not reached, as the pages were looked at before; more is dropped rather than less.
            self.left = Left::Nothing;
            return Some(Invlpgb::all(self.globals, self.under));
        };
        Some(request)
    }
}

#[cfg(test)]
mod tests;
