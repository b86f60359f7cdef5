//! The platform that the doctor examines.

use crate::builder::MachineBuilder;
use crate::host::{Host, Mask};
use crate::ipi::Calls;
use shootdown::flush::LocalFlush;
use shootdown::ports::{Deferred, Portable, Ports as _};
use shootdown::refs::{Teardown, TeardownHandle, UserRef};
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use shootdown_doctor::Sim;

/// An embedder of the host package: the machine that it builds.
pub trait Embedder: Sync + 'static {
    /// What it finds page tables by.
    type Root: Copy + Send + Sync + 'static;

    /// What it asks for, with its hooks, and what its translated code looks at. [`MachineBuilder::identity`], if it is
    /// set, must answer [`simulated_cpu`](crate::simulated_cpu).
    fn machine() -> (MachineBuilder<Self::Root>, Leaves);
}

/// Whether the guest code of a CPU leaves its block to poll (`Guest::poll`), asked at any time; `|_| true` where it
/// polls after every so many instructions.
pub type Leaves = Box<dyn Fn(CpuId) -> bool + Send + Sync>;

/// The host's platform in the machine of an [`Embedder`]. A CPU that runs user code is in guest code, which it enters
/// and leaves as `VirtualCpu::run` and `Guest::pause` do, and looks at its calls at any time between two steps, if the
/// poll word that it was lent says so.
pub struct Examined<E: Embedder> {
    host: Host<E::Root>,
    leaves: Leaves,
    deferred: &'static Deferred<Self, 4>,
}

// SAFETY: 1. to 6. those of `Host`, which stands behind each method; the simulated machine loads the root with the tag.
unsafe impl<E: Embedder> Platform for Examined<E> {
    type Root = u64;
    type Mask = Mask;
    type Handle = &'static AddressSpace<Self>;
    type Tags = PerCpuSlots<{ crate::TAGS }>;
    type Pin = ();

    const STALL_POLLS: u64 = <Host<E::Root> as Platform>::STALL_POLLS;
    const FLUSHES_ON_ENTRY: bool = <Host<E::Root> as Platform>::FLUSHES_ON_ENTRY;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        self.host.cpu()
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        self.host.local(cpu)
    }
    fn irq_save(&self, reason: IrqReason) -> bool {
        self.host.irq_save(reason)
    }
    fn irq_restore(&self, were_on: bool) {
        self.host.irq_restore(were_on);
    }
    fn tags(&self) -> &Self::Tags {
        self.host.tags()
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        // SAFETY: 1. the caller's.
        unsafe { self.host.flush_local(what) }
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        Sim::running().walk_root(root.unwrap_or(0));
        // SAFETY: 1. to 3. the caller's.
        unsafe { self.host.install(None, tag, how) }
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.host.send_ipi(cpu);
    }
    unsafe fn free_root(&self, space: Self::Handle) {
        Sim::running().free_root(space.root());
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        assert!(
            self.deferred.put(teardown.into_handle()).is_ok(),
            "more deferred teardowns than there is room for"
        );
    }
    fn needs_ack(&self, cpu: CpuId) -> bool {
        self.host.needs_ack(cpu)
    }
    fn relax(&self, polls: u64) {
        self.host.relax(polls);
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.host.stalled(cpu, polls);
    }
}

impl<E: Embedder> Portable<Sim> for Examined<E> {
    type Room = Deferred<Self, 4>;
    /// Threads share memory as the host's CPUs do, and a soft TLB is changed at once.
    const NEEDS_BARRIERS: bool = false;
    const HARDWARE_WALKER: bool = false;

    fn room() -> Self::Room {
        Deferred::new()
    }
    fn new(_: Sim, deferred: &'static Self::Room) -> Self {
        let (builder, leaves) = E::machine();
        let host = builder.host().unwrap_or_else(|refused| panic!("{refused}"));
        Self { host, leaves, deferred }
    }
    unsafe fn handle_ipi(engine: &Shootdown<Self>) {
        let Self { host, leaves, .. } = engine.platform();
        let this_cpu = host.this_cpu();
        // In guest code nobody looks at anything else.
        if host.is_in_guest(this_cpu.cpu) && !leaves(this_cpu.cpu) {
            return;
        }
        host.answer(engine, &this_cpu, Calls::ALL);
    }
    fn enter_user(engine: &Shootdown<Self>, user: &UserRef<'_, Self>) {
        let host = &engine.platform().host;
        let this_cpu = host.this_cpu();
        if host.is_in_guest(this_cpu.cpu) {
            host.leave(engine, &this_cpu);
        }
        host.enter(engine, &this_cpu, user);
    }
    fn leave_user(engine: &Shootdown<Self>) {
        let host = &engine.platform().host;
        host.leave(engine, &host.this_cpu());
    }
    fn deferred(&self) -> Option<TeardownHandle<Self>> {
        self.deferred.take()
    }
}
