//! Getting idle CPUs out of a mask: the exercise that Linux commit bafb056ce279 leaves to the reader.

use crate::engine::Shootdown;
use crate::fault::{Rule, Site, without};
use crate::here::{Cpu, Here};
use crate::percpu::{Loaded, TAKEN};
use crate::platform::{OnLeave, Platform, Span};
use crate::space::AddressSpace;
use crate::types::CpuId;
use core::sync::atomic::Ordering;

impl<P: Platform> Shootdown<P> {
    /// Asks every CPU that has no use for `space` to leave its mask: lazy CPUs leave the space, CPUs that ran it before
    /// take their bits away. Each removes itself, in its doorbell handler, so a borrower that arrives meanwhile cannot
    /// lose the bit that it has just set.
    ///
    /// A request and no promise: a CPU that goes idle meanwhile stays a member until the next one. Waits until no
    /// request names the space any more; a CPU that has not answered after [`STALL_POLLS`](Platform::STALL_POLLS) polls is
    /// asked no longer.
    pub fn trim(&self, space: &AddressSpace<P>) {
        let me = {
            let here = Here::enter(self, Span::Leave);
            let loaded = here.loaded();
            if loaded == Loaded::lazy(space.address()) {
                here.leave();
            } else if loaded.address() != space.address() && space.members().contains(here.me()) {
                here.local.own.counters.trims.bump();
                space.members().remove_self(here.me());
            }
            here.me()
        };
        space.members().for_each_batch(Some(me), |batch| {
            // Ringing counts on the CPU that rings.
            let pinned = self.platform().pin();
            batch.for_each(|cpu| self.ask_to_trim(space, cpu));
            drop(pinned);
            if P::ON_LEAVE == OnLeave::KeepBit {
                batch.for_each(|cpu| self.await_trim(space, cpu));
            }
        });
    }

    fn ask_to_trim(&self, space: &AddressSpace<P>, cpu: CpuId) {
        if without(Rule::SelfRemove) {
            space.members().remove_other(cpu);
            return;
        }
        let loaded = self.loaded_of(cpu);
        if loaded == Loaded::lazy(space.address()) {
            self.ring(cpu);
        } else if P::ON_LEAVE == OnLeave::KeepBit && loaded.address() != space.address() {
            let request = &self.platform().local(cpu).mail.trim;
            // ORDER(SD-3): relaxed; a member is asked, which joined the mask itself and so knows the space already. Where
            // another space's request is in the box this one is dropped, which leaves a bit too many and nothing worse (`kept_bit`).
            if request.compare_exchange(0, space.address(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                self.ring(cpu);
            }
        }
    }

    /// Waits until `cpu`'s mailbox does not name `space`; takes the request back from a CPU that is off line or late.
    ///
    /// The box may name the space again each time this CPU looks: others trim it too, and `cpu` comes back to it in between.
    /// So the first wait has a bound. The last one has none, and needs none: it ends as soon as this CPU looks when `cpu` is
    /// not in the few instructions of an answer, which have interrupts off and wait for nobody; each further answer takes
    /// a call of `trim` elsewhere, a doorbell, and two switches of `cpu`.
    fn await_trim(&self, space: &AddressSpace<P>, cpu: CpuId) {
        let request = &self.platform().local(cpu).mail.trim;
        let address = space.address();
        self.wait_until_late(cpu, &|| {
            // ORDER(SD-3): relaxed; the exchange below looks again (`back_before_the_request_is_taken_back`).
            let asked = request.load(Ordering::Relaxed);
            asked & !TAKEN != address || (asked == address && !self.online().holds(cpu))
        });
        // ORDER(SD-3): a box found without the space means that its CPU is done with the space, even if it came back and
        // answered since the wait; partner: the last store of `answer_trim`. Relaxed where the request is taken back, as
        // nobody acted on it.
        let found = request.compare_exchange(address, 0, Ordering::Relaxed, Site::TrimSeen.acquire());
        if found == Err(address | TAKEN) {
            // ORDER(SD-3): whoever took the request first has done with the space; partner: the same.
            self.wait_for(cpu, &|| request.load(Site::TrimLateSeen.acquire()) != address | TAKEN);
        }
    }
}

impl<P: Platform> Cpu<'_, P> {
    /// Answers a trim request: leaves the mask of a space that is not loaded here. Whoever asked keeps the space alive
    /// until the box is empty or the request was taken back, which cannot happen once it is marked as taken.
    pub(crate) fn answer_trim(self) {
        let request = &self.local.mail.trim;
        // ORDER: relaxed; this CPU was a member of the space that is named, and knows it from joining (`kept_bit`).
        let address = request.load(Ordering::Relaxed);
        if address == 0
            || request
                .compare_exchange(address, address | TAKEN, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        if let Some(space) = crate::hw::space_at::<P>(address) {
            if self.loaded().address() != address && space.members().contains(self.me()) {
                self.local.own.counters.trims.bump();
                space.members().remove_self(self.me());
            }
        }
        // ORDER(SD-3): the space is last used above; partners: the exchange and the last wait of `Shootdown::await_trim`.
        request.store(0, Site::TrimDone.release());
    }
}
