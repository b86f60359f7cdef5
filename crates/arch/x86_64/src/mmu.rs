//! The part of a platform.

use crate::encode::{CR4_PCIDE, CR4_PGE, InvpcidDescriptor, InvpcidType, Pcid, Root, cr3, flushing, pcid_of};
use crate::exec;
use crate::plan::{Broadcast, Plan, Step, Strategies, Tagging, Target};
use shootdown::Platform;
use shootdown::flush::{FlushRequest, LocalFlush, Pages, Remote, RemoteFlush};
use shootdown::tags::{OnInstall, Tag, TagBroadcast};

/// Bodies of the methods of a [`Platform`] that touch the hardware. One value for all CPUs, so that they agree.
#[derive(Clone, Copy, Debug)]
pub struct Mmu {
    strategies: Strategies,
    kernel_root: Root,
}

impl Mmu {
    /// Makes the part. `kernel_root` maps kernel memory alone, and is loaded for no space.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used in ring 0 alone, on CPUs with the features that the strategies were chosen from.
    pub const unsafe fn new(strategies: Strategies, kernel_root: Root) -> Self {
        Self { strategies, kernel_root }
    }

    /// The hardware features in use.
    pub const fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// Sets CR4.PGE and CR4.PCIDE as the strategies need them. Each CPU calls it once, before it goes on line.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. the low 12 bits of CR3 are 0 (SDM 4.10.1), as they are on a CPU that has not used PCIDs.
    pub unsafe fn prepare_cpu(&self) {
        let mut value = current_cr4();
        if self.strategies.global_pages() {
            value |= CR4_PGE;
        }
        if self.strategies.tagging() != Tagging::None {
            value |= CR4_PCIDE;
        }
        // SAFETY: 1. the caller of `new` ensures it; 2. so are the features, and both bits change no translation.
        unsafe { exec::write_cr4(value) };
    }

    /// Body of [`Platform::flush_local`]. For contexts it serialises itself: IRET from the handler would too, and
    /// SYSRET, and the kernel's own code that follows, would not.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off, on a CPU that [`prepare_cpu`](Self::prepare_cpu) has prepared.
    #[inline]
    pub unsafe fn flush_local(&self, what: LocalFlush) {
        let current = match self.strategies.tagging() {
            Tagging::None => Pcid::SHARED,
            Tagging::Pcid | Tagging::Pairs => pcid_of(current_cr3()),
        };
        let Plan { pages, first, second } = self.strategies.local(what, current);
        self.carry_out(first, pages);
        if let Some(second) = second {
            self.carry_out(second, pages);
        }
    }

