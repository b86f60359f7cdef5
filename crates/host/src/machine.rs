//! A machine and the threads that are its CPUs.

use crate::builder::MachineBuilder;
use crate::error::{AttachError, BuildError};
use crate::host::{Host, Hosted};
use crate::ipi::{Call, Calls};
use crate::space::DeferredTeardown;
use crate::sync::Ordering;
use crate::this_cpu::{self, Here};
use crate::tlb::Tlb;
use shootdown::refs::{Teardown, UserRef};
use shootdown::{CpuId, Platform, Shootdown};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::PoisonError;

/// A machine in user space, and its engine, to which it dereferences. By `R` the embedder finds the page tables of a
/// space: an index, an address, a `&'static` reference.
#[derive(Debug)]
pub struct Machine<R: Copy + Send + Sync + 'static, P: Platform = Host<R>> {
    /// It stays where it is when the machine moves, since its spaces know it by its address.
    engine: Box<Shootdown<P>>,
    roots: PhantomData<fn(R)>,
}

impl<R: Copy + Send + Sync + 'static> MachineBuilder<R> {
    /// Makes the machine.
    ///
    /// # Errors
    /// [`BuildError`], for no CPUs or too many.
    pub fn build(self) -> Result<Machine<R>, BuildError> {
        Ok(Machine::of(self.host()?))
    }
}

impl<R: Copy + Send + Sync> Machine<R> {
    /// Makes a machine of `cpus` virtual CPUs; see [`MachineBuilder`] for more.
    ///
    /// # Errors
    /// [`BuildError`], for no CPUs or too many.
    pub fn new(cpus: u32) -> Result<Self, BuildError> {
        MachineBuilder::new(cpus).build()
    }
}

impl<R: Copy + Send + Sync, P: Hosted<Root = R>> Machine<R, P> {
    pub(crate) fn of(platform: P) -> Self {
        Self { engine: Box::new(Shootdown::new(platform, P::mask())), roots: PhantomData }
    }

    /// Number of virtual CPUs.
    pub fn virtual_cpus(&self) -> u32 {
        self.host().virtual_cpus
    }

