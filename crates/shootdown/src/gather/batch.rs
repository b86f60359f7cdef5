//! Unmapped frames of several spaces behind one round of IPIs (Linux: `arch_tlbbatch_flush`).

use super::{Full, Gather, close_retired};
use crate::engine::Shootdown;
use crate::fault::{Rule, without};
use crate::platform::Platform;
use crate::retired::{Deferral, RetireError, Retired, Sent};
use crate::space::AddressSpace;
use crate::ticket::Ticket;
use crate::types::{FlushRequest, PageRange, SpaceId};
use core::fmt;
use core::mem::ManuallyDrop;

/// Up to `N` unmapped frames of several spaces that wait for their flushes together (Linux: `tlbflush_unmap_batch`, for
/// page reclaim): CPUs are told once of all that they must flush, with one IPI each, and are waited for once (SD-17).
///
/// [`gather`](Self::gather) opens a part for a space, up to `PARTS` of them. The part records what is unmapped, and
/// announces it when it is dropped; drop it before you release the page-table lock. A batch borrows no space: a space
/// may end once its part is dropped.
///
/// Dropping it flushes, waits, and drops the frames. If a part is forgotten (`core::mem::forget`), the batch cannot
/// know when its frames are free, and leaks all of them.
///
/// # Examples
/// ```
/// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
/// # use machine::*;
/// let (a, b) = (boot(0x1000), space(0x2000));
/// on(1, || ENGINE.switch_to(&a));
/// on(2, || ENGINE.switch_to(&b));
/// let mut batch = ENGINE.batch::<u64, 32, 8>();
/// for (space, frame) in [(&a, 7), (&b, 8), (&a, 9)] {
///     let mut part = batch.gather(space)?; // under the page-table lock of the space
///     // ... clear the page-table entry, then:
///     part.unmapped(page(frame << 12), frame)?;
/// }
/// assert_eq!(ipis(), 0); // nobody was told
/// let mut freed = Vec::new();
/// batch.finish_with(|frame| freed.push(frame));
/// assert_eq!((freed, ipis()), (vec![7, 8, 9], 2)); // CPUs 1 and 2, once each
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "unmapped frames are held until the batch finishes"]
pub struct Batch<'a, P: Platform, F, const N: usize, const PARTS: usize> {
    engine: &'a Shootdown<P>,
    /// `ManuallyDrop`: if a platform callback panics, leak the frames; another CPU may still reach them.
    frames: ManuallyDrop<[Option<F>; N]>,
    held: usize,
    flushes: [Option<Sent<P>>; PARTS],
    announced: usize,
    /// Parts that are open, and one for a wait. A part that was forgotten, or a wait that unwound, stays counted
    /// (SD-8).
    open: usize,
}

/// A part of a [`Batch`]: what is unmapped of one space. Open it before the first page-table entry is cleared; dropping
/// it announces the flush, and sends no IPI.
#[must_use = "dropping it at once records nothing"]
pub struct BatchGather<'b, 'a, P: Platform, F, const N: usize, const PARTS: usize> {
    batch: &'b mut Batch<'a, P, F, N, PARTS>,
    gather: Gather<'b, P, F, 0>,
}

/// The batch has as many parts as it has room for. Nothing was changed: finish it, open another, and resume with the
/// space for which no part was opened.
///
/// # Examples
/// ```
/// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
/// # use machine::*;
/// let (a, b) = (boot(0x1000), space(0x2000));
/// let mut free = Vec::new();
/// let mut batch = ENGINE.batch::<u64, 32, 1>();
/// for (space, frame) in [(&a, 7), (&b, 8)] {
///     match batch.gather(space).map(|mut part| part.unmapped(page(frame << 12), frame)) {
///         Ok(unmapped) => unmapped?,
///         Err(full) => {
///             assert_eq!((full.parts, full.space), (1, b.id()));
///             batch.finish_with(|frame| free.push(frame));
///             batch = ENGINE.batch();
///             batch.gather(space)?.unmapped(page(frame << 12), frame)?;
///         }
///     }
/// }
/// batch.finish_with(|frame| free.push(frame));
/// assert_eq!(free, [7, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFull {
    /// Parts that it has.
    pub parts: usize,
    /// Where it stopped: the space for which no part was opened.
    pub space: SpaceId,
}

