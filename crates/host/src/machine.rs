//! A machine and the threads that are its CPUs.

use crate::MAX_CPUS;
use crate::error::{AttachError, BuildError};
use crate::host::{Hooks, Host, HostCpu, Hosted};
use crate::ipi::{Call, Calls, IpiFlag};
use crate::poll_word::PollWord;
use crate::space::DeferredTeardown;
use crate::this_cpu::{self, ThisCpu};
use crate::tlb::Tlb;
use shootdown::refs::{Teardown, UserRef};
use shootdown::trace::IrqReason;
use shootdown::{CpuId, Platform, Shootdown};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a machine is to have, and what the embedder does in its own way.
///
/// Where each virtual CPU is a thread that polls by [`Guest::poll`](crate::Guest::poll), none of the hooks is needed. Hooks are
/// called from inside the engine, with locks held and interrupts off: they must return soon, and must not call the machine.
///
/// # Examples
/// Two virtual CPUs on one thread, told apart by a variable that whoever switches fibers keeps in step:
/// ```
/// use shootdown_host::shootdown::CpuId;
/// use shootdown_host::shootdown::flush::{FlushRequest, PageRange, VirtAddr};
/// use shootdown_host::{Leaf, MachineBuilder, SoftTlb};
/// use std::cell::Cell;
///
/// thread_local! {
///     static RUNS: Cell<Option<u32>> = const { Cell::new(None) };
/// }
/// let machine = MachineBuilder::new(2).identity(|| RUNS.get().map(CpuId::new)).build()?;
/// let space = machine.new_space(0);
/// let mut cpus = [0, 1].map(|number| machine.virtual_cpu(number, SoftTlb::new(16)).expect("a free CPU"));
/// let page = VirtAddr(0x5000);
/// for (number, cpu) in (0..).zip(&mut cpus) {
///     RUNS.set(Some(number));
///     cpu.run(&space, |guest| guest.tlb().insert(page, Leaf::page(number)));
/// }
/// machine.flush(&space, FlushRequest::pages(PageRange::page(page))); // by CPU 1
/// for (number, cpu) in (0..).zip(&mut cpus) {
///     RUNS.set(Some(number));
///     cpu.run(&space, |guest| assert_eq!(guest.tlb().get(page), None));
/// }
/// # Ok::<(), shootdown_host::BuildError>(())
/// ```
pub struct MachineBuilder<R> {
    cpus: u32,
    helpers: u32,
    poll_words: Option<Box<dyn Fn(CpuId) -> PollWord>>,
    hooks: Hooks<R>,
}

