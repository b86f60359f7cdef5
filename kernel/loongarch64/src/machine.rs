//! The engine's platform: two cores, which number spaces for themselves.

use core::arch::asm;
use core::cell::OnceCell;
use shootdown::flush::{LocalFlush, Remote, RemoteFlush};
use shootdown::mask::CpuMask;
use shootdown::refs::Teardown;
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use shootdown_loongarch64::encode::{BasePage, Root, has_walker, virtual_bits};
use shootdown_loongarch64::{KernelMappings, Mmu, Strategies, Walker, exec};

use crate::memory;

/// Cores of the machine; `boot.s` has as many stacks.
pub const CORES: usize = 2;
/// Tags that each core has for spaces: fewer than spaces, so that they change hands.
pub const TAGS: usize = 4;
/// The IPI that the engine is asked by.
const IPI: u32 = 0;

/// The machine.
pub struct Kernel {
    /// The hardware part.
    pub mmu: Mmu,
    cores: [CpuLocal; CORES],
}

/// A value that is made before the other core starts.
pub struct Once<T>(OnceCell<T>);

// SAFETY: the first core makes the values before it starts the other, and nobody writes afterwards.
unsafe impl<T: Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// Makes the value the first time, and returns it.
    pub fn make(&self, value: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(value)
    }

    /// The value.
    ///
    /// # Panics
    /// It has not been made.
    pub fn get(&self) -> &T {
        self.0.get().expect("made before the other core starts")
    }
}

static ENGINE: Once<Shootdown<Kernel>> = Once::new();

/// Makes the engine, on the first core.
///
/// # Panics
/// The machine has a page-table walker or no ASIDs, for which these page tables are not made.
pub fn start() -> &'static Shootdown<Kernel> {
    // SAFETY: 1. this is PLV0, on a core with 64 bits.
    let [word1, word2] = [1, 2].map(|word| unsafe { exec::read_cpucfg(word) });
    assert!(!has_walker(word2), "the handler of refills is not made for a walker");
    // SAFETY: 1. this is PLV0.
    let asid_bits = unsafe { Mmu::read_asid_bits() };
    assert!(asid_bits > 3, "too few ASIDs: {asid_bits} bits");
    let strategies = Strategies::new(BasePage::Size16K, KernelMappings::Global)
        .with_walker(Walker::Software)
        .with_asids(asid_bits)
        .with_virtual_bits(virtual_bits(word1));
    // SAFETY: 1. this is PLV0, and the cores are alike; 2. tables are static; 3. `refill` reads CSR.PGDL, and a refill has
    // interrupts off.
    let mmu = unsafe { Mmu::new(strategies, memory::root(memory::EMPTY)) };
    let kernel = || Kernel { mmu, cores: [const { CpuLocal::new() }; CORES] };
    ENGINE.make(|| Shootdown::new(kernel(), CpuMask::new()));
    online();
    engine()
}

/// The engine.
///
/// # Panics
/// It has not been made.
pub fn engine() -> &'static Shootdown<Kernel> {
    ENGINE.get()
}

/// Prepares the calling core and brings it on line, with interrupts.
///
/// # Panics
/// It does not fit.
pub fn online() {
    let mmu = &engine().platform().mmu;
    let upper_half = memory::root(memory::KERNEL).address();
    // SAFETY: CSR.PGDH; the tables are static.
    unsafe { asm!("csrwr {}, 0x1a", inout(reg) upper_half => _, options(nostack)) };
    // SAFETY: 1. interrupts are off; 2. and 3. no space is loaded.
    unsafe { mmu.install(None, Tag::NONE, OnInstall::Flush) };
    // SAFETY: 1. `interrupt` handles it.
    unsafe { mmu.enable_ipi(IPI) }.expect("there is an IPI 0");
    engine().online_cpu().expect("a mask has room for both");
    mmu.irq_restore(true);
}

/// Starts the other core.
pub fn start_other() {
    const MAIL_SEND: u32 = 0x1048;
    unsafe extern "C" {
        static _start: u8;
    }
    // Mailbox 0 of core 1, bit 31 waits; the upper half is the physical address where it begins.
    let mail = (&raw const _start as u64) << 32 | 1 << 31 | 1 << 16;
    // SAFETY: the register starts cores that wait for mail, and this one comes to code of its own.
    unsafe {
        asm!("dbar 0", "iocsrwr.d {}, {}", in(reg) mail, in(reg) u64::from(MAIL_SEND), options(nostack))
    };
    // Firmware may wait for an interrupt before it looks.
    engine().platform().send_ipi(CpuId::new(1));
}

// SAFETY: 1. CSR.CPUID numbers cores; 2. a `CpuLocal` a core, and tags have no memory; 3. IPIs are the only interrupts, and
// nothing preempts; 4. the arch crate promises it; 5. `interrupt` has the engine handle IPIs; 6. no broadcast is used.
unsafe impl Platform for Kernel {
    type Root = Root;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = PerCpuSlots<TAGS>;
    type Pin = ();

    const RANGE_CEILING: u64 = shootdown_loongarch64::RANGE_CEILING;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        let core: u64;
        // SAFETY: CSR.CPUID, which nothing changes.
        unsafe { asm!("csrrd {}, 0x20", out(reg) core, options(nomem, nostack, preserves_flags)) };
        CpuId::new(core as u32 & 0x1ff)
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cores[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.mmu.irq_save()
    }
    fn irq_restore(&self, were_on: bool) {
        self.mmu.irq_restore(were_on);
    }
    fn tags(&self) -> &Self::Tags {
        &PerCpuSlots
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
        self.mmu.send_ipi(cpu.number(), IPI).expect("two cores and IPI 0");
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        self.mmu.flush_remote(&what)
    }
    fn publish_tables(&self) {
        self.mmu.publish_tables();
    }
    fn relax(&self, _: u64) {
        self.mmu.relax();
    }
    unsafe fn free_root(&self, _: Self::Handle) {
        panic!("spaces live as long as the machine");
    }
    fn defer_teardown(&self, _: Teardown<'_, Self>) {
        panic!("spaces live as long as the machine");
    }
}
