//! Generations and the history of recent requests.

use crate::fault::{Rule, Site, without};
use crate::sync::{Word, const_fn};
use crate::types::FlushRequest;
use core::sync::atomic::Ordering;

/// How many recent requests a CPU that is behind can carry out one by one.
#[cfg(not(any(shootdown_explore, shootdown_loom)))]
pub(crate) const HISTORY_LEN: usize = 8;
/// The same, small enough that the checker sees it overflow.
#[cfg(any(shootdown_explore, shootdown_loom))]
pub(crate) const HISTORY_LEN: usize = 2;

/// The generation of a space (or of kernel memory) and its latest requests.
///
/// A CPU that has caught up with generation `s` and finds `n` flushes what requests `s + 1 ..= n` say, or everything if
/// the history no longer has them (SD-14). Linux keeps the count alone (`tlb_gen`, commit b0579ade7cd8), so that a CPU
/// that is more than one behind always flushes everything.
///
/// It begins a cache line: every flush writes the generation, so nothing that others read at each switch (identity,
/// root, mask) is beside it, and the first requests are.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct FlushHistory {
    generation: Word,
    requests: [Entry; HISTORY_LEN],
}

/// One request. `stamp` is twice the generation, plus 1 while the request is being written. Aligned, so that no line
/// ends between the two.
#[derive(Debug)]
#[repr(align(16))]
struct Entry {
    stamp: Word,
    request: Word,
}

/// What a CPU must flush to catch up: what each request from a generation on says.
pub(crate) struct Plan {
    /// Generation of the first request.
    pub(crate) first: u64,
    /// Whether one of them freed table pages.
    pub(crate) frees_tables: bool,
}

impl FlushHistory {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self::after(0)
        }
    }

    const_fn! {
        /// Begins with a generation above `last`.
        pub(crate) fn after(last: u64) -> Self {
            Self { generation: Word::new("generation", last + 1), requests: no_requests() }
        }
    }

    /// Announces a request: bumps the generation, then notes the range under it. Returns the new generation.
    #[inline]
    pub(crate) fn announce(&self, request: FlushRequest) -> u64 {
        let generation = self.bump();
        self.record(generation, request);
        generation
    }

    /// Bumps the generation and returns the new one. Until [`record`](Self::record) stores the range, a CPU that
    /// catches up to this generation falls back to a full flush.
    #[inline]
    pub(crate) fn bump(&self) -> u64 {
        if without(Rule::Publish) {
            // ORDER: relaxed; the rule removed: for statistics, readers see a generation of which nothing was published yet.
            return self.generation.load(Ordering::Relaxed);
        }
        // ORDER(SD-4): the caller's page-table stores come before the generation; partner: `now`. A CPU that catches up with
        // this generation walks the new tables.
        self.generation.fetch_add(1, Site::Bump.release()) + 1
    }

    /// Reads the current generation.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        // ORDER(SD-4): walks that follow see the page-table stores before that generation; partner: `bump`.
        self.generation.load(Site::CatchUp.acquire())
    }

    /// The generation's cell.
    #[cfg(shootdown_explore)]
    pub(crate) fn cell(&self) -> &Word {
        &self.generation
    }

    /// Says what a CPU that is up to date with `seen` must flush to be up to date with `now`; `None` if it must flush
    /// everything. The plan holds no pages: the CPU that carries it out [`recall`](Self::recall)s them again, and
    /// flushes everything if one is gone by then.
    pub(crate) fn plan(&self, seen: u64, now: u64, ceiling: u64) -> Option<Plan> {
        let mut plan = Plan { first: seen + 1, frees_tables: false };
        if now - seen > HISTORY_LEN as u64 {
            if !without(Rule::Widen) {
                return None;
            }
            plan.first = now - (HISTORY_LEN as u64 - 1);
        }
        let mut pages = 0;
        for generation in plan.first..=now {
            let request = self.recall(generation);
            pages += request.range()?.count();
            plan.frees_tables |= request.frees_tables();
        }
        (pages <= ceiling).then_some(plan)
    }

    /// Notes a request, unless a later one already took its place: then a CPU that needs it flushes everything.
    #[inline]
    pub(crate) fn record(&self, generation: u64, request: FlushRequest) {
        if without(Rule::Publish) {
            return;
        }
        let entry = &self.requests[generation as usize % HISTORY_LEN];
        // ORDER(SD-14): relaxed; the value only decides whether to try, and the exchange below decides (`record_vs_record`).
        let old = entry.stamp.load(Ordering::Relaxed);
        if old & 1 == 1 || old >= generation << 1 {
            return;
        }
        // ORDER(SD-14): acquire: the range that this place held before is written before the range written below;
        // partner: the last store of `record`. The claim itself is ordered before the range by the fence below.
        if entry
            .stamp
            .compare_exchange(old, generation << 1 | 1, Site::Replace.acquire(), Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        // ORDER(SD-14): a reader that sees the new range sees the claim too and turns it down; partner: `recall`.
        Site::Claim.release_fence();
        // ORDER(SD-14): relaxed; it stands between the fence and the release below (`recall_vs_overwrite`).
        entry.request.store(request.to_word(), Ordering::Relaxed);
        // ORDER(SD-14): the range is whole before the stamp says so; partner: `recall`.
        entry.stamp.store(generation << 1, Site::Record.release());
    }

    /// The request of `generation`, or everything if the history no longer has it whole.
    #[inline]
    pub(crate) fn recall(&self, generation: u64) -> FlushRequest {
        let entry = &self.requests[generation as usize % HISTORY_LEN];
        // ORDER(SD-14): the stamp before the request it vouches for; partner: the last store of `record`.
        if entry.stamp.load(Site::Recall.acquire()) != generation << 1 {
            return FlushRequest::all();
        }
        // ORDER(SD-14): relaxed; it stands between the acquire above and the fence below (`recall_vs_overwrite`).
        let word = entry.request.load(Ordering::Relaxed);
        // ORDER(SD-14): the request before the second look at the stamp; partner: the fence in `record`. The look itself
        // is relaxed, as nothing is read after it (`recall_vs_overwrite`).
        Site::Recheck.acquire_fence();
        if entry.stamp.load(Ordering::Relaxed) == generation << 1 {
            FlushRequest::from_word(word)
        } else {
            FlushRequest::all()
        }
    }
}