    /// Body of [`Platform::install`]. The write to CR3 serialises, whatever it keeps. Tags that are no PCID, and no
    /// root, share PCID 0, which is flushed at each load.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off, on a CPU that [`prepare_cpu`](Self::prepare_cpu) has prepared;
    /// 2. the root maps the running kernel, and its tables stay until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another space or to an older state of this one.
    #[inline]
    pub unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        let pcid = if root.is_some() { self.strategies.pcid(tag) } else { Pcid::SHARED };
        let how = if pcid == Pcid::SHARED { OnInstall::Flush } else { how };
        // One write loads the root and drops the PCID: there is no moment between the two (Xen's XSA-292).
        let value = cr3(root.unwrap_or(self.kernel_root), pcid, how);
        // SAFETY: 1. the caller of `new` ensures it; 2. the caller does, and the PCID is 0 without CR4.PCIDE.
        unsafe { exec::write_cr3(value) };
        if how == OnInstall::Flush {
            // Nothing is cached under the user half before user code runs again.
            if let Some(step) = self.strategies.besides_install(pcid) {
                self.carry_out(step, Pages::NONE);
            }
        }
    }

    /// Body of [`Platform::flush_remote`]: INVLPGB and TLBSYNC, where they are used.
    #[inline]
    pub fn flush_remote<P: Platform>(&self, what: &RemoteFlush<'_, P>) -> Remote {
        let whose = if what.space.is_some() { Target::Space(what.tag) } else { Target::Kernel };
        match self.strategies.broadcast(whose, what.request) {
            Some(requests) => {
                broadcast(requests);
                Remote::Done
            }
            None => Remote::NeedsIpi,
        }
    }

    /// Returns what flushes all tags of all CPUs at once, for tags that rest on broadcasts, if broadcasts are used.
    pub const fn broadcaster(&self) -> Option<Broadcaster> {
        if self.strategies.broadcasts() { Some(Broadcaster(*self)) } else { None }
    }

    /// Body of [`Platform::publish_tables`]. Nothing is needed: walks of other CPUs see stores in the order of memory,
    /// and the engine's fence drains this CPU's buffer.
    #[inline]
    pub fn publish_tables(&self) {}

    /// Body of [`Platform::irq_save`].
    #[inline]
    pub fn irq_save(&self) -> bool {
        irq_save()
    }

    /// Body of [`Platform::irq_restore`].
    #[inline]
    pub fn irq_restore(&self, were_on: bool) {
        irq_restore(were_on);
    }

    /// Body of [`Platform::relax`].
    #[inline]
    pub fn relax(&self) {
        core::hint::spin_loop();
    }

    /// Carries out one step.
    #[inline]
    fn carry_out(&self, step: Step, pages: Pages) {
        match step {
            Step::Invlpg => pages.for_each(|page| {
                // SAFETY: 1. the caller of `new` ensures it.
                unsafe { exec::invlpg(page) }
            }),
            Step::InvpcidAddress(pcid) => pages.for_each(|page| {
                match InvpcidDescriptor::address(pcid, page, self.strategies.width()) {
                    Ok(descriptor) => invpcid(InvpcidType::Address, descriptor),
                    // Plans hold canonical pages alone.
                    Err(_) => invpcid(InvpcidType::Context, InvpcidDescriptor::context(pcid)),
                }
            }),
            Step::InvpcidContext(pcid) => invpcid(InvpcidType::Context, InvpcidDescriptor::context(pcid)),
            Step::InvpcidAll => invpcid(InvpcidType::AllWithGlobals, InvpcidDescriptor::all()),
            Step::ReloadCr3 => {
                let value = flushing(current_cr3());
                // SAFETY: 1. the caller of `new` ensures it; 2. it is what is loaded.
                unsafe { exec::write_cr3(value) };
            }
            Step::TogglePge => {
                // SAFETY: 1. the caller of `new` ensures it, and callers have interrupts off; 2. plans hold this step where
                // CR4.PGE exists.
                unsafe { exec::toggle_pge() };
            }
            // SAFETY: 1. plans hold SERIALIZE where it exists.
            Step::Serialize => unsafe { exec::serialize() },
            // SAFETY: 1. the caller of `new` ensures it, and callers have interrupts off.
            Step::RewriteCr2 => unsafe { exec::rewrite_cr2() },
        }
    }
}

/// Flushes all tags of all CPUs at once.
#[derive(Clone, Copy, Debug)]
pub struct Broadcaster(Mmu);

// SAFETY: 1. one is made where INVLPGB exists, and then there is a request for everything, which TLBSYNC waits for.
unsafe impl TagBroadcast for Broadcaster {
    fn flush_all_tags(&self) {
        let all = self.0.strategies.broadcast(Target::Space(None), FlushRequest::all().tables_freed());
        if let Some(requests) = all {
            broadcast(requests);
        }
    }
}

/// Runs INVLPGB for each request, and waits.
fn broadcast(requests: Broadcast) {
    // TLBSYNC waits for what this very CPU asked: the thread must not move in between.
    let were_on = irq_save();
    for request in requests {
        // SAFETY: 1. interrupts are off until `tlbsync`; the strategies use INVLPGB where it exists.
        unsafe { exec::invlpgb(request) };
    }
    // SAFETY: 1. as above.
    unsafe { exec::tlbsync() };
    irq_restore(were_on);
}

#[inline]
fn irq_save() -> bool {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    let flags = unsafe { exec::interrupts_off() };
    flags & INTERRUPT_FLAG != 0
}

#[inline]
fn irq_restore(were_on: bool) {
    if were_on {
        // SAFETY: 1. as above; they were on before.
        unsafe { exec::interrupts_on() };
    }
}

const INTERRUPT_FLAG: u64 = 1 << 9;

#[inline]
fn invpcid(kind: InvpcidType, descriptor: InvpcidDescriptor) {
    // SAFETY: 1. plans hold INVPCID where it exists; 2. and PCIDs where CR4.PCIDE is set.
    unsafe { exec::invpcid(kind, descriptor) };
}

#[inline]
fn current_cr3() -> u64 {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    unsafe { exec::read_cr3() }
}

#[inline]
fn current_cr4() -> u64 {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    unsafe { exec::read_cr4() }
}
