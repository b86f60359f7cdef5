//! Getting idle CPUs out of a mask: the exercise that Linux commit bafb056ce279 leaves to the reader.

use crate::engine::Shootdown;
use crate::fault::{Rule, Site, without};
use crate::mask::CpuSet;
use crate::percpu::{Loaded, TAKEN};
use crate::platform::{IrqReason, OnLeave, Platform};
use crate::space::AddressSpace;
use crate::sync::{self, UNWINDS, Word};
use crate::this_cpu::{Cpu, ThisCpu};
use crate::types::CpuId;
use core::sync::atomic::Ordering;

impl<P: Platform> Shootdown<P> {
    /// Asks every CPU that has no use for `space` to leave its mask (Linux: `should_trim_cpumask`): lazy CPUs leave the
    /// space, CPUs that ran it before take their bits away. Each removes itself, in its IPI handler, so a borrower that
    /// arrives meanwhile cannot lose the bit that it has just set.
    ///
    /// This is a request, not a guarantee: a CPU that goes idle meanwhile stays a member until the next trim. Waits
    /// until no request names the space any more; after [`STALL_POLLS`](Platform::STALL_POLLS) polls it withdraws the
    /// request from a CPU that has not answered.
    ///
    /// # Panics
    /// If another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::{CpuId, Platform};
    /// let user = boot(0x1000);
    /// on(1, || {
    ///     ENGINE.switch_to(&user);
    ///     ENGINE.enter_lazy();
    /// });
    /// ENGINE.trim(&user);
    /// assert_eq!(ENGINE.platform().local(CpuId::new(1)).counters().evictions(), 1);
    /// ENGINE.trim(&user);
    /// assert_eq!(ipis(), 1); // the second trim finds nobody
    /// ```
    pub fn trim(&self, space: &AddressSpace<P>) {
        self.must_own(space);
        self.trim_own(space, Useless::All);
    }

    /// Has the flush that announced `generation` trim the mask, if it is its turn.
    #[inline]
    pub(crate) fn trim_now_and_then(&self, space: &AddressSpace<P>, generation: u64) {
        if Self::trims(generation) {
            self.trim_own(space, Useless::Busy);
        }
    }

    /// Whether it is the turn of the flush that announced `generation`. Not where virtual CPUs flush on entry: one that
    /// is outside guest mode would not answer.
    #[inline]
    pub(crate) fn trims(generation: u64) -> bool {
        const { assert!(P::TRIM_EVERY > 0, "every 0th flush is none") };
        P::ON_LEAVE == OnLeave::KeepBit && !P::FLUSHES_ON_ENTRY && generation % P::TRIM_EVERY == 0
    }

    /// The same for a space that is known to be this engine's, of those CPUs that are meant.
    #[inline(never)]
    fn trim_own(&self, space: &AddressSpace<P>, useless: Useless) {
        let me = {
            let this_cpu = ThisCpu::enter(self, IrqReason::Leave);
            this_cpu.local.own.counters.trim_requests.bump();
            let loaded = this_cpu.loaded();
            if useless == Useless::All && loaded == Loaded::lazy(space.address()) {
                this_cpu.leave();
            } else if loaded.address() != space.address() && space.members().contains(this_cpu.me()) {
                this_cpu.forget_bit(space);
            }
            this_cpu.me()
        };
        space.members().for_each_batch(Some(me), |batch| {
            let asked = Asked { engine: self, space, batch };
            // The counters are those of the CPU that sends.
            let pinned = self.platform().pin();
            batch.for_each(|cpu| self.ask_to_trim(space, cpu, useless));
            drop(pinned);
            if P::ON_LEAVE == OnLeave::KeepBit {
                batch.for_each(|cpu| self.await_trim(space, cpu));
            }
            core::mem::forget(asked);
        });
    }

    /// Asks as [`trim`](Self::trim) does, and goes on as where a callback then unwinds: for checkers, whose runs end
    /// with a panic.
    #[cfg(any(shootdown_explore, shootdown_loom))]
    pub fn trim_that_unwinds(&self, space: &AddressSpace<P>) {
        let me = ThisCpu::enter(self, IrqReason::Leave).me();
        space.members().for_each_batch(Some(me), |batch| {
            batch.for_each(|cpu| self.ask_to_trim(space, cpu, Useless::All));
            Asked { engine: self, space, batch }.take_back();
        });
    }

