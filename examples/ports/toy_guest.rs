//! The platform of a toy kernel that runs as a guest: no tags, and a hypervisor that flushes for CPUs which it has taken off.

use core::sync::atomic::Ordering::{AcqRel, Acquire};
use shootdown::flush::{FlushRequest, LocalFlush};
use shootdown::mask::CpuMask;
use shootdown::ports::{Deferred, Entries, HOST_FLUSHES, HOST_PREEMPTED, Host, Portable};
use shootdown::refs::{Teardown, TeardownHandle};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown, SpaceId};

/// Most CPUs.
const CPUS: usize = 8;

/// What the kernel lends the engine: a static.
pub struct Room<H: Host + 'static> {
    cpus: [CpuLocal; CPUS],
    deferred: Deferred<Kernel<H>, 16>,
}

/// The kernel, as the engine sees it.
pub struct Kernel<H: Host + 'static> {
    ports: H,
    room: &'static Room<H>,
}

/// What the doctor examines.
pub type PlatformUnderTest<H> = Kernel<H>;

// SAFETY: 1. the port's promise; 2. an array, indexed by the number; 3. interrupts go off and come back as they were, and
// nothing preempts; 4. both wait for completion; 5. the IPI handler calls `handle_ipi`, and the request is ordered before
// the interrupt; 6. `flush_remote` is left as it is. `flush_on_entry` answers for a CPU only if it has put the request into
// the word that says that the CPU is off.
unsafe impl<H: Host + 'static> Platform for Kernel<H> {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = Untagged;
    type Pin = ();

    const FLUSHES_ON_ENTRY: bool = true;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(self.ports.this_cpu())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.room.cpus[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.ports.interrupts_off()
    }
    fn irq_restore(&self, were_on: bool) {
        if were_on {
            self.ports.interrupts_on();
        }
    }
    fn tags(&self) -> &Untagged {
        &Untagged
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        let levels = what.request.levels();
        match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                range.pages().for_each(|page| self.ports.drop_page(tag.number(), page.0, levels));
            }
            (Some(tag), None) => self.ports.drop_tag(tag.number()),
            (None, Some(range)) => {
                range.pages().for_each(|page| self.ports.drop_kernel_page(page.0, levels));
            }
            (None, None) => self.ports.drop_all(),
        }
        self.ports.complete();
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, _: OnInstall) {
        self.ports.write_root(root.unwrap_or(self.ports.kernel_root()), tag.number(), Entries::Dropped);
        self.ports.complete();
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.ports.order_before_interrupt();
        self.ports.send_interrupt(cpu.number());
    }
    unsafe fn free_root(&self, space: Self::Handle) {
        self.ports.free_root(space.root());
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let kept = self.room.deferred.put(teardown.into_handle());
        assert!(kept.is_ok(), "more deferred teardowns than there is room for");
    }
    fn needs_ack(&self, cpu: CpuId) -> bool {
        // ORDER(SD-8): acquire, so that what the CPU did before it was taken off is over.
        self.ports.vcpu(cpu.number()).load(Acquire) & HOST_FLUSHES == 0
    }
    fn flush_on_entry(&self, cpu: CpuId, _: Option<SpaceId>, _: FlushRequest) -> bool {
        let word = self.ports.vcpu(cpu.number());
        // ORDER(SD-8): acquire, as above; release, so that who runs the CPU again flushes after the page tables have changed.
        let asked = word.compare_exchange(HOST_PREEMPTED, HOST_PREEMPTED | HOST_FLUSHES, AcqRel, Acquire);
        asked.unwrap_or_else(|now| now & HOST_FLUSHES) != 0
    }
    fn publish_tables(&self) {
        self.ports.publish_tables();
    }
    fn relax(&self, _: u64) {
        self.ports.pause();
    }
}

impl<H: Host + 'static> Portable<H> for Kernel<H> {
    type Room = Room<H>;

    fn room() -> Room<H> {
        Room { cpus: [const { CpuLocal::new() }; CPUS], deferred: Deferred::new() }
    }
    fn new(ports: H, room: &'static Room<H>) -> Self {
        Self { ports, room }
    }
    unsafe fn handle_ipi(engine: &Shootdown<Self>) {
        // SAFETY: 1. and 2. the caller's.
        unsafe { engine.handle_ipi() };
    }
    fn deferred(&self) -> Option<TeardownHandle<Self>> {
        self.room.deferred.take()
    }
}
