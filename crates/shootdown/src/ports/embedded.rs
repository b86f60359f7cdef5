//! A machine of the coherence layer under the doctor.

use super::deferred::Deferred;
use super::hardware::{Entries, Ports};
use super::portable::Portable;
use crate::coherence::{Ipis, Preemption, Rootless, SendIpis, asked};
use crate::engine::Shootdown;
use crate::flush::{LocalFlush, Remote, RemoteFlush};
use crate::handles::TeardownHandle;
use crate::mask::{CpuMask, CpuSet};
use crate::percpu::CpuLocal;
use crate::platform::{IrqReason, OnInstall, OnLeave, Platform};
use crate::refs::Teardown;
use crate::space::AddressSpace;
use crate::tags::Untagged;
use crate::types::{CpuId, Tag};

/// A [`Coherence`](crate::coherence::Coherence) machine over ports, which sends IPIs, and how it is made. The kernel around
/// it loads the roots.
///
/// A file that `shootdown doctor` reads names [`Embedded`] as its platform:
///
/// ```text
/// pub type PlatformUnderTest<H> = Embedded<Machine<H>, H>;
/// ```
pub trait PortableCoherence<H: Ports>: SendIpis + 'static {
    /// The memory that the machine borrows: its per-CPU memory. In a kernel, a static.
    type Room: Sync + 'static;
    /// As [`Portable::NEEDS_BARRIERS`].
    const NEEDS_BARRIERS: bool = true;

    /// Makes the room, with nothing in it.
    fn room() -> Self::Room;
    /// Makes the machine. A room is lent to one.
    fn new(ports: H, room: &'static Self::Room) -> Self;
}

/// The platform that the doctor examines for a machine that loads no roots. The doctor plays the kernel that does: roots are
/// written by the ports, as a careful embedder writes them, so what is left to find is the machine's.
pub struct Embedded<C, H>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
{
    layer: Layer<C>,
    ports: H,
    room: &'static Room<C, H>,
}

type Layer<C> = Rootless<C, CpuMask<1>, Untagged, Ipis>;

/// The memory that [`Embedded`] borrows: the machine's room, and a place for teardowns, which no such machine has.
pub struct Room<C, H>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
{
    machine: C::Room,
    deferred: Deferred<Embedded<C, H>, 4>,
}

// SAFETY: 1. to 4. and 6. those of `Rootless`, which stands behind each method; roots are loaded by the ports and waited for;
// 5. `SendIpis`.
#[expect(unsafe_code, reason = "a platform is a promise")]
unsafe impl<C, H> Platform for Embedded<C, H>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
{
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = Untagged;
    type Pin = Preemption<C>;

    const RANGE_CEILING: u64 = C::RANGE_CEILING;
    const STALL_POLLS: u64 = C::STALL_POLLS;
    const MULTICAST: bool = true;
    const ON_LEAVE: OnLeave = <Layer<C> as Platform>::ON_LEAVE;

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
    fn tags(&self) -> &Untagged {
        self.layer.tags()
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        // SAFETY: 1. the caller's obligation 1.
        unsafe { self.layer.flush_local(what) }
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
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
        asked::<C, Ipis, Self>(self.layer.machine(), &what)
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
}

impl<C, H> Portable<H> for Embedded<C, H>
where
    C: PortableCoherence<H> + 'static,
    H: Ports + Clone + 'static,
{
    type Room = Room<C, H>;
    const NEEDS_BARRIERS: bool = C::NEEDS_BARRIERS;
    const LOADS_ROOTS: bool = false;

    fn room() -> Self::Room {
        Room { machine: C::room(), deferred: Deferred::new() }
    }
    fn new(ports: H, room: &'static Self::Room) -> Self {
        Self { layer: Rootless::new(C::new(ports.clone(), &room.machine)), ports, room }
    }
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    unsafe fn handle_ipi(engine: &Shootdown<Self>) {
        // SAFETY: 1. and 2. the caller's.
        unsafe { engine.handle_ipi() };
    }
    fn deferred(&self) -> Option<TeardownHandle<Self>> {
        self.room.deferred.take()
    }
}