impl<R: Copy + Send + Sync + 'static> MachineBuilder<R> {
    /// Asks for a machine of `cpus` virtual CPUs, with room for four helpers.
    pub fn new(cpus: u32) -> Self {
        Self { cpus, helpers: 4, poll_words: None, hooks: Hooks::default() }
    }

    /// Asks for room for `most` helpers at a time.
    #[must_use]
    pub fn helpers(mut self, most: u32) -> Self {
        self.helpers = most;
        self
    }

    /// Has `callback` say which virtual CPU runs on the calling thread now: several of them may then be attached to one
    /// thread, as fibers which the embedder switches. `None` means that none does, and stands for the thread's
    /// [helper](Machine::helper), if it is one.
    ///
    /// The callback is asked in each call of the engine. Methods of a [`VirtualCpu`](crate::VirtualCpu) are that CPU's whatever it answers, and
    /// [`run`](crate::VirtualCpu::run) compares. A fiber yields inside [`Guest::pause`](crate::Guest::pause), so that no flush waits
    /// for it while others run; one that yields elsewhere in guest code needs [`relax`](Self::relax), by which a wait lets it
    /// run.
    #[must_use]
    pub fn identity(mut self, callback: impl Fn() -> Option<CpuId> + Send + Sync + 'static) -> Self {
        self.hooks.identity = Some(Box::new(callback));
        self
    }

    /// Borrows a word of the embedder's for each virtual CPU, for its translated code to poll: see [`PollWord`]. Called once
    /// for each when the machine is made.
    #[must_use]
    pub fn poll_words(mut self, lend: impl Fn(CpuId) -> PollWord + 'static) -> Self {
        self.poll_words = Some(Box::new(lend));
        self
    }

    /// Has `callback` called when the attention of a virtual CPU is wanted, after its poll word is set: to send the signal, write
    /// the eventfd or notify the condition variable that ends its sleep. A thread that is parked is woken in any case.
    #[must_use]
    pub fn wake(mut self, callback: impl Fn(CpuId) + Send + Sync + 'static) -> Self {
        self.hooks.wake = Some(Box::new(callback));
        self
    }

    /// Has `callback` called between two looks of a wait, with their number, in place of a call that yields the thread. It may
    /// run another fiber, which calls the machine as its own virtual CPU.
    #[must_use]
    pub fn relax(mut self, callback: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.hooks.relax = Some(Box::new(callback));
        self
    }

    /// Has `callback` called when a wait for a CPU has taken long, with the number of looks so far. The wait goes on.
    #[must_use]
    pub fn stalled(mut self, callback: impl Fn(CpuId, u64) + Send + Sync + 'static) -> Self {
        self.hooks.stalled = Some(Box::new(callback));
        self
    }

    /// Has `callback` called with the root of each space whose last user reference was dropped instead of
    /// [`put`](UserRef::put): somebody must call [`Machine::late_teardowns`], and may be woken now.
    #[must_use]
    pub fn deferred(mut self, callback: impl Fn(R) + Send + Sync + 'static) -> Self {
        self.hooks.deferred = Some(Box::new(callback));
        self
    }

    /// Has `callback` called with the root of each space that is retired: no reference is left and no CPU has it loaded, so
    /// that its tables can go. Called once a space.
    #[must_use]
    pub fn root_freed(mut self, callback: impl Fn(R) + Send + Sync + 'static) -> Self {
        self.hooks.root_freed = Some(Box::new(callback));
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
        let lent = |cpu| match &self.poll_words {
            Some(lend) if cpu < self.cpus => Some(lend(CpuId::new(cpu))),
            _ => None,
        };
        let cpu = |cpu| HostCpu { ipi_flag: IpiFlag::new(lent(cpu)), ..HostCpu::default() };
        Ok(Host {
            // ORDER: relaxed; only uniqueness matters.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            cpus: (0..all as u32).map(cpu).collect(),
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
        let host = self.host();
        let _seat = this_cpu::find(host.number, host.hooks.identity.as_deref())
            .is_err()
            .then(|| self.helper().unwrap_or_else(|refused| panic!("{refused}")));
        let space = self.engine.new_space(root, P::mask()).expect("all masks have one size");
        let registered = self.engine.register(P::handle(space));
        registered.map_err(|(refused, _)| refused).expect("a new space was never registered")
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
    /// [`wait`](crate::VirtualCpu::wait) that it is in ends. The wish stands until one of the two has seen it.
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

    /// Has the CPU that the calling thread stops being leave whatever it has loaded, or the end of that space would wait for
    /// it for ever.
    pub(crate) fn retire(&self, this_cpu: &Rc<ThisCpu>) {
        let _acting = this_cpu::act_as(this_cpu);
        self.engine.enter_lazy();
        self.engine.offline_cpu();
    }

    /// Answers calls of these kinds on their CPU, and returns what there was.
    pub(crate) fn answer(&self, this_cpu: &Rc<ThisCpu>, kinds: Calls) -> Calls {
        let at = self.host().at(this_cpu.cpu);
        if !at.ipi_flag.is_raised() {
            return Calls::NONE;
        }
        let calls = at.ipi_flag.take(kinds);
        if calls.has(Call::HandleIpi) {
            self.handle_ipi(this_cpu);
        }
        if calls.has(Call::Fence) {
            at.fences.serve(this_cpu);
        }
        calls
    }

    /// Handles the engine's IPI, as an interrupt handler would.
    pub(crate) fn handle_ipi(&self, this_cpu: &Rc<ThisCpu>) {
        let _acting = this_cpu::act_as(this_cpu);
        let were_on = self.engine.platform().irq_save(IrqReason::HandleIpi);
        // SAFETY: 1. they are off until the next line; 2. nothing interrupts a thread, and no callback comes here.
        unsafe { self.engine.handle_ipi() };
        self.engine.platform().irq_restore(were_on);
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
        host.at(me).ipi_flag.belongs_to(Some(std::thread::current()));
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
    pub(crate) this_cpu: Rc<ThisCpu>,
}

impl<P: Hosted> Drop for Seat<'_, P> {
    fn drop(&mut self) {
        this_cpu::detach(&self.this_cpu);
        let cpu = self.machine.host().at(self.me);
        cpu.ipi_flag.belongs_to(None);
        // ORDER(SD-13): what this thread did to the CPU's memory comes before another takes the number; partner: `sit`.
        cpu.taken.store(false, Ordering::Release);
    }
}
