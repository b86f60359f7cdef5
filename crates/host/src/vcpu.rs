//! A virtual CPU, in guest code and outside.

use crate::host::Hosted;
use crate::ipi::Call;
use crate::machine::{Machine, Seat};
use crate::this_cpu;
use crate::tlb::{Leaf, SoftTlb, Tlb};
use shootdown::CpuId;
use shootdown::flush::VirtAddr;
use shootdown::refs::UserRef;
use shootdown::trace::Counters;
use shootdown::trace::IrqReason;
use std::cell::{RefCell, RefMut};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A virtual CPU: the calling thread, until this is dropped. See [`Machine::virtual_cpu`].
#[must_use = "dropped at once, the thread is no virtual CPU"]
pub struct VirtualCpu<'m, P: Hosted, T: Tlb> {
    seat: Seat<'m, P>,
    tlb: Rc<RefCell<T>>,
}

impl<'m, P: Hosted, T: Tlb> VirtualCpu<'m, P, T> {
    pub(crate) fn new(seat: Seat<'m, P>, tlb: Rc<RefCell<T>>) -> Self {
        Self { seat, tlb }
    }

    /// The CPU's number.
    pub fn id(&self) -> CpuId {
        self.seat.me
    }

    /// The machine.
    pub fn machine(&self) -> &'m Machine<P::Root, P> {
        self.seat.machine
    }

    /// Counts of what the engine did on this CPU.
    pub fn counters(&self) -> &Counters {
        self.machine().platform().local(self.id()).counters()
    }

    /// Runs guest code in `space`: `body` looks up and fills translations, and [polls](Guest::poll) between instructions.
    ///
    /// On the way in the CPU drops what was flushed while it was outside. On the way out, by a panic too, it stops being
    /// waited for, and keeps its translations for the next time.
    ///
    /// # Panics
    /// `body` calls what would change the space that this CPU has loaded: `switch_to`, `enter_lazy`, `leave`, `borrow`,
    /// `with_temporary_space`, `offline_cpu`. The guest would go on with translations that no flush reaches.
    pub fn run<A>(&mut self, space: &UserRef<'_, P>, body: impl FnOnce(&mut Guest<'_, 'm, P, T>) -> A) -> A {
        let inside = Inside { cpu: self };
        inside.enter(space);
        body(&mut Guest { cpu: inside.cpu, root: space.root() })
    }

    /// Runs `body` with no space loaded, for as long as it takes: not even the end of a space waits for this CPU.
    ///
    /// Between two [`run`](Self::run)s flushes pass this CPU over anyway; only the end of the space that it ran last would
    /// wait for it, until it polls, waits or enters guest code.
    pub fn away<A>(&mut self, body: impl FnOnce() -> A) -> A {
        self.machine().enter_lazy();
        self.machine().leave();
        body()
    }

    /// Waits outside guest code, handling IPIs, until somebody [wants the CPU out](Machine::call_out) or `at_most` has
    /// passed (a guest's "wait for interrupt"). Says whether it was called.
    pub fn wait(&mut self, at_most: Duration) -> bool {
        let begin = Instant::now();
        loop {
            if self.answer() {
                return true;
            }
            let Some(left) = at_most.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else {
                return false;
            };
            std::thread::park_timeout(left);
        }
    }

    /// Answers what was called for, and says whether that was to leave guest code.
    fn answer(&self) -> bool {
        let host = self.machine().host();
        let calls = host.at(self.id()).ipi_flag.take();
        if calls.has(Call::HandleIpi) {
            self.handle_ipi();
        }
        calls.has(Call::Leave)
    }

    /// Handles the engine's IPI, as an interrupt handler would.
    fn handle_ipi(&self) {
        let host = self.machine().platform();
        let were_on = host.irq_save(IrqReason::HandleIpi);
        // SAFETY: 1. they are off until the next line; 2. nothing interrupts a thread, and no callback comes here.
        unsafe { self.machine().handle_ipi() };
        host.irq_restore(were_on);
    }
}