#[cfg(not(shootdown_loom))]
const fn no_requests() -> [Entry; HISTORY_LEN] {
    [const { Entry { stamp: Word::new("stamp", 0), request: Word::new("request", 0) } }; HISTORY_LEN]
}
#[cfg(shootdown_loom)]
fn no_requests() -> [Entry; HISTORY_LEN] {
    core::array::from_fn(|_| Entry { stamp: Word::new("stamp", 0), request: Word::new("request", 0) })
}

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom, shootdown_instrumented))))]
mod properties;

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom))))]
mod tests {
    use super::*;
    use crate::types::{PageRange, PageSize, VirtAddr};

    fn pages(start: u64, count: u64) -> FlushRequest {
        FlushRequest::pages(PageRange::new(VirtAddr(start), count, PageSize::Size4K).expect("valid range"))
    }

    fn planned(history: &FlushHistory, seen: u64, ceiling: u64) -> Option<(u64, bool)> {
        let plan = history.plan(seen, history.now(), ceiling)?;
        let ranges = (plan.first..=history.now()).filter_map(|generation| history.recall(generation).range());
        Some((ranges.map(|range| range.count()).sum(), plan.frees_tables))
    }

    #[test]
    fn the_generation_begins_a_cache_line_and_no_request_spans_two() {
        assert_eq!((align_of::<FlushHistory>(), core::mem::offset_of!(FlushHistory, generation)), (64, 0));
        assert_eq!(size_of::<Entry>() % align_of::<Entry>(), 0);
        assert_eq!(core::mem::offset_of!(FlushHistory, requests) % size_of::<Entry>(), 0);
    }

    #[test]
    fn a_late_cpu_flushes_the_ranges_it_missed() {
        let history = FlushHistory::new();
        let seen = history.now();
        assert_eq!(planned(&history, seen, 33), Some((0, false)));
        history.announce(pages(0x1000, 2));
        history.announce(pages(0x9000, 3).tables_freed());
        assert_eq!(planned(&history, seen, 33), Some((5, true)));
        assert_eq!(planned(&history, seen, 4), None, "above the ceiling everything goes");
    }

    #[test]
    fn a_request_that_does_not_fit_widens_and_is_never_lost() {
        let history = FlushHistory::new();
        let seen = history.now();
        history.announce(pages(0x1000, 256));
        assert_eq!(planned(&history, seen, u64::MAX), None);
        let seen = history.now();
        for _ in 0..HISTORY_LEN {
            history.announce(pages(0x1000, 1));
        }
        assert_eq!(planned(&history, seen, 33), Some((HISTORY_LEN as u64, false)));
        history.announce(pages(0x1000, 1));
        assert_eq!(planned(&history, seen, 33), None, "one more than the history holds");
    }
}
