//! A virtual CPU, in guest code and outside.

use crate::error::AttachError;
use crate::host::Hosted;
use crate::ipi::{Call, Calls};
use crate::machine::{Machine, Seat};
use crate::this_cpu::{self, Acting};
use crate::tlb::{Leaf, SoftTlb, Tlb};
use shootdown::CpuId;
use shootdown::flush::VirtAddr;
use shootdown::refs::UserRef;
use shootdown::trace::Counters;
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

impl<R: Copy + Send + Sync, P: Hosted<Root = R>> Machine<R, P> {
    /// Makes the calling thread virtual CPU `number`, with `tlb` for its TLB, and brings it on line.
    ///
    /// # Errors
    /// [`AttachError`]: there is no such CPU, another thread is that CPU, or this thread is a CPU already (and no
    /// [identity callback](crate::MachineBuilder::identity) tells the two apart).
    pub fn virtual_cpu<T: Tlb>(&self, number: u32, tlb: T) -> Result<VirtualCpu<'_, P, T>, AttachError> {
        let me = CpuId::new(number);
        if number >= self.virtual_cpus() {
            return Err(AttachError::NoSuchCpu(me, self.virtual_cpus()));
        }
        let tlb = Rc::new(RefCell::new(tlb));
        let seat = self.sit(me, Some(Rc::clone(&tlb) as Rc<RefCell<dyn Tlb>>))?;
        let acting = this_cpu::act_as(&seat.this_cpu);
        self.online_cpu().map_err(AttachError::EngineError)?;
        drop(acting);
        Ok(VirtualCpu { seat, tlb })
    }
}

impl<'m, P: Hosted, T: Tlb> VirtualCpu<'m, P, T> {
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

    /// Runs guest code in `space`: `body` looks up and fills translations, and [polls](Guest::poll) between
    /// instructions.
    ///
    /// On the way in the CPU drops what was flushed while it was outside. On the way out, by a panic too, it keeps its
    /// translations for the next time, and flushes no longer wait for it.
    ///
    /// # Panics
    /// - `body` calls what would change the space that this CPU has loaded: `switch_to`, `enter_lazy`, `leave`,
    ///   `borrow`, `with_temporary_space`, `offline_cpu`. The guest would go on with translations that no flush
    ///   reaches.
    /// - The [identity callback](crate::MachineBuilder::identity) names another CPU: calls of the engine in `body`
    ///   would be that one's.
    pub fn run<A>(&mut self, space: &UserRef<'_, P>, body: impl FnOnce(&mut Guest<'_, 'm, P, T>) -> A) -> A {
        self.must_be_named();
        let inside = Inside { cpu: self };
        inside.cpu.enter(space);
        body(&mut Guest { cpu: inside.cpu, space })
    }

    /// Runs `body` with no space loaded, for as long as it takes: not even the end of a space waits for this CPU.
    ///
    /// Between two [`run`](Self::run)s flushes skip this CPU anyway. Only the end of the space that it ran last would
    /// wait for it, until it polls, waits or enters guest code.
    pub fn away<A>(&mut self, body: impl FnOnce() -> A) -> A {
        let acting = self.acting();
        self.machine().enter_lazy();
        self.machine().leave();
        drop(acting);
        body()
    }

    /// Waits outside guest code, handling IPIs, until a thread [calls the CPU out](Machine::call_out) or `at_most` has
    /// passed (a guest's "wait for interrupt"). Says whether it was called. The whole thread waits, with all virtual
    /// CPUs on it; fibers [poll](Self::poll) instead.
    pub fn wait(&mut self, at_most: Duration) -> bool {
        let begin = Instant::now();
        loop {
            if self.poll() == Poll::Leave {
                return true;
            }
            let Some(left) = at_most.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else {
                return false;
            };
            std::thread::park_timeout(left);
        }
    }

    /// Handles IPIs outside guest code, and says whether a thread [called the CPU out](Machine::call_out). An embedder
    /// that sleeps in its own way calls this before it sleeps, and again when [`wake`](crate::MachineBuilder::wake) has
    /// ended the sleep.
    ///
    /// # Examples
    /// ```
    /// use shootdown_host::{MachineBuilder, Poll, SoftTlb};
    /// use std::sync::{Arc, Condvar, Mutex};
    ///
    /// let sleep = Arc::new((Mutex::new(()), Condvar::new()));
    /// let bell = Arc::clone(&sleep);
    /// let setup = MachineBuilder::<u64>::new(1).wake(move |_| {
    ///     // The lock keeps this between the sleeper's poll and its wait.
    ///     drop(bell.0.lock());
    ///     bell.1.notify_all();
    /// });
    /// let machine = setup.build()?;
    /// std::thread::scope(|threads| {
    ///     threads.spawn(|| {
    ///         let mut cpu = machine.virtual_cpu(0, SoftTlb::<u64>::new(16)).expect("a free CPU");
    ///         let mut locked = sleep.0.lock().expect("nobody panics");
    ///         while cpu.poll() == Poll::Continue {
    ///             locked = sleep.1.wait(locked).expect("nobody panics");
    ///         }
    ///     });
    ///     machine.call_out(shootdown_host::shootdown::CpuId::new(0));
    /// });
    /// # Ok::<(), shootdown_host::BuildError>(())
    /// ```
    pub fn poll(&mut self) -> Poll {
        self.answer()
    }

    /// Answers pending calls.
    fn answer(&self) -> Poll {
        let calls = self.machine().answer(&self.seat.this_cpu, Calls::ALL);
        if calls.has(Call::Leave) { Poll::Leave } else { Poll::Continue }
    }

