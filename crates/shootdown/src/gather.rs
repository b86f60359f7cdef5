//! Holding unmapped frames until no CPU can reach them (Linux: `mmu_gather`).

use crate::engine::Shootdown;
use crate::fault::{Rule, Site, without};
use crate::flush::Pending;
use crate::memory::Memory;
use crate::platform::Platform;
use crate::retired::{Deferral, RetireError, Retired, Sent};
use crate::space::AddressSpace;
use crate::ticket::Ticket;
use crate::types::{FlushRequest, PageRange};
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::Ordering;

mod batch;
#[cfg(shootdown_explore)]
mod carried;
pub use batch::{Batch, BatchFull, BatchGather};
#[cfg(shootdown_explore)]
pub use carried::Parts;

/// A batch of up to `N` unmapped frames that waits for its flush (Linux: `mmu_gather`).
///
/// `F` is any type that owns a frame: a counted page, say, or a `(frame, order)` pair. The gather drops the frames
/// after the flush that covers them is complete (SD-8).
///
/// Open it before the first page-table entry is cleared. Dropping it finishes it.
///
/// `M` is the memory that it unmaps from: a space, or [`KernelMemory`](crate::flush::KernelMemory).
#[must_use = "unmapped frames are held until the gather finishes"]
pub struct Gather<'a, P: Platform, F, const N: usize, M: Memory<'a, P> = &'a AddressSpace<P>> {
    engine: &'a Shootdown<P>,
    memory: M,
    /// `ManuallyDrop`: if a platform callback panics, leak the frames; another CPU may still reach them.
    frames: ManuallyDrop<[Option<F>; N]>,
    held: usize,
    noted: Noted,
    /// Whether the flush has begun.
    begun: bool,
}

/// What the flush of a gather must cover; the part that is the same for all frames.
struct Noted {
    /// What was recorded.
    recorded: Option<FlushRequest>,
    /// Where the caller looks at entries. In pages of the smallest size, since another gather may have cleared pages of
    /// any size there, and may have freed tables.
    within: FlushRequest,
}

/// A gather whose flush was sent: the frames wait for its completion, and can do so outside the page-table lock.
///
/// Dropping it waits for the flush and then drops the frames.
#[must_use = "the frames are held until finish() returns"]
pub struct PendingFrames<'a, P: Platform, F, const N: usize, M: Memory<'a, P> = &'a AddressSpace<P>> {
    engine: &'a Shootdown<P>,
    /// What [`Platform::gathered`] answered, until it is told of the release; 0 for nothing.
    number: u64,
    memory: M,
    flush: Option<Pending<'a, P>>,
    /// Whether a wait has begun and not come to its end.
    waiting: bool,
    /// As in [`Gather`].
    frames: ManuallyDrop<[Option<F>; N]>,
}

/// The gather is full. It hands the frame back, together with the place where it stopped, and has recorded nothing of
/// it: send the gather, open another, and [resume](Gather::resume) there.
///
/// # Examples
/// ```
/// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
/// # use machine::*;
/// # use shootdown::flush::Full;
/// # use std::sync::Mutex;
/// # let table_lock = Mutex::new(());
/// let (user, mut free) = (boot(0x1000), Vec::new());
/// let mut locked = table_lock.lock().unwrap();
/// let mut gather = ENGINE.gather::<u64, 2>(&user);
/// for frame in 1..=5 {
///     // ... clear the page-table entry, then:
///     let Err(full) = gather.unmapped(page(frame << 12), frame) else { continue };
///     assert_eq!(full.range(), page(frame << 12)); // is cleared, and in no gather
///     let pending = gather.send();
///     gather = ENGINE.gather(&user); // under the lock: a peer may find the entry cleared after it
///     gather.resume(full)?;
///     drop(locked); // the wait needs no lock
///     pending.finish_with(|frame| free.push(frame));
///     locked = table_lock.lock().unwrap();
/// }
/// let pending = gather.send();
/// drop(locked);
/// pending.finish_with(|frame| free.push(frame));
/// assert_eq!(free, [1, 2, 3, 4, 5]);
/// # Ok::<(), Full<u64>>(())
/// ```
pub struct Full<F> {
    /// What was not taken: a frame, or a table page.
    pub frame: F,
    /// Where it stopped, and whether it is a table page.
    request: FlushRequest,
}