impl<P: Hosted, T: Tlb> Drop for VirtualCpu<'_, P, T> {
    fn drop(&mut self) {
        self.machine().retire();
    }
}

impl<P: Hosted, T: Tlb> fmt::Debug for VirtualCpu<'_, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualCpu").field(&self.id()).finish()
    }
}

/// Guest code runs while this lives.
struct Inside<'c, 'm, P: Hosted, T: Tlb> {
    cpu: &'c VirtualCpu<'m, P, T>,
}

impl<P: Hosted, T: Tlb> Inside<'_, '_, P, T> {
    fn enter(&self, space: &UserRef<'_, P>) {
        let machine = self.cpu.machine();
        machine.host().enter_guest(self.cpu.id());
        // IPIs that were raised while flushes skipped this CPU: for kernel memory there is no other sign. The engine's own
        // mark decides, since a wait may have taken the IPI flag.
        self.cpu.handle_ipi();
        // A CPU that was outside is lazy on what it ran, whatever the embedder did with the engine meanwhile, so that the
        // switch drops what was flushed.
        machine.enter_lazy();
        machine.switch_to(space);
        this_cpu::set_in_guest(true);
    }
}

impl<P: Hosted, T: Tlb> Drop for Inside<'_, '_, P, T> {
    fn drop(&mut self) {
        let machine = self.cpu.machine();
        this_cpu::set_in_guest(false);
        machine.enter_lazy();
        machine.host().leave_guest(self.cpu.id());
    }
}

/// What guest code must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Go on. Translations that were looked up before the poll must be looked up again.
    Continue,
    /// End the run: somebody wants this CPU out of guest code.
    Leave,
}

/// A virtual CPU in guest code.
pub struct Guest<'c, 'm, P: Hosted, T: Tlb> {
    cpu: &'c VirtualCpu<'m, P, T>,
    root: P::Root,
}

impl<P: Hosted, T: Tlb> Guest<'_, '_, P, T> {
    /// The CPU's number.
    pub fn id(&self) -> CpuId {
        self.cpu.id()
    }

    /// Root of the space that it runs in.
    pub fn root(&self) -> P::Root {
        self.root
    }

    /// Handles the IPI, if one is pending. Call it between guest instructions, every few dozen: flushes by others wait for
    /// it. One relaxed load where nobody has called.
    #[inline]
    pub fn poll(&mut self) -> Poll {
        if self.cpu.machine().host().at(self.id()).ipi_flag.is_raised() && self.cpu.answer() {
            return Poll::Leave;
        }
        Poll::Continue
    }

    /// The TLB, to look translations up and fill them in. Drop it before the next poll; what was looked up is good until
    /// then.
    ///
    /// # Panics
    /// It is borrowed already.
    #[inline]
    pub fn tlb(&mut self) -> RefMut<'_, T> {
        self.cpu.tlb.borrow_mut()
    }
}

impl<P: Hosted, V: Copy + 'static> Guest<'_, '_, P, SoftTlb<V>> {
    /// Translates `address`: from the TLB, or by `walk`, whose answer the TLB keeps. `walk` gets the root and reads page
    /// tables as they are now; it must not poll. It answers how large the leaf is that it came to, as well. The answer is good
    /// until the next poll.
    #[inline]
    pub fn translate(
        &mut self,
        address: VirtAddr,
        walk: impl FnOnce(P::Root) -> Option<Leaf<V>>,
    ) -> Option<V> {
        if let Some(value) = self.tlb().get(address) {
            return Some(value);
        }
        let leaf = walk(self.root)?;
        self.tlb().insert(address, leaf);
        Some(leaf.value)
    }
}

impl<P: Hosted, T: Tlb> fmt::Debug for Guest<'_, '_, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guest").field(&self.id()).finish()
    }
}
