//! The engine's platform: one UltraSPARC II, contexts by version.

use core::cell::OnceCell;
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuMask;
use shootdown::refs::Teardown;
use shootdown::tags::{CpuTags, OnInstall, Tag, TagStorage, TagWord, VersionedContexts, tag_words};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use shootdown_sparc64::encode::Root;
use shootdown_sparc64::{Machine, Mmu, Strategies};

use crate::memory;

/// Contexts that the allocator has, the kernel's counted: fewer than spaces, so that they run out.
pub const CONTEXTS: u32 = 8;
/// The space whose TSB is loaded where none is: it has no pages.
const EMPTY: usize = memory::SPACES - 1;

/// The machine.
pub struct Kernel {
    /// The hardware part.
    pub mmu: Mmu,
    tags: VersionedContexts<'static, 1>,
    cpu: CpuLocal,
}

/// A value that is made at the start, for one CPU.
pub struct Once<T>(OnceCell<T>);

// SAFETY: there is one CPU, and its interrupts use none of these.
unsafe impl<T> Sync for Once<T> {}

impl<T> Once<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// Makes the value the first time, and returns it.
    pub fn make(&self, value: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(value)
    }
}

static ENGINE: Once<Shootdown<Kernel>> = Once::new();
static TAKEN: [TagWord; tag_words(CONTEXTS)] = [const { TagWord::new() }; tag_words(CONTEXTS)];
static CPUS: [CpuTags; 1] = [CpuTags::new()];

/// Empties the TLBs and makes the engine.
///
/// # Panics
/// The parts do not fit each other.
///
/// # Safety
/// The caller must ensure that:
/// 1. it is called once, before anything else.
pub unsafe fn start() -> &'static Shootdown<Kernel> {
    // SAFETY: 1. this runs in privileged mode of an UltraSPARC II at trap level 0, and roots are TSBs; 2. there is no user
    // code, and the image is mapped in the nucleus context.
    let mmu = unsafe { Mmu::new(Strategies::new(Machine::Spitfire), memory::root(EMPTY)) };
    // SAFETY: 1. interrupts are off. What the firmware has mapped and not locked is not used any more.
    unsafe { mmu.flush_local(LocalFlush::EVERYTHING) };
    let storage = TagStorage { taken: &TAKEN, pinned: &[], cpus: &CPUS, caught: &[] };
    let tags = VersionedContexts::new(CONTEXTS, storage).expect("room for so many contexts");
    let engine = ENGINE.make(|| Shootdown::new(Kernel { mmu, tags, cpu: CpuLocal::new() }, CpuMask::new()));
    // SAFETY: 1. interrupts are off; 2. and 3. no space is loaded.
    unsafe { mmu.install(None, Tag::NONE, OnInstall::Flush) };
    engine.online_cpu().expect("one CPU fits");
    engine
}

impl Kernel {
    /// How often contexts ran out.
    pub fn rollovers(&self) -> u64 {
        self.tags.rollovers()
    }
}

// SAFETY: 1. and 2. there is one CPU, and `start`, called once, lends the statics; 3. interrupts call nothing here, and
// nothing preempts; 4. the arch crate promises it; 5. there is no other CPU to interrupt; 6. no broadcast is used.
unsafe impl Platform for Kernel {
    type Root = Root;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = VersionedContexts<'static, 1>;
    type Pin = ();

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(0)
    }
    fn local(&self, _: CpuId) -> &CpuLocal {
        &self.cpu
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.mmu.irq_save()
    }
    fn irq_restore(&self, were_on: bool) {
        self.mmu.irq_restore(were_on);
    }
    fn tags(&self) -> &Self::Tags {
        &self.tags
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        // SAFETY: 1. the engine promises it.
        unsafe { self.mmu.flush_local(what) };
    }
    unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        // SAFETY: 1. to 3. the engine promises them.
        unsafe { self.mmu.install(root, tag, how) };
    }
    fn send_ipi(&self, cpu: CpuId) {
        panic!("there is no {cpu} to interrupt");
    }
    unsafe fn free_root(&self, _: Self::Handle) {
        panic!("spaces live as long as the machine");
    }
    fn defer_teardown(&self, _: Teardown<'_, Self>) {
        panic!("spaces live as long as the machine");
    }
}