impl<F> Full<F> {
    /// Where it stopped: these entries are cleared, and no gather has recorded them.
    pub fn range(&self) -> PageRange {
        self.request.own_pages()
    }

    /// Converts what was not taken with `with`.
    pub fn map<G>(self, with: impl FnOnce(F) -> G) -> Full<G> {
        Full { frame: with(self.frame), request: self.request }
    }
}

impl<F> fmt::Debug for Full<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").field("range", &self.range()).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for Full<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.range().start().0;
        write!(f, "the gather is full at {start:#x}; send it, open another, and resume with this error")
    }
}

impl<F> core::error::Error for Full<F> {}

impl<P: Platform> Shootdown<P> {
    /// Opens a gather for `space` whose caller may look at any entry (Linux: `tlb_gather_mmu`).
    ///
    /// Where the caller knows what it is about to unmap, [`gather_within`](Self::gather_within) flushes less.
    ///
    /// # Panics
    /// If another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use std::rc::Rc;
    /// let user = boot(0x1000);
    /// let frame = Rc::new(7);
    /// let mut gather = ENGINE.gather::<Rc<i32>, 8>(&user);
    /// // ... clear the page-table entry, then:
    /// gather.unmapped(page(0x4000), frame.clone())?;
    /// assert_eq!(Rc::strong_count(&frame), 2);
    /// gather.finish(); // flushes, waits, and drops the frame
    /// assert_eq!(Rc::strong_count(&frame), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gather<'a, F, const N: usize>(&'a self, space: &'a AddressSpace<P>) -> Gather<'a, P, F, N> {
        self.open_gather(space, FlushRequest::all())
    }

    /// Opens a gather for `space`, whose caller looks at entries of `range` alone (the arguments of `munmap`, say).
    ///
    /// Once it has finished, no CPU uses an old translation of `range`, whether this gather recorded it or another that
    /// is open at the same time cleared it first. Pages recorded outside `range` are flushed as well.
    ///
    /// # Panics
    /// If another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::{PageRange, PageSize, VirtAddr};
    /// let user = boot(0x1000);
    /// let range = PageRange::new(VirtAddr(0x4000), 16, PageSize::Size4K)?;
    /// let mut gather = ENGINE.gather_within::<u64, 8>(&user, range);
    /// gather.unmapped(page(0x5000), 7).unwrap();
    /// let before = user.generation();
    /// gather.finish();
    /// assert_eq!(user.generation().number(), before.number() + 1); // one flush was announced
    /// # Ok::<(), shootdown::flush::RangeError>(())
    /// ```
    pub fn gather_within<'a, F, const N: usize>(
        &'a self,
        space: &'a AddressSpace<P>,
        range: PageRange,
    ) -> Gather<'a, P, F, N> {
        self.open_gather(space, FlushRequest::pages(range.in_smallest_pages()))
    }

    /// Not inlined, so that both callers share its code.
    #[inline(never)]
    fn open_gather<'a, F, const N: usize>(
        &'a self,
        space: &'a AddressSpace<P>,
        within: FlushRequest,
    ) -> Gather<'a, P, F, N> {
        self.must_own(space);
        Gather::open(self, space, within)
    }
}

/// What a word of gathers holds for each that was retired, beside the number of those that are open.
const RETIRED: u64 = 1 << 32;

/// Whether another gather on `memory` may have cleared entries that are not flushed yet. `open` is what the word of
/// gathers held. Where gathers were retired, it looks whether all CPUs have caught up, and then forgets them.
#[cold]
#[inline(never)]
fn is_nested<'a, P: Platform, M: Memory<'a, P>>(engine: &Shootdown<P>, memory: M, open: u64) -> bool {
    let unretired = open % RETIRED;
    if unretired > 1 {
        return true;
    }
    // Those that were retired had announced their flushes before; a CPU that is up to date has carried them out.
    if Ticket::new(engine, memory.latest().0, None).first_behind(engine).is_some() {
        return true;
    }
    if P::SECONDARY_TLBS && !engine.secondary_is_done(engine.last_secondary()) {
        return true;
    }
    // ORDER: relaxed; if the word is as it was read, what it counted is complete (`nested-gathers-retired`).
    memory.gathers().compare_exchange(open, unretired, Ordering::Relaxed, Ordering::Relaxed).is_err()
}

impl Noted {
    /// Records that entries changed.
    fn add(&mut self, changed: FlushRequest) {
        self.recorded = Some(self.with(changed));
    }

