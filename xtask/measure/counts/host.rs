//! A machine on the host whose primitives are empty, so that what is left is the engine.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};
use shootdown::flush::{LocalFlush, VirtAddr};
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::refs::Teardown;
use shootdown::sanitizer::{Checked, Counts, Wrapped};
use shootdown::tags::{OnInstall, TagPolicy};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::sync::OnceLock;

/// CPUs of the machine; one host thread plays them in turn.
pub const CPUS: usize = 2;

/// A machine with empty primitives. `KEEP` leaves bits in masks at a switch; if `ANSWER` is not 0, the target handles
/// the IPI at once, inside [`Platform::send_ipi`], in a function of that number.
pub struct Host<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: u8> {
    /// The CPU that the thread plays: one word, as a kernel reads it from its per-CPU segment.
    cpu: AtomicU32,
    locals: [&'static CpuLocal; CPUS],
    tags: T,
    engine: OnceLock<&'static dyn Serves>,
}

/// The same under a sanitizer, as large as the machine.
pub type Watched<T, const KEEP: bool, const ANSWER: u8> = Checked<Host<T, KEEP, ANSWER>, Counts, CPUS, 32>;

/// An engine that handles IPIs.
pub trait Serves: Sync {
    /// Handles the IPI of the CPU that is played.
    fn handle_ipi(&self);
}

impl<P: Platform> Serves for Shootdown<P>
where
    P::Mask: Sync,
{
    fn handle_ipi(&self) {
        // SAFETY: 1. there are no interrupts; 2. no call of the engine is at work on the CPU that is played, which is sent
        // its IPI by another.
        unsafe { Shootdown::handle_ipi(self) };
    }
}

/// A platform on which the workload plays one CPU after the other.
pub trait Stage:
    Platform<Root = u64, Mask = CpuMask<1>, Handle = &'static AddressSpace<Self>> + 'static
{
    /// Plays `cpu` from now on.
    fn play(&self, cpu: u32);
    /// Names the engine that the target of an IPI calls; needed with `ANSWER`.
    fn connect(&self, engine: &'static Shootdown<Self>);
}

impl<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: u8> Stage for Host<T, KEEP, ANSWER> {
    fn play(&self, cpu: u32) {
        self.begin(cpu);
    }
    fn connect(&self, engine: &'static Shootdown<Self>) {
        self.name(engine);
    }
}

impl<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: u8> Stage for Watched<T, KEEP, ANSWER> {
    fn play(&self, cpu: u32) {
        self.inner().begin(cpu);
    }
    fn connect(&self, engine: &'static Shootdown<Self>) {
        self.inner().name(engine);
    }
}

impl<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: u8> Host<T, KEEP, ANSWER> {
    /// Makes a machine that plays CPU 0.
    pub fn new(tags: T, locals: [&'static CpuLocal; CPUS]) -> Self {
        Self { cpu: AtomicU32::new(0), locals, tags, engine: OnceLock::new() }
    }

    fn name(&self, engine: &'static dyn Serves) {
        let first = self.engine.set(engine).is_ok();
        assert!(first, "a machine has one engine");
    }

    fn begin(&self, cpu: u32) {
        assert!((cpu as usize) < CPUS, "CPU {cpu} on a machine of {CPUS}");
        self.cpu.store(cpu, Ordering::Relaxed);
    }

    /// What the interrupt does on the target.
    #[inline(always)]
    fn answer(&self, target: CpuId) {
        let initiator = self.cpu.load(Ordering::Relaxed);
        self.begin(target.number());
        self.engine.get().expect("the engine is connected").handle_ipi();
        self.begin(initiator);
    }
}

/// Functions of their own, so that what an answer costs can be taken away from the initiator's.
macro_rules! answers {
    ($($name:ident)*) => {
        impl<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: u8> Host<T, KEEP, ANSWER> {$(
            #[inline(never)]
            fn $name(&self, target: CpuId) {
                // SAFETY: a comment executes nothing; it makes the function unlike those with the same body.
                unsafe { asm!(concat!("/* ", stringify!($name), " */"), options(nomem, nostack, preserves_flags)) }
                self.answer(target);
            }
        )*}
    };
}
answers! { flush_answer gather_answer watched_flush_answer watched_gather_answer }

/// Wants `values` in registers, as an instruction that works on them would, and costs nothing.
#[inline(always)]
pub fn consume(values: [u64; 3]) {
    let [a, b, c] = values;
    // SAFETY: a comment executes nothing; it may read memory as far as the compiler knows, as a TLB instruction does.
    unsafe { asm!("/* {0} {1} {2} */", in(reg) a, in(reg) b, in(reg) c, options(nostack, preserves_flags)) }
}

// SAFETY: 1. `cpu` is the CPU that the one host thread plays; 2. `locals` never changes, and its elements are different ones
// by `new`'s callers; 3. there are no interrupts and one thread; 4. there is no TLB; 5. an IPI is handled at once or, if the
// workload does that itself, before the waiter waits; 6. `flush_remote` is the default.
unsafe impl<T: TagPolicy + 'static, const KEEP: bool, const ANSWER: u8> Platform for Host<T, KEEP, ANSWER> {
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
    fn irq_save(&self, _: IrqReason) -> bool {
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
        match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                let VirtAddr(start) = range.start();
                consume([u64::from(tag.number()), start, range.count()]);
            }
            (None, Some(range)) => {
                let VirtAddr(start) = range.start();
                consume([0, start, range.count()]);
            }
            (Some(tag), None) => consume([u64::from(tag.number()), 0, 0]),
            (None, None) => consume([0; 3]),
        }
    }
    #[inline(always)]
    unsafe fn install(&self, root: Option<u64>, tag: shootdown::tags::Tag, how: OnInstall) {
        consume([root.unwrap_or(0), u64::from(tag.number()), u64::from(how == OnInstall::Keep)]);
    }
    #[inline(always)]
    fn send_ipi(&self, cpu: CpuId) {
        match ANSWER {
            0 => consume([u64::from(cpu.number()), 0, 0]),
            1 => self.flush_answer(cpu),
            2 => self.gather_answer(cpu),
            3 => self.watched_flush_answer(cpu),
            _ => self.watched_gather_answer(cpu),
        }
    }
    unsafe fn free_root(&self, _: Self::Handle) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        // Spaces live as long as the process.
        let _ = teardown.into_handle();
    }
}

// SAFETY: 1. both are the defaults.
unsafe impl<T, const KEEP: bool, const ANSWER: u8> Wrapped<Watched<T, KEEP, ANSWER>> for Host<T, KEEP, ANSWER>
where
    T: TagPolicy + 'static,
{
    type Handle = &'static AddressSpace<Watched<T, KEEP, ANSWER>>;

    unsafe fn free_root(&self, _: &'static AddressSpace<Watched<T, KEEP, ANSWER>>) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Watched<T, KEEP, ANSWER>>) {
        let _ = teardown.into_handle();
    }
}
