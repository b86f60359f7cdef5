//! The choice of instructions for a request.

use crate::encode::{Context, Slots};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, PageSize, Pages};
use shootdown::tags::Tag;

/// Most pages that are dropped one by one; [`shootdown::Platform::RANGE_CEILING`] and the default of
/// [`Strategies::with_ceiling`].
///
/// Linux's number (`TLB_BATCH_NR`, arch/sparc/include/asm/tlbflush_64.h): addresses that it collects before it demaps
/// them one by one. No measurement is recorded with it.
pub const RANGE_CEILING: u64 = 192;

/// The kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// UltraSPARC I and II: demaps by the secondary context; TLBs have 64 entries, which go one by one where all go.
    Spitfire,
    /// UltraSPARC III and later sun4u: demaps by the primary context, at trap level 1, and has one demap for all.
    Cheetah(Slots),
    /// A hypervisor works the MMU.
    Sun4v,
}

/// The hardware features in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategies {
    machine: Machine,
    ceiling: u64,
}

impl Strategies {
    /// Takes what `machine` has.
    pub const fn new(machine: Machine) -> Self {
        Self { machine, ceiling: RANGE_CEILING }
    }

    /// Drops ranges of more than `pages` pages as a whole.
    pub const fn with_ceiling(mut self, pages: u64) -> Self {
        self.ceiling = pages;
        self
    }

    /// The kind of machine.
    pub const fn machine(&self) -> Machine {
        self.machine
    }

    /// Returns the context that stands for `tag`: [`Context::SHARED`], which is flushed at each load, for tags that are
    /// none.
    pub const fn context(&self, tag: Tag) -> Context {
        match Context::new(tag.number()) {
            Ok(context) => context,
            Err(_) => Context::SHARED,
        }
    }

    /// Chooses the instructions for `what`. Nothing caches tables here, so whether tables were freed makes no
    /// difference.
    #[inline]
    pub const fn local(&self, what: LocalFlush) -> Step {
        if what.request.syncs_contexts() {
            return Step::Nothing;
        }
        let (context, whole) = match what.tag {
            Some(tag) => (self.context(tag), Step::Context(self.context(tag))),
            // A demap of context 0 would leave global entries.
            None => (Context::KERNEL, Step::All),
        };
        let Some(range) = what.request.range() else { return whole };
        let pages = pages_of(range);
        if pages.remaining() > self.ceiling { whole } else { Step::Pages(pages, context) }
    }

    /// Whether FLUSH follows what [`local`](Self::local) chose: `request` is for contexts, or is for everything and so
    /// may stand for one that was. Hypercalls end in none.
    #[inline]
    pub const fn syncs_contexts(request: FlushRequest) -> bool {
        request.syncs_contexts() || request.range().is_none()
    }
}

/// Returns the hardware pages that hold `range`: of its own size where sparc64 has it, otherwise of 8 KiB.
#[inline]
const fn pages_of(range: PageRange) -> Pages {
    let shift = match range.size() {
        PageSize::Size64K | PageSize::Size32M => range.size().shift(),
        _ => 13,
    };
    Pages::holding(range, shift)
}

/// Instructions for a local request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A demap for each page, of instructions and of data.
    Pages(Pages, Context),
    /// A demap of a space's context.
    Context(Context),
    /// Everything that is not locked.
    All,
    /// No demap: contexts are all that is asked for.
    Nothing,
}

#[cfg(test)]
mod tests;