    /// What was recorded and `more`.
    fn with(&self, more: FlushRequest) -> FlushRequest {
        self.recorded.map_or(more, |so_far| so_far.cover(more))
    }

    /// What to flush where no other gather is open, or where one is.
    fn to_flush(&self, nested: bool) -> Option<FlushRequest> {
        if nested && !without(Rule::CoverPeers) { Some(self.with(self.within)) } else { self.recorded }
    }
}

impl<'a, P: Platform, F, const N: usize, M: Memory<'a, P>> Gather<'a, P, F, N, M> {
    #[inline(always)]
    pub(crate) fn open(engine: &'a Shootdown<P>, memory: M, within: FlushRequest) -> Self {
        // ORDER(SD-8): before this CPU clears an entry or finds one cleared; the caller's page-table lock orders both
        // (`nested_gathers`).
        memory.gathers().fetch_add(1, Ordering::Relaxed);
        let frames = ManuallyDrop::new([const { None }; N]);
        let noted = Noted { recorded: None, within: within.tables_freed() };
        Gather { engine, memory, frames, held: 0, noted, begun: false }
    }

    /// Records that the entries of `range` were cleared and takes the frame that they mapped (Linux:
    /// `tlb_remove_page`).
    ///
    /// # Errors
    /// [`Full`], with the frame, which must not be freed before another gather took it and finished; [`Full`] has a
    /// loop that does so.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::Full;
    /// let user = boot(0x1000);
    /// let mut gather = ENGINE.gather::<u64, 1>(&user);
    /// gather.unmapped(page(0x4000), 7)?;
    /// let Err(full) = gather.unmapped(page(0x5000), 8) else { panic!("room for one") };
    /// assert_eq!((full.frame, full.range()), (8, page(0x5000)));
    /// # Ok::<(), Full<u64>>(())
    /// ```
    pub fn unmapped(&mut self, range: PageRange, frame: F) -> Result<(), Full<F>> {
        self.take(FlushRequest::pages(range), frame)
    }

    /// Takes the frame or table page that another gather on the same memory had no room for, and records it as the call
    /// to that gather said. Open this gather before the page-table lock is dropped under which the entries were
    /// cleared.
    ///
    /// # Errors
    /// [`Full`] again.
    pub fn resume(&mut self, full: Full<F>) -> Result<(), Full<F>> {
        self.take(full.request, full.frame)
    }

    /// Records that a table page that mapped `range` was unhooked, and takes the table page (SD-7; Linux:
    /// `tlb_remove_table`). Once the gather hands it back, no hardware walks it. Software that walks tables without a
    /// lock is the caller's concern: the book's page on table walkers says how to wait for it, and
    /// [`finish_with`](PendingFrames::finish_with) hands tables over.
    ///
    /// # Errors
    /// [`Full`], with the table page.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::{Full, PageRange, PageSize, VirtAddr};
    /// let user = boot(0x1000);
    /// on(1, || {
    ///     ENGINE.switch_to(&user);
    ///     ENGINE.enter_lazy();
    /// });
    /// let mapped = PageRange::new(VirtAddr(0), 512, PageSize::Size4K).unwrap();
    /// let mut gather = ENGINE.gather::<u64, 8>(&user);
    /// gather.table_freed(mapped, 9)?;
    /// gather.finish();
    /// assert_eq!(ipis(), 1); // the walker of the lazy CPU may have cached the table
    /// # Ok::<(), Full<u64>>(())
    /// ```
    pub fn table_freed(&mut self, range: PageRange, table: F) -> Result<(), Full<F>> {
        self.take(FlushRequest::pages(range).tables_freed(), table)
    }

    /// Records that entries of `range` changed without a frame to hold (write-protected, say).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let user = boot(0x1000);
    /// map(&user, 0x4000, 7);
    /// (0..2).for_each(|cpu| on(cpu, || ENGINE.switch_to(&user)));
    /// assert_eq!(on(1, || load(0x4000)), Some(7));
    /// let mut gather = ENGINE.gather::<(), 0>(&user);
    /// map(&user, 0x4000, 8); // copy on write: the page moves
    /// gather.changed(page(0x4000));
    /// gather.finish();
    /// assert_eq!(on(1, || load(0x4000)), Some(8));
    /// ```
    pub fn changed(&mut self, range: PageRange) {
        self.noted.add(FlushRequest::pages(range));
    }

    /// Records that entries anywhere in the space may have changed, without a frame to hold.
    pub fn changed_all(&mut self) {
        self.noted.add(FlushRequest::all());
    }

    /// How many more frames it takes. Check this before you clear an entry, since its frame must then go somewhere.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::Full;
    /// let user = boot(0x1000);
    /// let mut gather = ENGINE.gather::<u64, 2>(&user);
    /// gather.unmapped(page(0x4000), 7)?;
    /// assert_eq!(gather.room(), 1);
    /// # Ok::<(), Full<u64>>(())
    /// ```
    #[inline]
    pub fn room(&self) -> usize {
        N - self.held
    }

    fn take(&mut self, request: FlushRequest, frame: F) -> Result<(), Full<F>> {
        let Some(place) = self.frames.get_mut(self.held) else { return Err(Full { frame, request }) };
        *place = Some(frame);
        self.held += 1;
        self.noted.add(request);
        Ok(())
    }

    /// Sends the flush that covers what was recorded; call it before the page-table lock is dropped. Never waits.
    ///
    /// If another gather on the space is open, it may have cleared entries that this one then found empty and did not
    /// record, so the flush widens to all that this one looked at (Linux, `tlb_finish_mmu`: to the whole space).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::Full;
    /// # use std::sync::Mutex;
    /// # let table_lock = Mutex::new(());
    /// let user = boot(0x1000);
    /// let locked = table_lock.lock().unwrap();
    /// let mut gather = ENGINE.gather::<u64, 8>(&user);
    /// gather.unmapped(page(0x4000), 7)?;
    /// let pending = gather.send();
    /// drop(locked); // the wait needs no lock
    /// let mut freed = Vec::new();
    /// pending.finish_with(|frame| freed.push(frame));
    /// assert_eq!(freed, [7]);
    /// # Ok::<(), Full<u64>>(())
    /// ```
    pub fn send(mut self) -> PendingFrames<'a, P, F, N, M> {
        let (number, request) = self.begin();
        let flush = request.map(|request| self.memory.send(self.engine, request));
        let frames = core::mem::replace(&mut self.frames, ManuallyDrop::new([const { None }; N]));
        let (engine, memory) = (self.engine, self.memory);
        core::mem::forget(self);
        PendingFrames { engine, number, memory, flush, waiting: false, frames }
    }

    /// Sends the flush, waits for it, and drops the frames (Linux: `tlb_finish_mmu`).
    pub fn finish(self) {}

    /// Announces the flush without an interrupt, and moves the frames into `queue`, all or none: they wait until each
    /// CPU has [caught up](Shootdown::catch_up), or has switched where the memory is a space's. CPUs are interrupted
    /// when `until` is over or when a caller waits for the frames (SD-18). Never waits; call it in any context, before
    /// the page-table lock is dropped.
    ///
    /// Other CPUs may use the old translations meanwhile. That is fine for memory that is freed, and for kernel memory
    /// where isolated CPUs must not be disturbed. It is wrong for a page that is write-protected or moved.
    ///
    /// # Errors
    /// [`RetireError`], with the gather, which is still open.
    pub fn defer_into<const Q: usize>(
        mut self,
        queue: &mut Retired<'_, P, F, Q>,
        until: Deferral,
    ) -> Result<(), (RetireError, Self)> {
        if let Err(refused) = queue.must_take(self.engine, self.held.max(1)) {
            return Err((refused, self));
        }
        let (number, request) = self.begin();
        let space = self.memory.space();
        let ticket = request.map_or(Ticket::complete(), |request| self.engine.announce(space, request));
        close_retired(self.memory, &ticket);
        queue.push(Sent { ticket, number }, until, self.frames.iter_mut().filter_map(Option::take));
        core::mem::forget(self);
        Ok(())
    }

    /// Ends the recording: returns the number that the platform gave it, and what to flush.
    #[inline]
    fn begin(&mut self) -> (u64, Option<FlushRequest>) {
        self.begun = true;
        let platform = self.engine.platform();
        let mut number = self.noted.recorded.map_or(0, |own| platform.gathered(self.memory.space(), own));
        if without(Rule::FreeAfterCompletion) {
            // The rule removed: frames go whether or not the flush is complete.
            platform.released(core::mem::take(&mut number));
            self.frames.iter_mut().for_each(|frame| *frame = None);
        }
        // ORDER(SD-8): a peer that is seen gone has completed its flush; partners: `close` and `close_retired`.
        let open = self.memory.gathers().load(Site::GatherSeen.acquire());
        let nested = open > 1 && is_nested(self.engine, self.memory, open);
        (number, self.noted.to_flush(nested))
    }
}