impl fmt::Display for BatchFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parts, space } = self;
        write!(
            f,
            "the batch has {parts} parts, and room for none of space {}; finish it and open another",
            space.0
        )
    }
}

impl core::error::Error for BatchFull {}

impl<P: Platform> Shootdown<P> {
    /// Opens a [`Batch`] of up to `N` frames in up to `PARTS` parts.
    pub const fn batch<F, const N: usize, const PARTS: usize>(&self) -> Batch<'_, P, F, N, PARTS> {
        Batch {
            engine: self,
            frames: ManuallyDrop::new([const { None }; N]),
            held: 0,
            flushes: [const { None }; PARTS],
            announced: 0,
            open: 0,
        }
    }
}

impl<'a, P: Platform, F, const N: usize, const PARTS: usize> Batch<'a, P, F, N, PARTS> {
    /// Opens a part for `space` (Linux: `arch_tlbbatch_add_pending`, which it adds to), whose caller may look at any
    /// entry.
    ///
    /// # Errors
    /// [`BatchFull`].
    ///
    /// # Panics
    /// If another engine made the space.
    pub fn gather<'b>(
        &'b mut self,
        space: &'b AddressSpace<P>,
    ) -> Result<BatchGather<'b, 'a, P, F, N, PARTS>, BatchFull> {
        self.engine.must_own(space);
        if self.announced == PARTS {
            return Err(BatchFull { parts: PARTS, space: space.id() });
        }
        self.open += 1;
        let gather = Gather::open(self.engine, space, FlushRequest::all());
        Ok(BatchGather { batch: self, gather })
    }

    /// How many more frames it takes. Check this before you clear an entry.
    #[inline]
    pub fn room(&self) -> usize {
        N - self.held
    }

    /// Flushes, waits, and drops the frames (Linux: `try_to_unmap_flush`, `arch_tlbbatch_flush`).
    pub fn finish(self) {}

    /// Flushes, waits, and hands each frame over.
    pub fn finish_with(mut self, take: impl FnMut(F)) {
        if self.complete() {
            self.frames.iter_mut().filter_map(Option::take).for_each(take);
        }
    }

    /// Sends the IPIs, and moves the frames into `queue`, all or none. Each frame takes a place, and each part but one
    /// takes another. Never waits; call it in any context.
    ///
    /// # Errors
    /// [`RetireError`], with the batch: finish it, or try again when there is room.
    pub fn retire_into<const Q: usize>(
        mut self,
        queue: &mut Retired<'_, P, F, Q>,
    ) -> Result<(), (RetireError, Self)> {
        if let Err(refused) = queue.must_take(self.engine, self.places()) {
            return Err((refused, self));
        }
        if self.open == 0 {
            self.tell();
        }
        self.move_into(queue, Deferral::FOREVER);
        Ok(())
    }

    /// The same without an interrupt: see [`Gather::defer_into`].
    ///
    /// # Errors
    /// As [`retire_into`](Self::retire_into).
    pub fn defer_into<const Q: usize>(
        self,
        queue: &mut Retired<'_, P, F, Q>,
        until: Deferral,
    ) -> Result<(), (RetireError, Self)> {
        if let Err(refused) = queue.must_take(self.engine, self.places()) {
            return Err((refused, self));
        }
        self.move_into(queue, until);
        Ok(())
    }

    /// Places of a queue that it takes.
    fn places(&self) -> usize {
        if self.announced == 0 { 0 } else { self.announced - 1 + self.held.max(1) }
    }

    fn move_into<const Q: usize>(mut self, queue: &mut Retired<'_, P, F, Q>, until: Deferral) {
        if self.open > 0 {
            return;
        }
        // Frames follow the last flush: those of a queue go in the order in which they came.
        let mut flushes = self.flushes.iter_mut().filter_map(Option::take).peekable();
        let mut frames = self.frames.iter_mut();
        while let Some(sent) = flushes.next() {
            let of_this = if flushes.peek().is_none() { N } else { 0 };
            queue.push(sent, until, frames.by_ref().take(of_this).filter_map(Option::take));
        }
        self.open = 1;
    }

    /// Tells CPUs, and waits. Says whether no CPU can reach the frames any more.
    fn complete(&mut self) -> bool {
        if self.open > 0 {
            return false;
        }
        self.open = 1;
        if without(Rule::FreeAfterCompletion) {
            // The rule removed: frames go whether or not the flushes are complete.
            self.frames.iter_mut().for_each(|frame| *frame = None);
        }
        self.tell();
        let (engine, first) = (self.engine, self.first_told());
        for sent in self.flushes.iter_mut().flatten().skip(first) {
            engine.wait_until_complete(&mut sent.ticket);
        }
        for sent in self.flushes.iter_mut().flatten() {
            engine.platform().released(core::mem::take(&mut sent.number));
        }
        self.open = 0;
        true
    }

    fn tell(&mut self) {
        let first = self.first_told();
        let told = || self.flushes.iter().flatten().skip(first);
        if told().any(|sent| !sent.ticket.was_complete()) {
            self.engine.tell(&|cpu| told().any(|sent| sent.ticket.is_behind(self.engine, cpu)));
        }
        self.flushes.iter_mut().flatten().skip(first).for_each(|sent| sent.ticket.note_told());
    }

    /// The first part whose CPUs are told and waited for.
    fn first_told(&self) -> usize {
        // The rule removed: CPUs are told of the last space alone.
        if without(Rule::BatchReachesAll) { self.announced.saturating_sub(1) } else { 0 }
    }
}

