//! A machine on the host whose primitives are empty, so that what is left is the engine.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};
use shootdown::{
    AddressSpace, CpuId, CpuLocal, CpuMask, LocalFlush, OnInstall, OnLeave, Platform, Shootdown, Span,
    TagPolicy, Teardown, VirtAddr,
};
use std::sync::OnceLock;

/// CPUs of the machine; one host thread plays them in turn.
pub const CPUS: usize = 2;

/// A machine with empty primitives. `KEEP` leaves bits in masks at a switch; with `ANSWER` a rung CPU answers at once,
/// inside [`Platform::kick`].
pub struct Host<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: bool> {
    /// The CPU that the thread plays: one word, as a kernel reads it from its per-CPU segment.
    cpu: AtomicU32,
    locals: [&'static CpuLocal; CPUS],
    tags: T,
    engine: OnceLock<&'static Shootdown<Self>>,
}

impl<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: bool> Host<T, KEEP, ANSWER> {
    /// Makes a machine that plays CPU 0.
    pub fn new(tags: T, locals: [&'static CpuLocal; CPUS]) -> Self {
        Self { cpu: AtomicU32::new(0), locals, tags, engine: OnceLock::new() }
    }

    /// Names the engine that a rung CPU calls; needed with `ANSWER`.
    pub fn connect(&self, engine: &'static Shootdown<Self>) {
        let first = self.engine.set(engine).is_ok();
        assert!(first, "a machine has one engine");
    }

    /// Plays `cpu` from now on.
    pub fn play(&self, cpu: u32) {
        assert!((cpu as usize) < CPUS, "CPU {cpu} on a machine of {CPUS}");
        self.cpu.store(cpu, Ordering::Relaxed);
    }

    /// What the interrupt does on the CPU that was rung. A function of its own, so that its cost can be taken away from
    /// the initiator's.
    #[inline(never)]
    fn measured_answer(&self, target: CpuId) {
        let initiator = self.cpu.load(Ordering::Relaxed);
        self.play(target.number());
        self.engine.get().expect("the engine is connected").serve();
        self.play(initiator);
    }
}

/// Wants `values` in registers, as an instruction that works on them would, and costs nothing.
#[inline(always)]
fn consume(values: [u64; 3]) {
    let [a, b, c] = values;
    // SAFETY: a comment executes nothing; it may read memory as far as the compiler knows, as a TLB instruction does.
    unsafe { asm!("/* {0} {1} {2} */", in(reg) a, in(reg) b, in(reg) c, options(nostack, preserves_flags)) }
}

// SAFETY: 1. `cpu` is the CPU that the one host thread plays; 2. `locals` never changes, and its elements are different
// ones by `new`'s callers; 3. there are no interrupts and one thread; 4. there is no TLB; 5. a ring is answered at once
// or, where the workload does it itself, before the waiter waits; 6. `flush_remote` is the default.
unsafe impl<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: bool> Platform for Host<T, KEEP, ANSWER> {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = T;
    type Pin = ();

    const ON_LEAVE: OnLeave = if KEEP { OnLeave::KeepBit } else { OnLeave::RemoveBit };

    #[inline(always)]
    fn pin(&self) {}
    #[inline(always)]
    fn cpu(&self) -> CpuId {
        CpuId::new(self.cpu.load(Ordering::Relaxed))
    }
    #[inline(always)]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        // SAFETY: `play` and the engine's masks know only CPUs below `CPUS`. Kernels index their per-CPU offsets likewise.
        unsafe { self.locals.get_unchecked(cpu.index()) }
    }
    #[inline(always)]
    fn irq_save(&self, _: Span) -> bool {
        true
    }
    #[inline(always)]
    fn irq_restore(&self, _: bool) {}
    #[inline(always)]
    fn tags(&self) -> &T {
        &self.tags
    }
    #[inline(always)]
    unsafe fn flush_local(&self, what: LocalFlush) {
        match what {
            LocalFlush::Pages { tag, range, tables: _ } => {
                let VirtAddr(start) = range.start();
                consume([u64::from(tag.number()), start, range.count()]);
            }
            LocalFlush::KernelPages { range, tables: _ } => {
                let VirtAddr(start) = range.start();
                consume([0, start, range.count()]);
            }
            LocalFlush::Tag(tag) => consume([u64::from(tag.number()), 0, 0]),
            LocalFlush::Everything => consume([0; 3]),
        }
    }
    #[inline(always)]
    unsafe fn install(&self, root: Option<u64>, tag: shootdown::Tag, how: OnInstall) {
        consume([root.unwrap_or(0), u64::from(tag.number()), u64::from(how == OnInstall::Keep)]);
    }
    #[inline(always)]
    fn kick(&self, cpu: CpuId) {
        if ANSWER {
            self.measured_answer(cpu);
        } else {
            consume([u64::from(cpu.number()), 0, 0]);
        }
    }
    unsafe fn free_root(&self, _: &AddressSpace<Self>) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        // Spaces live as long as the process.
        let _ = teardown.into_handle();
    }
}
