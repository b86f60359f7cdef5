//! Flushes that are announced before CPUs are told: those of a batch, about which CPUs are told together, and those
//! that wait for ticks.

use super::Flight;
use crate::engine::Shootdown;
use crate::fault::Site;
use crate::hw;
use crate::platform::{IrqReason, Platform, Remote};
use crate::space::AddressSpace;
use crate::this_cpu::ThisCpu;
use crate::ticket::Ticket;
use crate::types::{CpuId, FlushRequest};

impl<P: Platform> Shootdown<P> {
    /// Brings this CPU up to date with kernel memory and with the space that it has loaded. Never waits.
    ///
    /// A [deferred](crate::flush::Gather::defer_into) flush sends no IPI, and is complete when each CPU has called
    /// this. A switch also completes a flush of a space, but not one of kernel memory. Call it from the timer tick; on
    /// a CPU that takes no ticks, call it first thing on entry from user mode, before anything that can be unmapped is
    /// touched. If there is nothing to flush, it reads a few words.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::{Deferral, Full, Retired};
    /// let user = boot(0x1000);
    /// (0..2).for_each(|cpu| on(cpu, || ENGINE.switch_to(&user)));
    /// let mut retired = Retired::<_, u64, 64>::new(&ENGINE);
    /// let mut gather = ENGINE.gather::<u64, 1>(&user);
    /// gather.unmapped(page(0x4000), 7)?;
    /// assert!(gather.defer_into(&mut retired, Deferral::polls(4)).is_ok());
    ///
    /// assert_eq!(retired.reclaim(drop), 0); // CPU 1 has not flushed
    /// on(1, || ENGINE.catch_up()); // its timer tick
    /// assert_eq!(retired.reclaim(drop), 1);
    /// assert_eq!(ipis(), 0);
    /// # Ok::<(), Full<u64>>(())
    /// ```
    pub fn catch_up(&self) {
        let this_cpu = ThisCpu::enter(self, IrqReason::LocalFlush);
        this_cpu.catch_up_kernel();
        if let Some(space) = hw::space_of::<P>(this_cpu.loaded()) {
            this_cpu.catch_up(space);
        }
    }

    /// Announces a flush of a space, or of kernel memory if `space` is `None`, and carries it out on this CPU. Another
    /// CPU finds it when it switches, when it catches up, or when it is [told](Self::tell). Never waits.
    pub(crate) fn announce(&self, space: Option<&AddressSpace<P>>, request: FlushRequest) -> Ticket<P> {
        let (flight, position, remote, pin) = self.set_out(space, request);
        let me = Some(flight.sender);
        let alone = space.is_some_and(|space| space.members().others(me, 0).is_none());
        flight.flush_here(remote);
        drop(pin);
        if alone || remote == Remote::Done {
            return Ticket::of_secondary(self, position);
        }
        Ticket::lasting(self, flight.awaited(), me).untold().and_secondary(position)
    }

    /// Announces a flush, posts it to secondary TLBs, and flushes by other means than IPIs. CPUs are told later, if at
    /// all. The thread stays on this CPU until the pin is dropped.
    #[inline(always)]
    pub(super) fn set_out<'a>(
        &'a self,
        space: Option<&'a AddressSpace<P>>,
        request: FlushRequest,
    ) -> (Flight<'a, P>, u64, Remote, P::Pin) {
        self.must_reach_contexts(request);
        let platform = self.platform();
        platform.publish_tables();
        let (history, fence) = match space {
            // ORDER(SD-4): page-table stores and generation before mask and loaded words, which the sender, `tell` and the
            // ticket read; partners: `Cpu::approach` and `Cpu::leave_lazy`. It is that of `begin`.
            Some(space) => (&space.history, Site::FlushFence),
            // ORDER(SD-4): the same before the mask of CPUs on line, and whether they are in user mode; partners:
            // `Shootdown::online_cpu`, `Cpu::unmark_user`.
            None => (&self.kernel, Site::KernelFlushFence),
        };
        let generation = history.announce(request);
        // ORDER(SD-4): see above.
        fence.full_fence();
        let position = self.post_secondary(space, request);
        let remote = match space {
            Some(space) => self.broadcast(space, request),
            None if P::INTERRUPTS && request.syncs_contexts() => Remote::NeedsIpi,
            None => self.flush_remote(None, None, request),
        };
        let pin = platform.pin();
        (Flight::new(self, space, generation, request), position, remote, pin)
    }

    /// Has CPUs look at what was announced: interrupts each that `is_behind`, once. This CPU looks itself. Never waits.
    pub(crate) fn tell(&self, is_behind: &dyn Fn(CpuId) -> bool) {
        let pin = self.platform().pin();
        self.catch_up();
        let me = Some(self.platform().cpu());
        let mut next = self.online().others(me, 0);
        while let Some(batch) = next {
            self.interrupt(batch.filtered(|cpu| is_behind(cpu) && self.post_request(cpu)));
            next = self.online().others_after(me, batch);
        }
        drop(pin);
    }
}
