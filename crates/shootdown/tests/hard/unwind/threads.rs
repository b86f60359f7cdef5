//! Two CPUs that are two threads: one answers a trim while the other unwinds from it.

use shootdown::flush::LocalFlush;
use shootdown::mask::{CpuMask, MaskStore, MaskWord, OnLeave};
use shootdown::refs::{Teardown, UserRef};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

thread_local! {
    static CPU: Cell<u32> = const { Cell::new(0) };
}

/// What the two threads tell each other.
#[derive(Default)]
struct Signals {
    /// CPU 1's handler looks for itself in the mask of the space.
    answers: AtomicBool,
    /// CPU 0 has met a callback that unwinds.
    unwinds: AtomicBool,
    /// It does so at this moment.
    inside: AtomicBool,
    armed: AtomicBool,
    ipis_sent: AtomicU32,
}

struct Machine {
    locals: [CpuLocal; 2],
    signals: &'static Signals,
}

struct Slow(CpuMask<1>, &'static Signals);

// SAFETY: 1. and 2. those of the field.
unsafe impl MaskStore for Slow {
    fn words(&self) -> &[MaskWord] {
        if CPU.get() == 1 && self.1.armed.load(SeqCst) {
            self.1.inside.store(true, SeqCst);
            self.1.answers.store(true, SeqCst);
            while !self.1.unwinds.load(SeqCst) {
                std::thread::yield_now();
            }
            // A CPU that does not wait goes on meanwhile.
            (0..if cfg!(miri) { 20 } else { 2000 }).for_each(|_| std::thread::yield_now());
            self.1.inside.store(false, SeqCst);
        }
        self.0.words()
    }
}

type Space = &'static AddressSpace<Machine>;

// SAFETY: 1. each thread is a CPU; 2. two fields; 3. a thread runs on its CPU alone, and nothing interrupts it; 4. there is
// no TLB; 5. CPU 1 handles the IPI when it is sent one; 6. never done.
unsafe impl Platform for Machine {
    type Root = u64;
    type Mask = Slow;
    type Handle = Space;
    type Tags = Untagged;
    type Pin = ();
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(CPU.get())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    fn tags(&self) -> &Untagged {
        &Untagged
    }
    unsafe fn flush_local(&self, _: LocalFlush) {}
    unsafe fn install(&self, _: Option<u64>, _: Tag, _: OnInstall) {}
    fn send_ipi(&self, _: CpuId) {
        self.signals.ipis_sent.fetch_add(1, SeqCst);
    }
    unsafe fn free_root(&self, _: Self::Handle) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        teardown.finish();
    }
    fn relax(&self, _: u64) {
        if CPU.get() == 0 && self.signals.answers.load(SeqCst) {
            self.signals.unwinds.store(true, SeqCst);
            resume_unwind(Box::new("CPU 0 unwinds"));
        }
        std::thread::yield_now();
    }
}

fn space(engine: &'static Shootdown<Machine>) -> UserRef<'static, Machine> {
    let mask = Slow(CpuMask::new(), engine.platform().signals);
    let space = engine.new_space(1, mask).expect("the masks are equally large");
    engine.register(Box::leak(Box::new(space))).map_err(|(refused, _)| refused).expect("it is new")
}

pub fn a_trim_unwinds_while_its_target_answers() {
    let signals: &'static Signals = Box::leak(Box::default());
    let machine = Machine { locals: [CpuLocal::new(), CpuLocal::new()], signals };
    let engine: &'static Shootdown<Machine> =
        Box::leak(Box::new(Shootdown::new(machine, Slow(CpuMask::new(), signals))));
    engine.online_cpu().expect("it fits");
    let (a, b) = (space(engine), space(engine));
    let target = || {
        CPU.set(1);
        engine.online_cpu().expect("it fits");
        engine.switch_to(&a);
        engine.switch_to(&b);
        signals.armed.store(true, SeqCst);
        while signals.ipis_sent.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        // SAFETY: 1. nothing interrupts this thread, which is CPU 1; 2. no call of the engine is at work on it.
        unsafe { engine.handle_ipi() };
        signals.armed.store(false, SeqCst);
        engine.enter_lazy();
        engine.leave();
    };
    std::thread::scope(|threads| {
        threads.spawn(target);
        while !signals.armed.load(SeqCst) {
            std::thread::yield_now();
        }
        let trim = catch_unwind(AssertUnwindSafe(|| engine.trim(&a)));
        assert!(trim.is_err(), "the target was answering");
        assert!(!signals.inside.load(SeqCst), "the space is in use by CPU 1");
    });
    a.put().expect("the only user").finish();
    b.put().expect("the only user").finish();
}
