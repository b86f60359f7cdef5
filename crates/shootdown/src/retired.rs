//! Unmapped frames whose flushes no thread waits for.

use crate::engine::Shootdown;
use crate::platform::Platform;
use crate::ticket::Ticket;
use core::fmt;
use core::mem::ManuallyDrop;

/// A queue of up to `N` frames, each behind the [`Ticket`] of its flush (SD-8). Use it where the caller cannot wait
/// (with interrupts off, or in a destructor), and to wait for many flushes at once.
///
/// [`PendingFrames::retire_into`](crate::flush::PendingFrames::retire_into) puts frames in, all of a gather or none;
/// [`reclaim`](Self::reclaim) takes out those whose flushes are complete. Frames come out in the order in which they
/// went in. One queue a CPU needs no lock but interrupts off; it allocates nothing.
///
/// Dropping it waits for the flushes, then drops the frames.
///
/// # Examples
/// ```
/// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
/// # use machine::*;
/// # use shootdown::flush::{Full, Retired};
/// let user = boot(0x1000);
/// on(1, || ENGINE.switch_to(&user));
/// let mut retired = Retired::<_, u64, 64>::new(&ENGINE);
/// // A destructor, with interrupts off:
/// let mut gather = ENGINE.gather::<u64, 1>(&user);
/// gather.unmapped(page(0x4000), 7)?;
/// if let Err((_, pending)) = gather.send().retire_into(&mut retired) {
///     pending.finish(); // no room: wait after all, or keep it
/// }
/// // Later, wherever frames may be freed:
/// let mut free_list = Vec::new();
/// retired.reclaim(|frame| free_list.push(frame));
/// assert_eq!(free_list, [7]);
/// # Ok::<(), Full<u64>>(())
/// ```
pub struct Retired<'a, P: Platform, F, const N: usize> {
    engine: &'a Shootdown<P>,
    /// `ManuallyDrop`: if a callback panics, leak the frames; another CPU may still reach them.
    slots: ManuallyDrop<[Option<Slot<P, F>>; N]>,
    /// Place of the oldest, below `N`.
    first: usize,
    len: usize,
    /// How often frames were reclaimed.
    polls: u64,
}

/// A place in the queue. The first frame of a gather carries its flush; a flush without frames takes a place too.
struct Slot<P: Platform, F> {
    flush: Option<Sent<P>>,
    /// The poll at which CPUs are told of the flush, if they were not before.
    due: u64,
    frame: Option<F>,
}

/// How long a deferred flush may wait for switches and ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferral(u64);

impl Deferral {
    /// Until a caller waits for the frames.
    pub const FOREVER: Self = Self(u64::MAX);

    /// Until [`Retired::reclaim`] has found the flush incomplete this many times; then it interrupts the CPUs that are
    /// late. 0 means 1.
    pub const fn polls(polls: u32) -> Self {
        Self(polls as u64)
    }
}

/// A flush that was sent.
pub(crate) struct Sent<P: Platform> {
    pub(crate) ticket: Ticket<P>,
    /// What [`Platform::gathered`] answered; 0 for nothing.
    pub(crate) number: u64,
}

/// Why frames were not retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetireError {
    /// The gather needs this many places (first), and there are fewer (second).
    NoRoom(usize, usize),
    /// The queue is that of another engine.
    OtherEngine,
}

impl fmt::Display for RetireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RetireError::NoRoom(needed, room) => {
                write!(
                    f,
                    "{needed} frames do not fit the {room} places that are left; reclaim some, or finish the flush"
                )
            }
            RetireError::OtherEngine => f.write_str("the queue is that of another engine"),
        }
    }
}

impl core::error::Error for RetireError {}

impl<'a, P: Platform, F, const N: usize> Retired<'a, P, F, N> {
    /// Makes an empty queue.
    pub const fn new(engine: &'a Shootdown<P>) -> Self {
        Self { engine, slots: ManuallyDrop::new([const { None }; N]), first: 0, len: 0, polls: 0 }
    }

    /// How many more places there are. A gather takes one for each frame, and one if it has none.
    #[inline]
    pub const fn room(&self) -> usize {
        N - self.len
    }

    /// Whether there is nothing in it.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Hands over each frame that no CPU and no secondary TLB can reach any more, and says how many there were. Never
    /// waits; call it in any context in which `free` may run.
    ///
    /// It interrupts CPUs for the oldest flush if that is [deferred](crate::flush::Gather::defer_into) and due.
    pub fn reclaim(&mut self, free: impl FnMut(F)) -> usize {
        self.polls += 1;
        let polls = self.polls;
        self.drain(
            |engine, ticket, due| {
                let complete = ticket.poll(engine);
                if !complete && due <= polls {
                    ticket.tell(engine);
                }
                complete
            },
            free,
        )
    }

    /// Waits for all flushes and hands over all frames.
    pub fn finish_with(&mut self, free: impl FnMut(F)) {
        self.drain(|engine, ticket, _| engine.wait_until_complete(ticket), free);
    }

    /// Checks that the queue is this engine's and has this many places left.
    pub(crate) fn must_take(&self, engine: &Shootdown<P>, places: usize) -> Result<(), RetireError> {
        if !core::ptr::eq(self.engine, engine) {
            return Err(RetireError::OtherEngine);
        }
        if self.room() < places {
            return Err(RetireError::NoRoom(places, self.room()));
        }
        Ok(())
    }

    /// Puts a flush in with its frames, for which there is room. CPUs that were not told of it will be when `until` is
    /// over, and of those before it no later, as frames come out in order.
    pub(crate) fn push(&mut self, flush: Sent<P>, until: Deferral, frames: impl Iterator<Item = F>) {
        let due = self.polls.saturating_add(until.0);
        self.slots.iter_mut().flatten().for_each(|slot| slot.due = slot.due.min(due));
        let mut flush = Some(flush);
        for frame in frames {
            self.push_slot(Slot { flush: flush.take(), due, frame: Some(frame) });
        }
        if flush.is_some() {
            self.push_slot(Slot { flush, due, frame: None });
        }
    }

    fn push_slot(&mut self, slot: Slot<P, F>) {
        let place = (self.first + self.len) % N;
        self.slots[place] = Some(slot);
        self.len += 1;
    }

    /// Takes out the frames of flushes that are `complete`, up to the first one that is not.
    fn drain(
        &mut self,
        complete: impl Fn(&Shootdown<P>, &mut Ticket<P>, u64) -> bool,
        mut free: impl FnMut(F),
    ) -> usize {
        let mut freed = 0;
        while let Some(oldest) = self.slots.get_mut(self.first).and_then(Option::as_mut) {
            if let Some(sent) = &mut oldest.flush {
                if !complete(self.engine, &mut sent.ticket, oldest.due) {
                    break;
                }
                self.engine.platform().released(core::mem::take(&mut sent.number));
            }
            // The rest of the gather has no flush of its own, and follows.
            oldest.flush = None;
            if let Some(frame) = self.pop() {
                freed += 1;
                free(frame);
            }
        }
        freed
    }

    fn pop(&mut self) -> Option<F> {
        let slot = self.slots[self.first].take();
        self.first = (self.first + 1) % N;
        self.len -= 1;
        slot.and_then(|slot| slot.frame)
    }
}

impl<P: Platform, F, const N: usize> Drop for Retired<'_, P, F, N> {
    fn drop(&mut self) {
        self.finish_with(drop);
    }
}

impl<P: Platform, F, const N: usize> fmt::Debug for Retired<'_, P, F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retired").field("len", &self.len).finish_non_exhaustive()
    }
}
