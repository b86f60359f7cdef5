//! The platform of a toy hypervisor: a space is a guest, its addresses are the guest's physical ones, its tag is a VMID,
//! and every flush is a broadcast.

use shootdown::flush::{LocalFlush, Remote, RemoteFlush};
use shootdown::mask::CpuMask;
use shootdown::ports::{Broadcasts, Deferred, Entries, Portable};
use shootdown::refs::{Teardown, TeardownHandle};
use shootdown::tags::{CpuTags, OnInstall, Tag, TagBroadcast, TagStorage, TagWord, Vmids, tag_words};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};

const CPUS: usize = 8;
/// VMIDs of 8 bits.
const TAGS: u32 = 256;

/// What the hypervisor lends the engine: a static.
pub struct Room<H: Broadcasts + Copy + 'static> {
    cpus: [CpuLocal; CPUS],
    tags: [CpuTags; CPUS],
    taken: [TagWord; tag_words(TAGS)],
    deferred: Deferred<Hypervisor<H>, 16>,
}

/// The hypervisor, as the engine sees it.
pub struct Hypervisor<H: Broadcasts + Copy + 'static> {
    ports: H,
    tags: Vmids<'static, AllGuests<H>>,
    room: &'static Room<H>,
}

/// What the doctor examines.
pub type PlatformUnderTest<H> = Hypervisor<H>;

/// Drops all guests on all CPUs, when VMIDs run out.
pub struct AllGuests<H>(H);

// SAFETY: 1. the port's promise: entries of all guests go on every CPU, and the second call waits for that.
unsafe impl<H: Broadcasts> TagBroadcast for AllGuests<H> {
    fn flush_all_tags(&self) {
        self.0.broadcast_users();
        self.0.complete_broadcast();
    }
}

// SAFETY: 1. the port's promise; 2. an array, indexed by the number, and the room has one platform; 3. interrupts go off and
// come back as they were, and nothing preempts; 4. both wait for completion; 5. the IPI handler calls `handle_ipi`, and the
// request is ordered before the interrupt; 6. a broadcast is waited for.
unsafe impl<H: Broadcasts + Copy + 'static> Platform for Hypervisor<H> {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = Vmids<'static, AllGuests<H>>;
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
    fn tags(&self) -> &Self::Tags {
        &self.tags
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
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        let entries = match how {
            OnInstall::Keep => Entries::Kept,
            OnInstall::Flush => Entries::Dropped,
        };
        // No guest: a table that maps nothing.
        self.ports.write_root(root.unwrap_or(self.ports.kernel_root()), tag.number(), entries);
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
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        let were_on = self.irq_save(IrqReason::LocalFlush);
        match (what.space, what.tag, what.request.range()) {
            (None, _, _) => self.ports.broadcast_kernel(),
            (Some(_), Some(tag), Some(range)) if range.count() == 1 => {
                self.ports.broadcast_page(tag.number(), range.start().0, what.request.levels());
            }
            (Some(_), Some(tag), _) => self.ports.broadcast_tag(tag.number()),
            (Some(_), None, _) => self.ports.broadcast_users(),
        }
        self.ports.complete_broadcast();
        self.irq_restore(were_on);
        Remote::Done
    }
    fn publish_tables(&self) {
        self.ports.publish_tables();
    }
    fn relax(&self, _: u64) {
        self.ports.pause();
    }
}

impl<H: Broadcasts + Copy + 'static> Portable<H> for Hypervisor<H> {
    type Room = Room<H>;

    fn room() -> Room<H> {
        Room {
            cpus: [const { CpuLocal::new() }; CPUS],
            tags: [const { CpuTags::new() }; CPUS],
            taken: [const { TagWord::new() }; tag_words(TAGS)],
            deferred: Deferred::new(),
        }
    }
    fn new(ports: H, room: &'static Room<H>) -> Self {
        let storage = TagStorage { taken: &room.taken, pinned: &[], cpus: &room.tags, caught: &[] };
        let Ok(tags) = Vmids::new(TAGS, storage, AllGuests(ports)) else {
            panic!("room for {TAGS} VMIDs on {CPUS} CPUs")
        };
        Self { ports, tags, room }
    }
    unsafe fn handle_ipi(engine: &Shootdown<Self>) {
        // SAFETY: 1. and 2. the caller's.
        unsafe { engine.handle_ipi() };
    }
    fn deferred(&self) -> Option<TeardownHandle<Self>> {
        self.room.deferred.take()
    }
}