    /// Enters guest code.
    fn enter(&self, space: &UserRef<'_, P>) {
        let _acting = self.acting();
        self.machine().host().enter(self.machine(), &self.seat.this_cpu, space);
    }

    /// Leaves guest code.
    fn leave(&self) {
        let _acting = self.acting();
        self.machine().host().leave(self.machine(), &self.seat.this_cpu);
    }

    /// Makes calls of the engine this CPU's, where an identity callback might say otherwise.
    fn acting(&self) -> Option<Acting> {
        let tells = self.machine().host().hooks.identity.is_some();
        tells.then(|| this_cpu::act_as(&self.seat.this_cpu))
    }

    fn must_be_named(&self) {
        if let Some(identity) = &self.machine().host().hooks.identity {
            let (me, named) = (self.id(), identity());
            assert!(
                named == Some(me),
                "MachineBuilder::identity answers {named:?} where {me} is to run guest code: have it answer {me} first"
            );
        }
    }
}

impl<P: Hosted, T: Tlb> Drop for VirtualCpu<'_, P, T> {
    fn drop(&mut self) {
        self.machine().retire(&self.seat.this_cpu);
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

impl<P: Hosted, T: Tlb> Drop for Inside<'_, '_, P, T> {
    fn drop(&mut self) {
        self.cpu.leave();
    }
}

/// Guest code goes on when this is dropped.
struct Paused<'c, 's, 'm, P: Hosted, T: Tlb> {
    cpu: &'c VirtualCpu<'m, P, T>,
    space: &'s UserRef<'s, P>,
}

impl<P: Hosted, T: Tlb> Drop for Paused<'_, '_, '_, P, T> {
    fn drop(&mut self) {
        self.cpu.enter(self.space);
    }
}

/// What guest code must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Go on. Translations that were looked up before the poll must be looked up again.
    Continue,
    /// End the run: another thread called this CPU out of guest code.
    Leave,
}

/// A virtual CPU in guest code.
pub struct Guest<'c, 'm, P: Hosted, T: Tlb> {
    cpu: &'c VirtualCpu<'m, P, T>,
    space: &'c UserRef<'c, P>,
}

impl<P: Hosted, T: Tlb> Guest<'_, '_, P, T> {
    /// The CPU's number.
    pub fn id(&self) -> CpuId {
        self.cpu.id()
    }

    /// Root of the space that it runs in.
    pub fn root(&self) -> P::Root {
        self.space.root()
    }

    /// Handles the IPI, if one is pending. Call it between guest instructions, every few dozen: flushes by others wait
    /// for it. It costs one relaxed load if nothing is pending.
    #[inline]
    pub fn poll(&mut self) -> Poll {
        if self.cpu.machine().host().at(self.id()).ipi_flag.is_raised() {
            return self.cpu.answer();
        }
        Poll::Continue
    }

    /// Leaves guest code for as long as `body` takes: a fiber yields in it, or a system call blocks. No flush waits for
    /// this CPU meanwhile. Translations that were looked up before must be looked up again.
    ///
    /// # Examples
    /// ```
    /// use shootdown_host::shootdown::flush::{FlushRequest, PageRange, VirtAddr};
    /// use shootdown_host::{Leaf, Machine, SoftTlb};
    ///
    /// let machine = Machine::new(1)?;
    /// let space = machine.new_space(0);
    /// let mut cpu = machine.virtual_cpu(0, SoftTlb::new(16)).expect("a free CPU");
    /// let page = VirtAddr(0x5000);
    /// cpu.run(&space, |guest| {
    ///     guest.tlb().insert(page, Leaf::page(7));
    ///     guest.pause(|| {
    ///         std::thread::scope(|threads| {
    ///             threads.spawn(|| {
    ///                 let _me = machine.helper().expect("a free seat");
    ///                 machine.flush(&space, FlushRequest::pages(PageRange::page(page)).tables_freed()); // ends
    ///             });
    ///         });
    ///     });
    ///     assert_eq!(guest.tlb().get(page), None);
    /// });
    /// # Ok::<(), shootdown_host::BuildError>(())
    /// ```
    pub fn pause<A>(&mut self, body: impl FnOnce() -> A) -> A {
        self.cpu.leave();
        let _paused = Paused { cpu: self.cpu, space: self.space };
        body()
    }

    /// The TLB, to look translations up and fill them in. Drop it before the next poll; what was looked up is good
    /// until then.
    ///
    /// # Panics
    /// It is borrowed already.
    #[inline]
    pub fn tlb(&mut self) -> RefMut<'_, T> {
        self.cpu.tlb.borrow_mut()
    }
}

impl<P: Hosted, V: Copy + 'static> Guest<'_, '_, P, SoftTlb<V>> {
    /// Translates `address`: from the TLB, or by `walk`, whose result the TLB keeps. `walk` gets the root and reads
    /// page tables as they are now; it must not poll. It also returns the size of the leaf that it reached. The
    /// translation is good until the next poll.
    #[inline]
    pub fn translate(
        &mut self,
        address: VirtAddr,
        walk: impl FnOnce(P::Root) -> Option<Leaf<V>>,
    ) -> Option<V> {
        if let Some(value) = self.tlb().get(address) {
            return Some(value);
        }
        let leaf = walk(self.root())?;
        self.tlb().insert(address, leaf);
        Some(leaf.value)
    }
}

impl<P: Hosted, T: Tlb> fmt::Debug for Guest<'_, '_, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guest").field(&self.id()).finish()
    }
}
