//! The platform.

use crate::fence_box::FenceBox;
use crate::ipi::{Call, IpiFlag};
use crate::space::{DeferredTeardown, SpaceHandle};
use crate::sync::{AtomicBool, Ordering, fence};
use crate::this_cpu::{self, Here, Identity};
use crate::{MAX_CPUS, TAGS};
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuMask;
use shootdown::refs::{SpaceHandle as _, Teardown};
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform};
use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The platform of a hosted machine: its CPUs are threads of this process, its TLBs are tables of theirs.
///
/// There are no asynchronous interrupts. An IPI is a flag that a virtual CPU polls between guest instructions
/// ([`Guest::poll`](crate::Guest::poll)) and whenever the engine waits. So the engine runs as if with interrupts off
/// and preemption off.
pub struct Host<R: Copy + Send + Sync + 'static> {
    pub(crate) number: u64,
    pub(crate) cpus: Box<[HostCpu]>,
    /// How many of them are virtual CPUs; the rest are for helpers.
    pub(crate) virtual_cpus: u32,
    /// Handles of teardowns that no thread has finished yet. Only the machine knows their type.
    pub(crate) late: Mutex<Vec<Box<dyn Any + Send>>>,
    pub(crate) hooks: Hooks<R>,
}

/// Storage of the CPU masks of a hosted machine.
pub type Mask = CpuMask<{ MAX_CPUS / 64 }>;

/// A platform that a [`Machine`](crate::Machine) can be made of: [`Host`], or a wrapper around one.
pub trait Hosted: Platform + Sealed + 'static {
    /// The host inside.
    fn host(&self) -> &Host<Self::Root>
    where
        Self::Root: 'static;
    /// Makes an empty mask.
    fn mask() -> Self::Mask;
    /// Makes a pointer to a space.
    fn handle(space: AddressSpace<Self>) -> Self::Handle;
}

/// Keeps other crates from implementing [`Hosted`]: a machine relies on it.
pub trait Sealed {}

impl<R: Copy + Send + Sync> Sealed for Host<R> {}

impl<R: Copy + Send + Sync> Hosted for Host<R> {
    fn host(&self) -> &Host<R> {
        self
    }
    fn mask() -> Mask {
        Mask::new()
    }
    fn handle(space: AddressSpace<Self>) -> SpaceHandle<Self> {
        SpaceHandle::new(space)
    }
}

/// The embedder's hooks. The default of each is what a machine with one thread for each CPU needs.
pub(crate) struct Hooks<R> {
    pub(crate) identity: Option<Box<Identity>>,
    pub(crate) wake: Option<Box<dyn Fn(CpuId) + Send + Sync>>,
    pub(crate) relax: Option<Box<dyn Fn(u64) + Send + Sync>>,
    pub(crate) stalled: Option<Box<dyn Fn(CpuId, u64) + Send + Sync>>,
    pub(crate) deferred: Option<Box<dyn Fn(R) + Send + Sync>>,
    pub(crate) root_freed: Option<Box<dyn Fn(R) + Send + Sync>>,
}

impl<R> Default for Hooks<R> {
    fn default() -> Self {
        Self { identity: None, wake: None, relax: None, stalled: None, deferred: None, root_freed: None }
    }
}

/// The part of a CPU that others see.
#[derive(Default)]
pub(crate) struct HostCpu {
    pub(crate) local: CpuLocal,
    pub(crate) ipi_flag: IpiFlag,
    pub(crate) fences: FenceBox,
    pub(crate) taken: AtomicBool,
    /// Whether it runs guest code and so may use a translation before it asks the engine what changed.
    pub(crate) in_guest: AtomicBool,
}

impl<R: Copy + Send + Sync> Host<R> {
    pub(crate) fn at(&self, cpu: CpuId) -> &HostCpu {
        &self.cpus[cpu.index()]
    }

    /// The CPU that runs the caller.
    ///
    /// # Panics
    /// If the caller is no CPU of this machine.
    #[inline]
    pub(crate) fn this_cpu(&self) -> Here {
        this_cpu::find(self.number, self.hooks.identity.as_deref()).unwrap_or_else(|none| none.refuse())
    }

    /// Has `cpu` poll.
    pub(crate) fn call(&self, cpu: CpuId, call: Call) {
        self.at(cpu).ipi_flag.raise(cpu, call);
        if let Some(wake) = &self.hooks.wake {
            wake(cpu);
        }
    }