    fn ask_to_trim(&self, space: &AddressSpace<P>, cpu: CpuId, useless: Useless) {
        if without(Rule::SelfRemove) {
            space.members().remove_other(cpu);
            return;
        }
        let loaded = self.loaded_of(cpu);
        if useless == Useless::Busy && !loaded.is_active() {
            return;
        }
        if loaded == Loaded::lazy(space.address()) {
            self.request_ipi(cpu);
        } else if P::ON_LEAVE == OnLeave::KeepBit && loaded.address() != space.address() {
            let request = &self.platform().local(cpu).mail.trim;
            // ORDER(SD-3): relaxed; a member is asked, which joined the mask itself and so knows the space already.
            // Where another space's request is in the box this one is dropped, which leaves a bit too many and nothing
            // worse (`kept_bit`).
            if request.compare_exchange(0, space.address(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                self.request_ipi(cpu);
            }
        }
    }

    /// Waits until `cpu`'s mailbox does not name `space`; takes the request back from a CPU that is off line or late.
    ///
    /// The box may name the space again each time this CPU looks: others trim it too, and `cpu` comes back to it in
    /// between. So the first wait has a bound. The last one has none, and needs none: it ends as soon as this CPU looks
    /// when `cpu` is not in the few instructions of an answer, which have interrupts off and wait for nobody; each
    /// further answer takes a call of `trim` elsewhere, an IPI, and two switches of `cpu`.
    fn await_trim(&self, space: &AddressSpace<P>, cpu: CpuId) {
        let request = &self.platform().local(cpu).mail.trim;
        let address = space.address();
        self.wait_or_time_out(cpu, &|| {
            // ORDER(SD-3): relaxed; the exchange below looks again (`back_before_the_request_is_taken_back`).
            let asked = request.load(Ordering::Relaxed);
            asked & !TAKEN != address || (asked == address && !self.online().holds(cpu))
        });
        if take_back(request, address).is_err() {
            self.wait_for(cpu, &|| is_answered(request, address));
        }
    }
}

/// Members of a mask that have no use for the space, which a trim asks to leave it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Useless {
    /// All of them.
    All,
    /// Those that run user code elsewhere: flushes ask them. An idle CPU writes no line that a flush looks at, and
    /// would have to be woken.
    Busy,
}

/// Takes a request for the space at `address` back, if it is there.
///
/// # Errors
/// It is being answered: the space is in use until [`is_answered`].
fn take_back(request: &Word, address: u64) -> Result<(), BeingAnswered> {
    // ORDER(SD-3): a box found without the space means that its CPU is done with the space, even if it came back and
    // answered since the wait; partner: `Taken::drop`. Relaxed where the request is taken back, as
    // nobody acted on it (`trim_that_unwinds_vs_answer`).
    let found = request.compare_exchange(address, 0, Ordering::Relaxed, Site::TrimSeen.acquire());
    if found == Err(address | TAKEN) { Err(BeingAnswered) } else { Ok(()) }
}

/// Whether a request that was being answered is so no longer.
fn is_answered(request: &Word, address: u64) -> bool {
    // ORDER(SD-3): the CPU that took the request is done with the space; partner: `Taken::drop`.
    request.load(Site::TrimTakenSeen.acquire()) != address | TAKEN
}

/// A request that can no longer be taken back.
struct BeingAnswered;

/// CPUs that may have been asked to leave a space, which the caller keeps alive no longer than its call lasts. If this
/// is dropped while a callback unwinds, the requests are taken back (SD-3).
struct Asked<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    space: &'a AddressSpace<P>,
    batch: CpuSet,
}

impl<P: Platform> Asked<'_, P> {
    fn take_back(&self) {
        let address = self.space.address();
        for cpu in self.batch {
            let request = &self.engine.platform().local(cpu).mail.trim;
            if take_back(request, address).is_err() {
                // Not `wait_for`, which calls back. The answer has begun, with interrupts off, and waits for nobody.
                sync::retry(|| is_answered(request, address).then_some(()));
            }
        }
    }
}

impl<P: Platform> Drop for Asked<'_, P> {
    fn drop(&mut self) {
        if UNWINDS {
            self.take_back();
        }
    }
}

impl<P: Platform> Cpu<'_, P> {
    /// Answers a trim request: leaves the mask of a space that is not loaded here. The CPU that asked keeps the space
    /// alive until the box is empty or it has taken the request back, which it cannot do once that is marked as taken.
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
        let _empties = Taken(request);
        let Some(space) = crate::hw::space_at::<P>(address) else { return };
        let loaded = self.loaded();
        // Between two roots the hardware may still have this one.
        if loaded != Loaded::SWITCHING && loaded.address() != address && space.members().contains(self.me()) {
            self.forget_bit(space);
        }
    }
}

/// A request that is being answered. The box is emptied in the end, also where a callback unwinds.
struct Taken<'a>(&'a Word);

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        // ORDER(SD-3): the space was last used before; partners: `take_back`, `is_answered`.
        self.0.store(0, Site::TrimDone.release());
    }
}
