//! A machine and the threads that are its CPUs.

use crate::MAX_CPUS;
use crate::error::{AttachError, BuildError};
use crate::host::{Hooks, Host, HostCpu, Hosted};
use crate::ipi::Call;
use crate::space::DeferredTeardown;
use crate::this_cpu;
use crate::tlb::Tlb;
use crate::vcpu::VirtualCpu;
use shootdown::refs::{Teardown, UserRef};
use shootdown::{CpuId, Platform, Shootdown};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a machine is to have.
pub struct MachineBuilder<R> {
    cpus: u32,
    helpers: u32,
    hooks: Hooks<R>,
}

impl<R: Copy + Send + Sync + 'static> MachineBuilder<R> {
    /// Asks for a machine of `cpus` virtual CPUs, with room for four helpers.
    pub fn new(cpus: u32) -> Self {
        let hooks = Hooks { root_freed: Box::new(|_| ()), stalled: Box::new(|_, _| ()) };
        Self { cpus, helpers: 4, hooks }
    }

    /// Asks for room for `most` helpers at a time.
    #[must_use]
    pub fn helpers(mut self, most: u32) -> Self {
        self.helpers = most;
        self
    }

    /// Has `callback` called with the root of each space whose last reference is gone: its tables can go.
    #[must_use]
    pub fn root_freed(mut self, callback: impl Fn(R) + Send + Sync + 'static) -> Self {
        self.hooks.root_freed = Box::new(callback);
        self
    }

    /// Has `callback` called when a flush has waited long for a CPU, with the number of polls so far. The wait goes on.
    #[must_use]
    pub fn stalled(mut self, callback: impl Fn(CpuId, u64) + Send + Sync + 'static) -> Self {
        self.hooks.stalled = Box::new(callback);
        self
    }

    /// Makes the machine.
    ///
    /// # Errors
    /// [`BuildError`], for no CPUs or too many.
    pub fn build(self) -> Result<Machine<R>, BuildError> {
        Ok(Machine::of(self.host()?))
    }

    pub(crate) fn host(self) -> Result<Host<R>, BuildError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let all = u64::from(self.cpus) + u64::from(self.helpers);
        if self.cpus == 0 {
            return Err(BuildError::NoCpus);
        }
        if all > MAX_CPUS as u64 {
            return Err(BuildError::TooManyCpus(all, MAX_CPUS));
        }
        Ok(Host {
            // ORDER: relaxed; only uniqueness matters.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            cpus: (0..all).map(|_| HostCpu::default()).collect(),
            virtual_cpus: self.cpus,
            late: Default::default(),
            hooks: self.hooks,
        })
    }
}

impl<R> fmt::Debug for MachineBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineBuilder")
            .field("cpus", &self.cpus)
            .field("helpers", &self.helpers)
            .finish_non_exhaustive()
    }
}

/// A machine in user space, and its engine, to which it dereferences. `R` is what the embedder finds the page tables of a
/// space by: an index, an address, a `&'static` reference.
#[derive(Debug)]
pub struct Machine<R: Copy + Send + Sync + 'static, P: Platform = Host<R>> {
    /// It stays where it is when the machine moves, since its spaces know it by its address.
    engine: Box<Shootdown<P>>,
    roots: PhantomData<fn(R)>,
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
    /// The calling thread is no CPU of this machine, and there is no room for another [helper](Self::helper), which it is
    /// for as long as this takes.
    pub fn new_space(&self, root: R) -> UserRef<'_, P> {
        // The engine numbers spaces by the CPU that makes them.
        let _seat = this_cpu::attached()
            .is_none()
            .then(|| self.helper().unwrap_or_else(|refused| panic!("{refused}")));
        let space = self.engine.new_space(root, P::mask()).expect("all masks have one size");
        let registered = self.engine.register(P::handle(space));
        registered.map_err(|(refused, _)| refused).expect("a new space was never registered")
    }

    /// Makes the calling thread virtual CPU `number`, with `tlb` for its TLB, and brings it on line.
    ///
    /// # Errors
    /// [`AttachError`]: there is no such CPU, or it is a thread already, or the thread is a CPU already.
    pub fn virtual_cpu<T: Tlb>(&self, number: u32, tlb: T) -> Result<VirtualCpu<'_, P, T>, AttachError> {
        let me = CpuId::new(number);
        if number >= self.virtual_cpus() {
            return Err(AttachError::NoSuchCpu(me, self.virtual_cpus()));
        }
        let tlb = Rc::new(RefCell::new(tlb));
        let seat = self.sit(me, Some(Rc::clone(&tlb) as Rc<RefCell<dyn Tlb>>))?;
        self.engine.online_cpu().map_err(AttachError::EngineError)?;
        Ok(VirtualCpu::new(seat, tlb))
    }

    /// Makes the calling thread one that may flush, unmap and tear down, but runs no guest code (a balloon, a migration).
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

    /// Wants virtual CPU `cpu` out of guest code: its next [`poll`](crate::Guest::poll) says so, or the
    /// [`wait`](VirtualCpu::wait) that it is in ends. The wish stands until one of the two has seen it.
    pub fn call_out(&self, cpu: CpuId) {
        if let Some(cpu) = self.host().cpus.get(cpu.index()) {
            cpu.ipi_flag.raise(Call::Leave);
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

    /// Has the CPU that the calling thread stops being leave whatever it has loaded, or the end of that space would wait for
    /// it for ever.
    pub(crate) fn retire(&self) {
        self.engine.enter_lazy();
        self.engine.offline_cpu();
    }

    pub(crate) fn host(&self) -> &Host<R> {
        self.engine.platform().host()
    }

    fn sit(&self, me: CpuId, tlb: Option<Rc<RefCell<dyn Tlb>>>) -> Result<Seat<'_, P>, AttachError> {
        if let Some(cpu) = this_cpu::attached() {
            return Err(AttachError::ThreadIsCpu(cpu));
        }
        let host = self.host();
        // ORDER(SD-13): what the thread that was this CPU before did to its memory comes first; partner: the store in
        // `Seat::drop`.
        if host.at(me).taken.swap(true, Ordering::Acquire) {
            return Err(AttachError::Taken(me));
        }
        host.at(me).ipi_flag.belongs_to(Some(std::thread::current()));
        this_cpu::attach(host.number, me, tlb);
        Ok(Seat { machine: self, me, on_this_thread: PhantomData })
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
        self.seat.machine.retire();
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
    on_this_thread: PhantomData<*const ()>,
}

impl<P: Hosted> Drop for Seat<'_, P> {
    fn drop(&mut self) {
        this_cpu::detach();
        let cpu = self.machine.host().at(self.me);
        cpu.ipi_flag.belongs_to(None);
        // ORDER(SD-13): what this thread did to the CPU's memory comes before another takes the number; partner: `sit`.
        cpu.taken.store(false, Ordering::Release);
    }
}