/// Stops counting a gather as open, whose flush is complete.
#[inline]
fn close<'a, P: Platform>(memory: impl Memory<'a, P>) {
    // ORDER(SD-8): the flush is complete before peers stop counting on it; partner: the load in `begin`.
    memory.gathers().fetch_sub(1, Site::GatherClose.release());
}

/// Stops counting a gather as open, whose flush was announced under this ticket. Until that is complete, it counts as
/// retired.
#[inline]
fn close_retired<'a, P: Platform>(memory: impl Memory<'a, P>, ticket: &Ticket<P>) {
    let mark = if ticket.was_complete() { 0 } else { RETIRED };
    // ORDER(SD-8): the flush was announced before peers stop counting this one as open; partner: the load in `begin`.
    memory.gathers().fetch_add(mark.wrapping_sub(1), Site::GatherClose.release());
}

impl<'a, P: Platform, F, const N: usize, M: Memory<'a, P>> Drop for Gather<'a, P, F, N, M> {
    /// Finishes in place: the frames do not move before they go.
    fn drop(&mut self) {
        if self.begun {
            // Sending has unwound (SD-8).
            return;
        }
        let (number, request) = self.begin();
        if let Some(request) = request {
            self.memory.flush(self.engine, request);
        }
        self.engine.platform().released(number);
        close(self.memory);
        // Nobody can reach the frames any more.
        self.frames.iter_mut().take(self.held).for_each(|frame| *frame = None);
    }
}

