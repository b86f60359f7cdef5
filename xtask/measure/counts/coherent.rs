//! The coherence layer alone, on a machine whose primitives are empty.

use super::host::{CPUS, consume};
use super::workload::{REPEATS, page};
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering};
use shootdown::coherence::{Coherence, Coherent, Rootless, SendIpis, Space};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, VirtAddr};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::{CpuId, CpuLocal};
use std::sync::OnceLock;

/// A machine that loads roots itself. With `ANSWER`, the target of an IPI handles it at once: 1 for flushes, 2 for gathers.
struct Harts<const ANSWER: u8> {
    /// The CPU that the thread plays.
    cpu: AtomicU32,
    locals: [&'static CpuLocal; CPUS],
    engine: OnceLock<&'static Engine<ANSWER>>,
}

type Engine<const ANSWER: u8> = Coherent<Harts<ANSWER>>;
type Alone = Engine<0>;

// SAFETY: 1. `cpu` is the CPU that the one host thread plays; 2. the elements of an array; 3. there are no interrupts and one thread;
// 4. there is no TLB; 5. there are no roots.
unsafe impl<const ANSWER: u8> Coherence for Harts<ANSWER> {
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
    fn irq_save(&self) -> bool {
        true
    }
    #[inline(always)]
    fn irq_restore(&self, _: bool) {}
    #[inline(always)]
    unsafe fn flush_local(&self, what: LocalFlush) {
        match what.request.range() {
            Some(range) => {
                let VirtAddr(start) = range.start();
                consume([0, start, range.count()]);
            }
            None => consume([0; 3]),
        }
    }
}

// SAFETY: 1. an IPI is handled at once or, if the workload does that itself, before the waiter waits.
unsafe impl<const ANSWER: u8> SendIpis for Harts<ANSWER> {
    #[inline(always)]
    fn send_ipis(&self, cpus: CpuSet) {
        match ANSWER {
            0 => consume([u64::from(cpus.first().number()), cpus.bits(), 0]),
            1 => self.coherent_flush_answer(cpus),
            _ => self.coherent_gather_answer(cpus),
        }
    }
}

impl<const ANSWER: u8> Harts<ANSWER> {
    fn play(&self, cpu: u32) {
        assert!((cpu as usize) < CPUS, "CPU {cpu} on a machine of {CPUS}");
        self.cpu.store(cpu, Ordering::Relaxed);
    }

    /// A function of its own, so that what delivery and answers cost can be taken away from the initiator's: it hands
    /// the set to an interrupt controller, which takes it as a whole.
    #[inline(never)]
    fn coherent_flush_answer(&self, targets: CpuSet) {
        targets.for_each(|target| self.answer(target));
    }

    /// The same for gathers.
    #[inline(never)]
    fn coherent_gather_answer(&self, targets: CpuSet) {
        targets.for_each(|target| self.answer(target));
    }

