//! Translations that are kept outside CPUs (Linux: `mmu_notifier`, secondary TLBs): by an IOMMU that shares page
//! tables, in a device's TLB, by a shadow MMU (SD-22).
//!
//! ```text
//!   initiator                            a device, and its IOMMU
//!   stores to page tables
//!   generation, full fence
//!   posts to the queue: position p
//!   tells CPUs, flushes itself           ... walks, fills, uses
//!   waits for CPUs                       drops what was asked
//!   waits until p is done     <--------  says that p is done
//!   frames go
//! ```
//! A walk that begins after the drop sees the stores, since they come before the fence, and the fence before the post.
//!
//! A [`Pending`](super::Pending) remembers its position. A [`Ticket`] has no room for it: once CPUs are done it waits
//! for the last position that the engine knows, and keeps that in the place of the generation.

use super::Flight;
use crate::engine::Shootdown;
use crate::fault::{Rule, without};
use crate::platform::Platform;
use crate::space::AddressSpace;
use crate::sync;
use crate::ticket::Ticket;
use crate::types::{CpuId, FlushRequest};
use core::sync::atomic::Ordering;

impl<P: Platform> Shootdown<P> {
    /// Has secondary TLBs drop what a flush covers, and returns the position to wait for, or 0.
    ///
    /// INVARIANT: called after the full fence of the flush, so that walks that follow the drop meet the page tables as
    /// they are now.
    #[inline(always)]
    pub(super) fn post_secondary(&self, space: Option<&AddressSpace<P>>, request: FlushRequest) -> u64 {
        if !P::SECONDARY_TLBS || request.syncs_contexts() {
            return 0;
        }
        let position = self.platform().invalidate_secondary(space, request);
        // ORDER: relaxed; a thread that asks for this flush has learnt of it from this CPU, in an order that is not this
        // word's (`secondary-retired`).
        _ = sync::update(&self.last_secondary, Ordering::Relaxed, |seen| {
            (seen < position).then_some(position)
        });
        position
    }

    /// The last position that any flush has posted.
    #[inline]
    pub(crate) fn last_secondary(&self) -> u64 {
        // ORDER: relaxed; as in `post_secondary` (`secondary-retired`).
        self.last_secondary.load(Ordering::Relaxed)
    }

    /// Whether secondary TLBs have worked off what was posted up to `position`.
    #[inline(always)]
    pub(crate) fn secondary_is_done(&self, position: u64) -> bool {
        !P::SECONDARY_TLBS
            || position == 0
            || without(Rule::SecondaryAnswers)
            || self.platform().secondary_is_done(position)
    }

    /// Waits until they have (SD-22).
    #[inline(always)]
    pub(crate) fn await_secondary(&self, position: u64) {
        if P::SECONDARY_TLBS && position != 0 && !(sync::EAGER && self.secondary_is_done(position)) {
            self.wait_for_secondary(position);
        }
    }
}

impl<'a, P: Platform> Flight<'a, P> {
    /// A flush that waits for no CPU, and for secondary TLBs up to `position` if that is not 0.
    #[inline(always)]
    pub(super) fn of_secondary(engine: &'a Shootdown<P>, position: u64) -> Option<Self> {
        if !P::SECONDARY_TLBS || position == 0 {
            return None;
        }
        // No CPU sends anything, and the thread may be on any by now.
        let (request, sender) = (FlushRequest::all(), CpuId::new(0));
        Some(Self { engine, space: None, generation: 0, request, sender }.and_secondary(position))
    }

    /// The same flush, for a [`Pending`](super::Pending): it waits for secondary TLBs up to `position` too.
    #[inline(always)]
    pub(super) fn and_secondary(self, position: u64) -> Self {
        if P::SECONDARY_TLBS { Self { request: self.request.with_position(position), ..self } } else { self }
    }

    /// The position of secondary TLBs that goes with it, in a [`Pending`](super::Pending).
    #[inline(always)]
    pub(super) fn position(&self) -> u64 {
        if P::SECONDARY_TLBS { self.request.position() } else { 0 }
    }

    /// Whether there is no CPU to wait for.
    #[inline(always)]
    pub(super) fn is_secondary_alone(&self) -> bool {
        P::SECONDARY_TLBS && self.generation == 0
    }

    /// Its completion as a value.
    #[inline(always)]
    pub(super) fn ticket(self) -> Ticket<P> {
        if self.is_secondary_alone() {
            return Ticket::of_secondary(self.engine, self.position());
        }
        let ticket = Ticket::lasting(self.engine, self.awaited(), Some(self.sender));
        ticket.and_secondary(self.position())
    }
}