impl<'a, P: Platform, F, const N: usize, M: Memory<'a, P>> PendingFrames<'a, P, F, N, M> {
    /// Waits for the flush, then drops the frames.
    pub fn finish(self) {}

    /// Waits for the flush, then hands each frame over.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::Full;
    /// let user = boot(0x1000);
    /// let mut gather = ENGINE.gather::<u64, 8>(&user);
    /// gather.unmapped(page(0x4000), 7)?;
    /// gather.unmapped(page(0x9000), 8)?;
    /// let mut free_list = Vec::new();
    /// gather.send().finish_with(|frame| free_list.push(frame));
    /// assert_eq!(free_list, [7, 8]);
    /// # Ok::<(), Full<u64>>(())
    /// ```
    pub fn finish_with(mut self, mut take: impl FnMut(F)) {
        self.complete();
        for frame in self.frames.iter_mut().filter_map(Option::take) {
            take(frame);
        }
    }

    /// Moves the frames into `queue`, all or none, instead of waiting. Never waits; call it in any context, with
    /// interrupts off too.
    ///
    /// Until the flush is complete, other gathers on the same memory widen as if this one were open (SD-15).
    ///
    /// # Errors
    /// [`RetireError`], with what was sent: finish it, or try again when there is room.
    pub fn retire_into<const Q: usize>(
        mut self,
        queue: &mut Retired<'_, P, F, Q>,
    ) -> Result<(), (RetireError, Self)> {
        let places = self.frames.iter().flatten().count().max(1);
        if let Err(refused) = queue.must_take(self.engine, places) {
            return Err((refused, self));
        }
        let ticket = self.flush.take().map_or(Ticket::complete(), Pending::detach);
        close_retired(self.memory, &ticket);
        let sent = Sent { ticket, number: self.number };
        queue.push(sent, Deferral::FOREVER, self.frames.iter_mut().filter_map(Option::take));
        core::mem::forget(self);
        Ok(())
    }

    /// Waits for the flush. No frame is touched before it is complete.
    fn complete(&mut self) {
        let flush = self.flush.take();
        self.waiting = true;
        drop(flush);
        self.waiting = false;
        self.engine.platform().released(core::mem::take(&mut self.number));
    }
}

impl<'a, P: Platform, F, const N: usize, M: Memory<'a, P>> Drop for PendingFrames<'a, P, F, N, M> {
    fn drop(&mut self) {
        if self.waiting {
            // The wait has unwound (SD-8).
            return;
        }
        self.complete();
        close(self.memory);
        // Nobody can reach the frames any more.
        self.frames.iter_mut().for_each(|frame| *frame = None);
    }
}