    /// Makes an address space whose page tables are found by `root`, with a first reference to it.
    ///
    /// # Panics
    /// If the calling thread is no CPU of this machine, and there is no room for another [helper](Self::helper), which
    /// it becomes for the duration of the call.
    pub fn new_space(&self, root: R) -> UserRef<'_, P> {
        // The engine numbers spaces by the CPU that makes them.
        let host = self.host();
        let _seat = this_cpu::find(host.number, host.hooks.identity.as_deref())
            .is_err()
            .then(|| self.helper().unwrap_or_else(|refused| panic!("{refused}")));
        let space = self.engine.new_space(root, P::mask()).expect("all masks have one size");
        let registered = self.engine.register(P::handle(space));
        registered.map_err(|(refused, _)| refused).expect("a new space was never registered")
    }

    /// Makes the calling thread a helper: it may flush, unmap and tear down, but runs no guest code (a balloon, a
    /// migration).
    ///
    /// # Errors
    /// [`AttachError`]: there are enough helpers, or the thread is a CPU already.
    pub fn helper(&self) -> Result<Helper<'_, P>, AttachError> {
        let numbers = self.virtual_cpus()..self.host().cpus.len() as u32;
        let most = numbers.len() as u32;
        for number in numbers {
            match self.sit(CpuId::new(number), None) {
                Err(AttachError::Taken(_)) => {}
                seat => return Ok(Helper { seat: seat? }),
            }
        }
        Err(AttachError::NoHelperLeft(most))
    }

    /// Asks virtual CPU `cpu` to leave guest code: its next [`poll`](crate::Guest::poll) says so, or the
    /// [`wait`](crate::VirtualCpu::wait) that it is in ends. The request stands until one of the two has seen it.
    pub fn call_out(&self, cpu: CpuId) {
        if cpu.index() < self.host().cpus.len() {
            self.host().call(cpu, Call::Leave);
        }
    }

    /// Takes the teardowns of spaces whose last user reference was dropped instead of
    /// [`put`](UserRef::put): unmap what they map, and finish them. The calling thread must be a CPU or a helper.
    pub fn late_teardowns(&self) -> Vec<Teardown<'_, P>> {
        let late = std::mem::take(&mut *self.host().late.lock().unwrap_or_else(PoisonError::into_inner));
        let take_up = |late: Box<dyn Any + Send>| {
            let late = late.downcast::<DeferredTeardown<P>>().expect("a host serves one machine");
            self.engine.teardown_from_handle(late.take())
        };
        late.into_iter().map(take_up).collect()
    }

    /// Has the CPU that the calling thread gives up leave whatever it has loaded; otherwise the end of that space would
    /// wait for it for ever.
    pub(crate) fn retire(&self, this_cpu: &Here) {
        let _acting = this_cpu::act_as(this_cpu);
        self.engine.enter_lazy();
        self.engine.offline_cpu();
    }

    /// Answers calls of these kinds on their CPU, and returns what there was.
    pub(crate) fn answer(&self, this_cpu: &Here, kinds: Calls) -> Calls {
        self.host().answer(&self.engine, this_cpu, kinds)
    }

    pub(crate) fn host(&self) -> &Host<R> {
        self.engine.platform().host()
    }

    pub(crate) fn sit(
        &self,
        me: CpuId,
        tlb: Option<Rc<RefCell<dyn Tlb>>>,
    ) -> Result<Seat<'_, P>, AttachError> {
        let host = self.host();
        if let Some(cpu) = this_cpu::in_the_way(host.number, host.hooks.identity.is_some(), tlb.is_none()) {
            return Err(AttachError::ThreadIsCpu(cpu));
        }
        // ORDER(SD-13): what the thread that was this CPU before did to its memory comes first; partner: the store in
        // `Seat::drop`.
        if host.at(me).taken.swap(true, Ordering::Acquire) {
            return Err(AttachError::Taken(me));
        }
        host.at(me).ipi_flag.sleeper.belongs_to(Some(std::thread::current()));
        let this_cpu = this_cpu::attach(host.number, me, tlb);
        Ok(Seat { machine: self, me, this_cpu })
    }
}

impl<R: Copy + Send + Sync, P: Hosted<Root = R>> Deref for Machine<R, P> {
    type Target = Shootdown<P>;
    fn deref(&self) -> &Shootdown<P> {
        &self.engine
    }
}

/// A thread that may call the engine and runs no guest code; see [`Machine::helper`].
#[must_use = "dropped at once, the thread is no helper"]
pub struct Helper<'m, P: Hosted> {
    seat: Seat<'m, P>,
}

impl<P: Hosted> Helper<'_, P> {
    /// The number under which the engine knows this thread.
    pub fn id(&self) -> CpuId {
        self.seat.me
    }
}

impl<P: Hosted> Drop for Helper<'_, P> {
    fn drop(&mut self) {
        self.seat.machine.retire(&self.seat.this_cpu);
    }
}

impl<P: Hosted> fmt::Debug for Helper<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Helper").field(&self.id()).finish()
    }
}

/// A CPU number that this thread has taken.
pub(crate) struct Seat<'m, P: Hosted> {
    pub(crate) machine: &'m Machine<P::Root, P>,
    pub(crate) me: CpuId,
    /// It keeps the seat on its thread.
    pub(crate) this_cpu: Here,
}

impl<P: Hosted> Drop for Seat<'_, P> {
    fn drop(&mut self) {
        this_cpu::detach(&self.this_cpu);
        let cpu = self.machine.host().at(self.me);
        cpu.ipi_flag.sleeper.belongs_to(None);
        // ORDER(SD-13): what this thread did to the CPU's memory comes before another takes the number; partner: `sit`.
        cpu.taken.store(false, Ordering::Release);
    }
}
