//! The engine's platform: what this kernel provides. `shootdown doctor` examines this file as it stands; `doctor.rs` is
//! how.

use super::arch::{self, MAX_CPUS, Mmu};
use super::findings;
use super::space::{self, SpaceRef};
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange};
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::refs::{SpaceHandle, Teardown};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::{Event, IrqReason};
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform};

/// One IPI in this many is not sent, as if the interrupt had been lost; 0 for none.
pub static LOST_IPIS: AtomicU64 = AtomicU64::new(0);

/// The machine.
#[derive(Debug)]
pub struct Kernel {
    kernel_root: AtomicU64,
    cpus: [CpuLocal; MAX_CPUS],
}

impl Kernel {
    /// Makes the per-CPU memory.
    pub const fn new() -> Self {
        Self { kernel_root: AtomicU64::new(0), cpus: [const { CpuLocal::new() }; MAX_CPUS] }
    }

    /// Makes the hardware part known, once, before any CPU goes on line.
    pub fn init(&self, kernel_root: u64) {
        self.kernel_root.store(kernel_root, Ordering::Relaxed);
    }

    /// The hardware part. What it is made of is known when the kernel is compiled, but for the root.
    #[inline]
    pub fn mmu(&self) -> Mmu {
        arch::mmu(self.kernel_root())
    }

    /// The hardware part for what concerns no root.
    #[inline]
    const fn without_root() -> Mmu {
        arch::mmu(0)
    }

    /// Table that maps kernel memory alone.
    #[inline]
    pub fn kernel_root(&self) -> u64 {
        self.kernel_root.load(Ordering::Relaxed)
    }
}

// SAFETY: 1. every CPU has a number of its own from its start; 2. it indexes an array; 3. interrupts are the only thing that
// calls in, and nothing preempts; 4. the arch crate promises it; 5. interrupts between CPUs come once they are on, and the
// handler clears before it calls `handle_ipi`; 6. no broadcast is used.
unsafe impl Platform for Kernel {
    type Root = arch::Root;
    type Mask = CpuMask<{ MAX_CPUS / 64 }>;
    type Handle = SpaceRef;
    type Tags = Untagged;
    type Pin = ();

    /// Few, so that a lost IPI costs milliseconds; sending another to a CPU that is merely late does no harm.
    const STALL_POLLS: u64 = 1 << 14;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;

    fn pin(&self) {}

    #[inline]
    fn cpu(&self) -> CpuId {
        CpuId::new(arch::this_cpu() as u32)
    }

    #[inline]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index() % MAX_CPUS]
    }

    #[inline]
    fn irq_save(&self, reason: IrqReason) -> bool {
        let were_on = Self::without_root().irq_save();
        if let (IrqReason::EnterLazy, Some(shadow)) = (reason, findings::shadow()) {
            shadow.idle(self.cpu());
        }
        were_on
    }

    #[inline]
    fn irq_restore(&self, were_on: bool) {
        Self::without_root().irq_restore(were_on);
    }

    #[inline]
    fn tags(&self) -> &Untagged {
        &Untagged
    }

    #[inline]
    unsafe fn flush_local(&self, what: LocalFlush) {
        let shadow = findings::shadow().map(|shadow| (shadow, shadow.now()));
        let mmu = Self::without_root();
        match (what.tag, what.request.range()) {
            // The usual case: of a page whose size is known when this is compiled little is left to choose.
            (Some(tag), Some(range))
                if range.count() == 1
                    && what.request == FlushRequest::pages(PageRange::page(range.start())) =>
            {
                let request = FlushRequest::pages(PageRange::page(range.start()));
                // SAFETY: 1. the engine promises it.
                unsafe { mmu.flush_local(LocalFlush { tag: Some(tag), request }) };
            }
            // SAFETY: 1. the engine promises it.
            _ => unsafe { mmu.flush_local(what) },
        }
        if let Some((shadow, now)) = shadow {
            shadow.flushed(self.cpu(), what, now);
        }
    }

    #[inline]
    unsafe fn install(&self, root: Option<arch::Root>, tag: Tag, how: OnInstall) {
        let shadow = findings::shadow().map(|shadow| (shadow, shadow.now()));
        let is_root = root.is_some();
        // SAFETY: 1. to 3. the engine promises them; every root maps the kernel.
        unsafe { self.mmu().install(root, tag, how) };
        if let Some((shadow, now)) = shadow {
            shadow.installed(self.cpu(), is_root, tag, how, now);
        }
    }

    #[inline]
    fn send_ipi(&self, cpu: CpuId) {
        if !is_lost() {
            arch::send_ipi(cpu.index());
        }
    }

    unsafe fn free_root(&self, handle: Self::Handle) {
        let space = handle.space();
        if let Some(shadow) = findings::shadow() {
            shadow.root_freed(self.cpu(), space.id());
        }
        space::free_root(arch::root_address(space.root()));
    }

    fn defer_teardown(&self, late: Teardown<'_, Self>) {
        space::defer(late.into_handle());
    }

    #[cfg(target_arch = "aarch64")]
    fn publish_tables(&self) {
        Self::without_root().publish_tables();
    }

    fn before_offline(&self) {
        if let Some(shadow) = findings::shadow() {
            shadow.offline(self.cpu());
        }
    }

    #[inline]
    fn gathered(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        let space = space.map(AddressSpace::id);
        findings::shadow().map_or(0, |shadow| shadow.removed(self.cpu(), space, request))
    }

    #[inline]
    fn released(&self, number: u64) {
        findings::reused(number);
    }

    #[inline]
    fn event(&self, event: Event) {
        let Some(shadow) = findings::shadow() else { return };
        match event {
            Event::Switched(space) => shadow.begun(self.cpu(), space),
            Event::Online => shadow.online(self.cpu()),
            _ => {}
        }
    }

    #[inline]
    fn relax(&self, polls: u64) {
        // Another CPU must run for the wait to end; where CPUs share a host thread it does not run by itself.
        if polls % 64 == 0 {
            arch::yield_now();
        }
    }
}

/// Whether the next IPI is one of [`LOST_IPIS`]; never where instructions are counted.
#[inline]
fn is_lost() -> bool {
    static SENT: AtomicU64 = AtomicU64::new(0);
    if !findings::WATCHES {
        return false;
    }
    let one_in = LOST_IPIS.load(Ordering::Relaxed);
    one_in != 0 && SENT.fetch_add(1, Ordering::Relaxed) % one_in == one_in - 1
}
