//! The platform of a toy kernel: two tags a CPU, IPIs, nothing else.

// ANCHOR: head
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuMask;
use shootdown::ports::{Deferred, Entries, Portable, Ports};
use shootdown::refs::{Teardown, TeardownHandle};
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};

/// Most CPUs.
const CPUS: usize = 8;

// ANCHOR_END: head
// ANCHOR: types
/// What the kernel lends the engine: a static.
pub struct Room<H: Ports + 'static> {
    cpus: [CpuLocal; CPUS],
    deferred: Deferred<Kernel<H>, 16>,
}

/// The kernel, as the engine sees it.
pub struct Kernel<H: Ports + 'static> {
    ports: H,
    tags: PerCpuSlots<2>,
    room: &'static Room<H>,
}

/// What the doctor examines.
pub type PlatformUnderTest<H> = Kernel<H>;

// ANCHOR_END: types
// ANCHOR: who
// SAFETY: 1. the port's promise; 2. an array, indexed by the number; 3. interrupts go off and come back as they were, and
// nothing preempts; 4. both wait for completion; 5. the IPI handler calls `handle_ipi`, and the request is ordered before
// the interrupt; 6. `flush_remote` is left as it is.
unsafe impl<H: Ports + 'static> Platform for Kernel<H> {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = PerCpuSlots<2>;
    type Pin = ();

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
    fn tags(&self) -> &PerCpuSlots<2> {
        &self.tags
    }
    // ANCHOR_END: who
    // ANCHOR: flush
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
    // ANCHOR_END: flush
    // ANCHOR: install
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        let entries = match how {
            OnInstall::Keep => Entries::Kept,
            OnInstall::Flush => Entries::Dropped,
        };
        self.ports.write_root(root.unwrap_or(self.ports.kernel_root()), tag.number(), entries);
        self.ports.complete();
    }
    // ANCHOR_END: install
    // ANCHOR: send_ipi
    fn send_ipi(&self, cpu: CpuId) {
        self.ports.order_before_interrupt();
        self.ports.send_interrupt(cpu.number());
    }
    // ANCHOR_END: send_ipi
    // ANCHOR: life
    unsafe fn free_root(&self, space: Self::Handle) {
        self.ports.free_root(space.root());
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let kept = self.room.deferred.put(teardown.into_handle());
        assert!(kept.is_ok(), "more deferred teardowns than there is room for");
    }
    // ANCHOR_END: life
    // ANCHOR: rest
    fn publish_tables(&self) {
        self.ports.publish_tables();
    }
    fn relax(&self, _: u64) {
        self.ports.pause();
    }
}

// ANCHOR_END: rest
// ANCHOR: portable
impl<H: Ports + 'static> Portable<H> for Kernel<H> {
    type Room = Room<H>;

    fn room() -> Room<H> {
        Room { cpus: [const { CpuLocal::new() }; CPUS], deferred: Deferred::new() }
    }
    fn new(ports: H, room: &'static Room<H>) -> Self {
        Self { ports, tags: PerCpuSlots, room }
    }
    unsafe fn handle_ipi(engine: &Shootdown<Self>) {
        // SAFETY: 1. and 2. the caller's.
        unsafe { engine.handle_ipi() };
    }
    fn deferred(&self) -> Option<TeardownHandle<Self>> {
        self.room.deferred.take()
    }
}

// ANCHOR_END: portable