impl<P: Platform, F, const N: usize, const PARTS: usize> Drop for Batch<'_, P, F, N, PARTS> {
    fn drop(&mut self) {
        if self.complete() {
            self.frames.iter_mut().for_each(|frame| *frame = None);
        }
    }
}

impl<P: Platform, F, const N: usize, const PARTS: usize> BatchGather<'_, '_, P, F, N, PARTS> {
    /// Records that the entries of `range` were cleared and takes the frame that they mapped (Linux:
    /// `arch_tlbbatch_add_pending`).
    ///
    /// # Errors
    /// [`Full`], with the frame, which must not be freed before another gather took it and finished.
    pub fn unmapped(&mut self, range: PageRange, frame: F) -> Result<(), Full<F>> {
        self.take(FlushRequest::pages(range), frame)
    }

    /// Takes what a part of another batch, or a gather, had no room for; see [`Gather::resume`].
    ///
    /// # Errors
    /// [`Full`] again.
    pub fn resume(&mut self, full: Full<F>) -> Result<(), Full<F>> {
        self.take(full.request, full.frame)
    }

    /// Records that a table page that mapped `range` was unhooked, and takes the table page (SD-7; Linux:
    /// `tlb_remove_table`).
    ///
    /// # Errors
    /// [`Full`], with the table page.
    pub fn table_freed(&mut self, range: PageRange, table: F) -> Result<(), Full<F>> {
        self.take(FlushRequest::pages(range).tables_freed(), table)
    }

    /// Records that entries of `range` changed without a frame to hold.
    pub fn changed(&mut self, range: PageRange) {
        self.gather.changed(range);
    }

    /// How many more frames the batch takes. Check this before you clear an entry.
    #[inline]
    pub fn room(&self) -> usize {
        self.batch.room()
    }

    /// Announces the flush, as dropping it does.
    pub fn announce(self) {}

    fn take(&mut self, request: FlushRequest, frame: F) -> Result<(), Full<F>> {
        let Some(place) = self.batch.frames.get_mut(self.batch.held) else {
            return Err(Full { frame, request });
        };
        *place = Some(frame);
        self.batch.held += 1;
        self.gather.noted.add(request);
        Ok(())
    }
}

impl<P: Platform, F, const N: usize, const PARTS: usize> Drop for BatchGather<'_, '_, P, F, N, PARTS> {
    fn drop(&mut self) {
        let (number, request) = self.gather.begin();
        let (engine, memory) = (self.batch.engine, self.gather.memory);
        let ticket = request.map_or(Ticket::complete(), |request| engine.announce(Some(memory), request));
        close_retired(memory, &ticket);
        if let (Some(place), Some(_)) = (self.batch.flushes.get_mut(self.batch.announced), request) {
            *place = Some(Sent { ticket, number });
            self.batch.announced += 1;
        }
        self.batch.open -= 1;
    }
}

impl<P: Platform, F, const N: usize, const PARTS: usize> fmt::Debug for Batch<'_, P, F, N, PARTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("held", &self.held)
            .field("parts", &self.announced)
            .finish_non_exhaustive()
    }
}