    #[inline(always)]
    fn answer(&self, target: CpuId) {
        let initiator = self.cpu.load(Ordering::Relaxed);
        self.play(target.number());
        let engine = self.engine.get().expect("the engine is connected");
        // SAFETY: 1. there are no interrupts; 2. no call of the engine is at work on the CPU that is played.
        unsafe { engine.handle_ipi() };
        self.play(initiator);
    }
}

/// Makes functions that are called and never inlined, unlike one another.
macro_rules! measured {
    ($($name:ident($engine:ident: $of:ty $(, $argument:ident: $type:ty)*) $body:block)*) => {$(
        #[inline(never)]
        fn $name($engine: &$of $(, $argument: $type)*) {
            // SAFETY: a comment executes nothing; it makes the function unlike those with the same body.
            unsafe {
                core::arch::asm!(concat!("/* ", stringify!($name), " */"), options(nomem, nostack, preserves_flags));
            }
            $body
        }
    )*};
}

measured! {
    coherent_same_space(engine: Alone, next: &Space<Harts<0>>) { enter(engine, next) }
    coherent_loaded(engine: Alone, next: &Space<Harts<0>>) { enter(engine, next) }
    coherent_will_load(engine: Alone, next: &Space<Harts<0>>) {
        let entry = engine.enter(next);
        consume([next.root(), u64::from(entry.tag().number()), entry.how() as u64]);
        // SAFETY: 1. and 2. there are no roots and no interrupts; 3. spaces are leaked; 4. nothing else is called.
        unsafe { entry.will_load() };
    }
    coherent_local_flush(engine: Alone, space: &Space<Harts<0>>, page: PageRange) {
        engine.flush(space, FlushRequest::pages(page));
    }
    coherent_target_flush(engine: Engine<1>, space: &Space<Harts<1>>, page: PageRange) {
        engine.flush(space, FlushRequest::pages(page));
    }
    coherent_gather(engine: Alone, space: &Space<Harts<0>>, page: PageRange) { gather(engine, space, page) }
    coherent_target_gather(engine: Engine<2>, space: &Space<Harts<2>>, page: PageRange) {
        gather(engine, space, page);
    }
    coherent_lazy_round(engine: Alone) {
        engine.enter_lazy();
        let _ = engine.exit_lazy();
    }
    coherent_handler(engine: Alone) {
        // SAFETY: 1. there are no interrupts; 2. no call of the engine is at work on the CPU that is played.
        unsafe { engine.handle_ipi() };
    }
}

#[inline(always)]
fn enter<const ANSWER: u8>(engine: &Engine<ANSWER>, next: &Space<Harts<ANSWER>>) {
    let entry = engine.enter(next);
    consume([next.root(), u64::from(entry.tag().number()), entry.how() as u64]);
    // SAFETY: 1. and 2. there are no roots; 3. spaces are leaked; 4. nothing else is called.
    unsafe { entry.loaded() };
}

#[inline(always)]
fn gather<const ANSWER: u8>(engine: &Engine<ANSWER>, space: &Space<Harts<ANSWER>>, page: PageRange) {
    let mut gather = engine.gather::<u64, 1>(space);
    let _ = gather.unmapped(page, 1);
    gather.finish();
}

/// Makes an engine with all CPUs on line, and two spaces; CPU 0 is played.
fn machine<const ANSWER: u8>() -> (&'static Engine<ANSWER>, [&'static Space<Harts<ANSWER>>; 2]) {
    let locals = core::array::from_fn(|_| &*Box::leak(Box::new(CpuLocal::new())));
    let harts = Harts { cpu: AtomicU32::new(0), locals, engine: OnceLock::new() };
    let engine: &'static Engine<ANSWER> =
        Box::leak(Box::new(Coherent::new(Rootless::new(harts), CpuMask::new())));
    assert!(engine.platform().machine().engine.set(engine).is_ok(), "a machine has one engine");
    for cpu in [1, 0] {
        engine.platform().machine().play(cpu);
        engine.online_cpu().expect("the mask holds both CPUs");
    }
    let space = |root| engine.new_space(root, CpuMask::new()).expect("both masks hold as many CPUs");
    (engine, [0x1000, 0x2000].map(|root| &*Box::leak(Box::new(space(root)))))
}

/// Runs an operation on a space that another CPU has loaded too.
fn target<const ANSWER: u8>(measured: fn(&Engine<ANSWER>, &Space<Harts<ANSWER>>, PageRange)) {
    let (engine, [space, _]) = machine::<ANSWER>();
    for cpu in [1, 0] {
        engine.platform().machine().play(cpu);
        enter(engine, space);
    }
    for _ in 0..REPEATS {
        measured(black_box(engine), black_box(space), page());
    }
}

/// Runs every operation [`REPEATS`] times.
pub fn run() {
    let (engine, [here, there]) = machine::<0>();
    enter(engine, here);
    for _ in 0..REPEATS {
        coherent_same_space(black_box(engine), black_box(here));
    }
    for measured in [coherent_loaded, coherent_will_load] {
        for _ in 0..REPEATS {
            measured(black_box(engine), black_box(there));
            enter(engine, here);
        }
    }
    for _ in 0..REPEATS {
        coherent_lazy_round(black_box(engine));
        coherent_local_flush(black_box(engine), black_box(here), page());
        coherent_gather(black_box(engine), black_box(here), page());
    }
    target(coherent_target_flush);
    target(coherent_target_gather);
    let (engine, [space, _]) = machine::<0>();
    for cpu in [0, 1] {
        engine.platform().machine().play(cpu);
        enter(engine, space);
    }
    for _ in 0..REPEATS {
        engine.platform().machine().play(1);
        let pending = engine.send(space, FlushRequest::pages(page()));
        engine.platform().machine().play(0);
        coherent_handler(black_box(engine));
        // The wait is over before it begins.
        engine.platform().machine().play(1);
        pending.finish();
    }
}
