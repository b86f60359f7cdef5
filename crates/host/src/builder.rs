//! Configuration of a machine.

use crate::MAX_CPUS;
use crate::error::BuildError;
use crate::host::{Hooks, Host, HostCpu};
use crate::ipi::IpiFlag;
use crate::poll_word::PollWord;
use crate::sync::{AtomicU64, Ordering};
use shootdown::CpuId;
use std::fmt;

/// Configuration of a machine: its size, and the embedder's hooks.
///
/// If each virtual CPU is a thread that polls by [`Guest::poll`](crate::Guest::poll), no hook is needed. The engine
/// calls hooks with locks held and interrupts off: they must return soon, and must not call the machine.
///
/// # Examples
/// Two virtual CPUs on one thread, told apart by a variable that the fiber scheduler updates at each switch:
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

    /// Has `callback` say which virtual CPU runs on the calling thread now. Several of them may then be attached to one
    /// thread, as fibers that the embedder switches. `None` means that no virtual CPU runs; if the thread is a
    /// [helper](crate::Machine::helper), calls are then the helper's.
    ///
    /// Each call of the engine asks the callback. Methods of a [`VirtualCpu`](crate::VirtualCpu) act as that CPU
    /// whatever it answers, and [`run`](crate::VirtualCpu::run) compares the two. A fiber yields inside
    /// [`Guest::pause`](crate::Guest::pause), so that no flush waits for it while others run; one that yields elsewhere
    /// in guest code needs [`relax`](Self::relax), through which a wait lets it run.
    #[must_use]
    pub fn identity(mut self, callback: impl Fn() -> Option<CpuId> + Send + Sync + 'static) -> Self {
        self.hooks.identity = Some(Box::new(callback));
        self
    }

    /// Borrows a word of the embedder's for each virtual CPU, for its translated code to poll: see [`PollWord`]. Called
    /// once for each when the machine is made.
    #[must_use]
    pub fn poll_words(mut self, lend: impl Fn(CpuId) -> PollWord + 'static) -> Self {
        self.poll_words = Some(Box::new(lend));
        self
    }

    /// Has `callback` called when a virtual CPU must poll, after its poll word is set: to send the signal, write the
    /// eventfd or notify the condition variable that ends its sleep. A parked thread is woken in any case.
    #[must_use]
    pub fn wake(mut self, callback: impl Fn(CpuId) + Send + Sync + 'static) -> Self {
        self.hooks.wake = Some(Box::new(callback));
        self
    }

    /// Has `callback` called between two looks of a wait, with their number, in place of a call that yields the thread.
    /// It may run another fiber, which calls the machine as its own virtual CPU.
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
    /// [`put`](shootdown::refs::UserRef::put): some thread must call
    /// [`Machine::late_teardowns`](crate::Machine::late_teardowns), and the callback may wake it.
    #[must_use]
    pub fn deferred(mut self, callback: impl Fn(R) + Send + Sync + 'static) -> Self {
        self.hooks.deferred = Some(Box::new(callback));
        self
    }

    /// Has `callback` called with the root of each space that is retired: no reference is left and no CPU has it
    /// loaded, so its tables can be freed. Called once a space.
    #[must_use]
    pub fn root_freed(mut self, callback: impl Fn(R) + Send + Sync + 'static) -> Self {
        self.hooks.root_freed = Some(Box::new(callback));
        self
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