    /// Keeps the handle of a teardown until [`late_teardowns`](crate::Machine::late_teardowns) takes it.
    pub(crate) fn keep(&self, root: R, late: impl Any + Send) {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(late));
        if let Some(deferred) = &self.hooks.deferred {
            deferred(root);
        }
    }

    /// Tells the embedder that a root can be freed.
    pub(crate) fn root_freed(&self, root: R) {
        if let Some(root_freed) = &self.hooks.root_freed {
            root_freed(root);
        }
    }

    /// Whether `cpu` may use a translation before it asks what changed.
    pub(crate) fn is_in_guest(&self, cpu: CpuId) -> bool {
        // ORDER(SD-8): what that CPU did in guest code is over before frames are reused; partner: `leave_guest`.
        self.at(cpu).in_guest.load(Ordering::Acquire)
    }

    /// Carries out fences of the guest in a wait of the engine (SD-11), unless its caller has the TLB borrowed.
    fn serve_fences(&self) {
        let this_cpu = self.this_cpu();
        let fences = &self.at(this_cpu.cpu).fences;
        if fences.is_waiting() && this_cpu.tlb_is_free() {
            fences.serve(&this_cpu);
        }
    }

    /// Marks the calling CPU as one that runs guest code. It must then ask the engine what changed before it does.
    ///
    /// ```text
    ///   this CPU                         initiator of a flush
    ///   in_guest := true                 generation of the space or of kernel memory += 1
    ///   full fence                       full fence
    ///   reads both generations           reads in_guest
    /// ```
    /// So this CPU sees what it has missed, or the initiator sees it in guest code and waits, or both.
    pub(crate) fn enter_guest(&self, me: CpuId) {
        // ORDER(SD-5): relaxed; the fence orders it before the generations are read.
        self.at(me).in_guest.store(true, Ordering::Relaxed);
        // ORDER(SD-5): see the drawing; partners: the engine's fences behind an announcement, and the one in `Harts::fence`.
        fence(Ordering::SeqCst);
    }

    /// Marks the calling CPU as one that runs no guest code.
    pub(crate) fn leave_guest(&self, me: CpuId) {
        // ORDER(SD-8): what guest code did with its translations is over before a flush passes this CPU over; partner: the
        // load in `is_in_guest`.
        self.at(me).in_guest.store(false, Ordering::Release);
    }
}

// SAFETY: 1. a thread becomes a CPU by taking a number that nobody else has, and the value that stands for that does not
// leave the thread; 2. they are elements of a fixed slice; 3. no interrupts come, and a CPU is a thread; 4. the calling
// thread's own TLB is changed by its own call, as `Tlb` promises; 5. the flag stays set until the CPU takes it, which every
// poll, every wait and every entry to guest code does; 6. never done.
unsafe impl<R: Copy + Send + Sync + 'static> Platform for Host<R> {
    type Root = R;
    type Mask = Mask;
    type Handle = SpaceHandle<Self>;
    type Tags = PerCpuSlots<TAGS>;
    type Pin = ();
    const STALL_POLLS: u64 = 1 << 16;
    const FLUSHES_ON_ENTRY: bool = true;

    fn pin(&self) {}

    #[inline]
    fn cpu(&self) -> CpuId {
        self.this_cpu().cpu
    }

    #[inline]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.at(cpu).local
    }

    #[inline]
    fn irq_save(&self, reason: IrqReason) -> bool {
        let this_cpu = self.this_cpu();
        // Leaving is told by `install`: the span is that of evictions, too.
        if matches!(
            reason,
            IrqReason::Switch | IrqReason::EnterLazy | IrqReason::Temporary | IrqReason::Hotplug
        ) {
            this_cpu.refuse_in_guest();
        }
        this_cpu.set_irqs(false)
    }

    #[inline]
    fn irq_restore(&self, were_on: bool) {
        self.this_cpu().set_irqs(were_on);
    }

    #[inline]
    fn tags(&self) -> &PerCpuSlots<TAGS> {
        &PerCpuSlots
    }

    unsafe fn flush_local(&self, what: LocalFlush) {
        self.this_cpu().flush(what);
    }

    unsafe fn install(&self, _: Option<R>, tag: Tag, how: OnInstall) {
        let this_cpu = self.this_cpu();
        this_cpu.refuse_in_guest();
        // Guest code gets its root from the space that it runs in; what a soft TLB must know is the tag.
        this_cpu.load(tag, how);
    }

    fn send_ipi(&self, cpu: CpuId) {
        self.call(cpu, Call::HandleIpi);
    }

    unsafe fn free_root(&self, handle: Self::Handle) {
        self.root_freed(handle.space().root());
    }

    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.keep(teardown.root(), DeferredTeardown::of(teardown));
    }

    fn needs_ack(&self, cpu: CpuId) -> bool {
        // The engine's full fence behind the announcement (SD-4) comes before any thread asks this.
        self.is_in_guest(cpu)
    }

    fn relax(&self, polls: u64) {
        self.serve_fences();
        match &self.hooks.relax {
            Some(relax) => relax(polls),
            // The CPU that is waited for may be a thread that needs this very core.
            None if polls > 16 => std::thread::yield_now(),
            None => {}
        }
    }

    fn stalled(&self, cpu: CpuId, polls: u64) {
        if let Some(stalled) = &self.hooks.stalled {
            stalled(cpu, polls);
        }
    }
}

impl<R: Copy + Send + Sync> fmt::Debug for Host<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("virtual_cpus", &self.virtual_cpus).finish_non_exhaustive()
    }
}
