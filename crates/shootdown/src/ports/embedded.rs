//! A machine of the coherence layer under the doctor.

use super::deferred::Deferred;
use super::hardware::{Entries, Ports};
use super::portable::Portable;
use crate::coherence::{Coherence, Ipis, Preemption, Rootless, SecondaryRequest, Transport, asked};
use crate::engine::Shootdown;
use crate::flush::{LocalFlush, Remote, RemoteFlush};
use crate::handles::TeardownHandle;
use crate::mask::{CpuMask, CpuSet};
use crate::percpu::CpuLocal;
use crate::platform::{IrqReason, OnInstall, OnLeave, Platform};
use crate::refs::Teardown;
use crate::space::AddressSpace;
use crate::tags::{TagPolicy, Untagged};
use crate::types::{CpuId, FlushRequest, Tag};

/// A [`Coherence`] machine over ports, and how it is made. The kernel around it loads the roots.
///
/// A file that `shootdown doctor` reads names [`Embedded`] as its platform:
///
/// ```text
/// pub type PlatformUnderTest<H> = Embedded<Machine<H>, H>;
/// ```
pub trait PortableCoherence<H: Ports>: Coherence + 'static {
    /// The memory that the machine borrows: its per-CPU memory. In a kernel, a static.
    type Room: Sync + 'static;
    /// As [`Portable::NEEDS_BARRIERS`].
    const NEEDS_BARRIERS: bool = true;
    /// As [`Portable::USER_HALVES`].
    const USER_HALVES: bool = false;
    /// As [`Portable::PREEMPTS`].
    const PREEMPTS: bool = false;
    /// As [`Portable::UNLOADS`]: whether [`Coherence::unload`] is anything but its default.
    const UNLOADS: bool = false;

    /// As [`Portable::pins`].
    fn pins() -> u32 {
        0
    }
    /// Makes the room, with nothing in it.
    fn room() -> Self::Room;
    /// Makes the machine. A room is lent to one.
    fn new(ports: H, room: &'static Self::Room) -> Self;
}

/// The platform that the doctor examines for a machine that loads no roots, with the transport `X` and the tags `T`
/// that it ships with. The doctor plays the kernel that loads them: roots are written by the ports, as a careful
/// embedder writes them, so what is left to find is the machine's.
pub struct Embedded<C, H, X = Ipis, T = Untagged>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
    X: Transport<C> + 'static,
    T: TagPolicy + Default + 'static,
{
    layer: Layer<C, X, T>,
    ports: H,
    room: &'static Room<C, H, X, T>,
}

type Layer<C, X, T> = Rootless<C, CpuMask<1>, T, X>;

/// The memory that [`Embedded`] borrows: the machine's room, and a place for teardowns, which no such machine has.
pub struct Room<C, H, X = Ipis, T = Untagged>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
    X: Transport<C> + 'static,
    T: TagPolicy + Default + 'static,
{
    machine: C::Room,
    deferred: Deferred<Embedded<C, H, X, T>, 4>,
}

// SAFETY: 1. to 4., 6. and 7. those of `Rootless`, which stands behind each method; roots are loaded by the ports and waited for;
// 5. `SendIpis`, or no IPI is waited for.
#[expect(unsafe_code, reason = "a platform is a promise")]
unsafe impl<C, H, X, T> Platform for Embedded<C, H, X, T>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
    X: Transport<C> + 'static,
    T: TagPolicy + Default + 'static,
{
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = T;
    type Pin = Preemption<C>;

    const RANGE_CEILING: u64 = C::RANGE_CEILING;
    const STALL_POLLS: u64 = C::STALL_POLLS;
    const USER_MODE: bool = C::USER_MODE;
    const MULTICAST: bool = true;
    const SECONDARY_TLBS: bool = C::SECONDARY_TLBS;
    // `INTERRUPTS` stays `true` whatever the transport: the doctor is compiled with lazy CPUs, and leaves them out where
    // `SENDS_IPIS` is `false`. So `SYNCS_CONTEXTS` stays `true` too, and the doctor asks for no context.
    const ON_LEAVE: OnLeave = <Layer<C, X, T> as Platform>::ON_LEAVE;

    fn pin(&self) -> Preemption<C> {
        self.layer.pin()
    }
    fn cpu(&self) -> CpuId {
        self.layer.cpu()
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        self.layer.local(cpu)
    }
    fn irq_save(&self, reason: IrqReason) -> bool {
        self.layer.irq_save(reason)
    }
    fn irq_restore(&self, were_on: bool) {
        self.layer.irq_restore(were_on);
    }
    fn tags(&self) -> &T {
        self.layer.tags()
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        // SAFETY: 1. the caller's obligation 1.
        unsafe { self.layer.flush_local(what) }
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        if C::UNLOADS && root.is_none() {
            // SAFETY: 1. the caller's obligation 1, and this CPU is about to have nothing loaded.
            unsafe { self.layer.machine().unload() };
            return;
        }
        let entries = match how {
            OnInstall::Keep => Entries::Kept,
            OnInstall::Flush => Entries::Dropped,
        };
        self.ports.write_root(root.unwrap_or(self.ports.kernel_root()), tag.number(), entries);
        self.ports.complete();
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.layer.send_ipi(cpu);
    }
    fn send_ipis(&self, cpus: CpuSet) {
        self.layer.send_ipis(cpus);
    }
    unsafe fn free_root(&self, space: &AddressSpace<Self>) {
        self.ports.free_root(space.root());
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let kept = self.room.deferred.put(teardown.into_handle());
        assert!(kept.is_ok(), "more deferred teardowns than there is room for");
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        asked::<C, X, Self>(self.layer.machine(), &what)
    }
    fn publish_tables(&self) {
        self.layer.publish_tables();
    }
    fn relax(&self, polls: u64) {
        self.layer.relax(polls);
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.layer.stalled(cpu, polls);
    }
    fn invalidate_secondary(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        self.layer.machine().invalidate_secondary(&SecondaryRequest::of(space, request))
    }
    fn secondary_is_done(&self, position: u64) -> bool {
        self.layer.secondary_is_done(position)
    }
    fn secondary_stalled(&self, position: u64, polls: u64) {
        self.layer.secondary_stalled(position, polls);
    }
}

impl<C, H, X, T> Portable<H> for Embedded<C, H, X, T>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
    X: Transport<C> + 'static,
    T: TagPolicy + Default + 'static,
{
    type Room = Room<C, H, X, T>;
    const NEEDS_BARRIERS: bool = C::NEEDS_BARRIERS;
    const LOADS_ROOTS: bool = false;
    const SENDS_IPIS: bool = X::INTERRUPTS;
    const USER_HALVES: bool = C::USER_HALVES;
    const UNLOADS: bool = C::UNLOADS;
    const PREEMPTS: bool = C::PREEMPTS;

    fn room() -> Self::Room {
        Room { machine: C::room(), deferred: Deferred::new() }
    }
    fn new(ports: H, room: &'static Self::Room) -> Self {
        Self { layer: Rootless::tagged(C::new(ports.clone(), &room.machine), T::default()), ports, room }
    }
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    unsafe fn handle_ipi(engine: &Shootdown<Self>) {
        // SAFETY: 1. and 2. the caller's.
        unsafe { engine.handle_ipi() };
    }
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    unsafe fn unload(&self) {
        // SAFETY: 1. the caller's.
        unsafe { self.layer.machine().unload() };
    }
    fn pins(&self) -> u32 {
        C::pins()
    }
    fn deferred(&self) -> Option<TeardownHandle<Self>> {
        self.room.deferred.take()
    }
}
