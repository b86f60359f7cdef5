//! The choice of instructions for a request.

use crate::encode::{Asid, Chunks, RANGE_PAGES_MAX, Root, Ttl, ttbr};
use crate::features::{AsidIn, Features, Translation};
use crate::ops::{Left, Ops, Owner};
use shootdown::flush::{FlushRequest, Levels, LocalFlush, PageRange, Pages};
use shootdown::tags::{OnInstall, Tag};

/// Most pages that are dropped one by one; [`shootdown::Platform::RANGE_CEILING`] and the default of
/// [`Strategies::with_ceiling`].
///
/// Linux's number (`MAX_DVM_OPS`, arch/arm64/include/asm/tlbflush.h): the entries of one table of 4 KiB. Each operation
/// is a message that all cores answer, and longer loops stalled the interconnect until watchdogs fired (commit
/// 05ac65305437). Range operations are not counted: they go to 2 Mi pages.
pub const RANGE_CEILING: u64 = 512;

/// Errata of these CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errata {
    /// Nothing that matters here.
    None,
    /// A translation may be used after TLBI and DSB: both are done twice (Cortex-A76 1286807, Cortex-A55 2441007,
    /// Cortex-A510 2441009, Falkor 1009; and CVE-2025-10263, Linux commit cfd391e74134).
    RepeatTlbi,
}

/// The hardware features in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategies {
    translation: Translation,
    ranges: bool,
    broadcast: bool,
    errata: Errata,
    ceiling: u64,
}

impl Strategies {
    /// Takes the best of `features` that fits how translation is set up.
    pub const fn choose(features: &Features, translation: Translation, errata: Errata) -> Self {
        // With TCR_EL1.DS the base counts units of 64 KiB, which requests are not aligned to.
        let ranges = features.ranges && !translation.wide;
        Self { translation, ranges, broadcast: true, errata, ceiling: RANGE_CEILING }
    }

    /// Sends IPIs instead of broadcasting: for CPUs that are not in one inner-shareable domain.
    pub const fn without_broadcast(mut self) -> Self {
        self.broadcast = false;
        self
    }

    /// Drops ranges of more than `pages` pages as a whole, where range operations do not exist.
    pub const fn with_ceiling(mut self, pages: u64) -> Self {
        self.ceiling = pages;
        self
    }

    /// Errata of these CPUs.
    pub const fn errata(&self) -> Errata {
        self.errata
    }

    /// How translation is set up.
    pub const fn translation(&self) -> &Translation {
        &self.translation
    }

    /// Returns the ASID that stands for `tag`: [`Asid::SHARED`], which is flushed at each load, for tags that are none.
    pub const fn asid(&self, tag: Tag) -> Asid {
        match Asid::new(tag.number(), self.translation.asid) {
            Ok(asid) => asid,
            Err(_) => Asid::SHARED,
        }
    }

    const fn owner(&self, tag: Tag) -> Owner {
        match Asid::new(tag.number(), self.translation.asid) {
            Ok(asid) => Owner::One(asid),
            Err(_) => Owner::All,
        }
    }

    /// Chooses the instructions for `what`; none for contexts, which the ISB behind them synchronises.
    #[inline]
    pub const fn local(&self, what: LocalFlush) -> Ops {
        self.ops(what.tag, what.request)
    }

    /// Whether broadcasts are used: whether tags may rest on them.
    pub const fn broadcasts(&self) -> bool {
        self.broadcast
    }

    /// Chooses the broadcasts for a request, or nothing if IPIs are used. `tag` is the one under which all CPUs run the
    /// space; nothing where each numbers spaces for itself, and for kernel memory. No broadcast synchronises the
    /// context of another CPU.
    #[inline]
    pub const fn remote(&self, tag: Option<Tag>, request: FlushRequest) -> Option<Ops> {
        if self.broadcast && !request.syncs_contexts() { Some(self.ops(tag, request)) } else { None }
    }

    #[inline]
    const fn ops(&self, tag: Option<Tag>, request: FlushRequest) -> Ops {
        if request.syncs_contexts() {
            return Ops::none();
        }
        let owner = match tag {
            Some(tag) => self.owner(tag),
            None => Owner::All,
        };
        match request.range() {
            Some(range) => self.pages(range, owner, request.levels()),
            None => Ops::whole(owner),
        }
    }

    #[inline]
    const fn pages(&self, range: PageRange, owner: Owner, levels: Levels) -> Ops {
        let granule = self.translation.granule_of(range.start());
        let granules = Pages::holding(range, granule.shift());
        let asid = match owner {
            Owner::One(asid) => asid,
            Owner::All => Asid::SHARED,
        };
        if self.ranges && granules.remaining() > 1 && granules.remaining() <= RANGE_PAGES_MAX {
            if let Ok(chunks) = Chunks::new(granules.start(), granules.remaining(), granule, asid, Ttl::ANY) {
                return Ops::new(Left::Chunks(chunks), owner, levels);
            }
        }
        let pages = Pages::holding(range, granule.stride(range.size()).shift());
        if pages.remaining() > self.ceiling {
            return Ops::whole(owner);
        }
        Ops::new(Left::Pages(pages), owner, levels)
    }

    /// Chooses how to load a root, or for `None` the empty one, on a CPU that has `current` loaded.
    ///
    /// An ASID is flushed only while it is not loaded: otherwise the walker could use its entries, reach tables that
    /// were freed, or refill them.
    #[inline]
    pub const fn install(
        &self,
        roots: Roots,
        root: Option<Root>,
        tag: Tag,
        how: OnInstall,
        current: Asid,
    ) -> Install {
        let (root, asid) = match root {
            Some(root) => (root, self.asid(tag)),
            None => (roots.empty, Asid::SHARED),
        };
        let flush = matches!(how, OnInstall::Flush) || asid.number() == 0;
        let loaded = asid.number() == current.number();
        let in_ttbr1 = matches!(self.translation.asid_in, AsidIn::Ttbr1);
        let (ttbr0, ttbr1) = if in_ttbr1 {
            (ttbr(root, Asid::SHARED), Some(ttbr(roots.kernel, asid)))
        } else {
            (ttbr(root, asid), None)
        };
        let detour = if in_ttbr1 || flush && loaded { Some(ttbr(roots.empty, Asid::SHARED)) } else { None };
        Install { detour, flush: if flush { Some(asid) } else { None }, ttbr1, ttbr0 }
    }
}

/// Roots that every install may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots {
    /// An empty table for TTBR0_EL1, loaded for no space and on the way from one to the next.
    pub empty: Root,
    /// The kernel's, in TTBR1_EL1.
    pub kernel: Root,
}

/// How a root is loaded: each step but the barriers, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    /// First this is written to TTBR0_EL1, if anything.
    pub detour: Option<u64>,
    /// Then this ASID is flushed, if any.
    pub flush: Option<Asid>,
    /// Then this is written to TTBR1_EL1, if anything.
    pub ttbr1: Option<u64>,
    /// Then this is written to TTBR0_EL1.
    pub ttbr0: u64,
}

#[cfg(test)]
mod tests;
