//! The shipped engine, with threads as CPUs that poll their IPI flags.

use super::rivals::Threads;
use super::way::Way;
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::{Teardown, UserRef};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static CPU: Cell<u32> = const { Cell::new(0) };
}

/// A machine whose TLB instructions do nothing: what is timed is the protocol.
struct Host {
    locals: Vec<CpuLocal>,
    ipi_flags: Vec<AtomicBool>,
}

// SAFETY: 1. each thread has a number of its own; 2. `locals` never changes; 3. a thread calls `handle_ipi` between
// operations only, and never moves; 4. there is no TLB; 5. an IPI flag stays set until its thread, which polls it, has seen
// it; 6. `flush_remote` is the default.
unsafe impl Platform for Host {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = Untagged;
    type Pin = ();

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
    fn send_ipi(&self, cpu: CpuId) {
        self.ipi_flags[cpu.index()].store(true, Ordering::Release);
    }
    unsafe fn free_root(&self, _: Self::Handle) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let _ = teardown.into_handle();
    }
    fn relax(&self, polls: u64) {
        if polls % 64 == 0 {
            std::thread::yield_now();
        }
    }
}

struct Engine {
    engine: &'static Shootdown<Host>,
    space: UserRef<'static, Host>,
}

impl Way for Engine {
    fn name(&self) -> &'static str {
        "engine"
    }
    fn flush(&mut self) {
        self.engine.flush(&self.space, FlushRequest::pages(PageRange::page(VirtAddr(0x1000))));
    }
}

/// Starts `sharers` threads that run one space with the caller.
pub(super) fn engine(sharers: usize) -> (Box<dyn Way>, Threads) {
    let locals = (0..=sharers).map(|_| CpuLocal::new()).collect();
    let ipi_flags = (0..=sharers).map(|_| AtomicBool::new(false)).collect();
    // Threads that may outlive the caller's frame use it.
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(Host { locals, ipi_flags }, CpuMask::new())));
    engine.online_cpu().expect("the mask has room");
    let space = engine.new_space(0, CpuMask::new()).expect("both masks are as wide");
    let space =
        engine.register(Box::leak(Box::new(space))).map_err(|(refused, _)| refused).expect("it is new");
    engine.switch_to(&space);
    let threads = Threads::start(sharers, |index| {
        let mine = space.clone();
        let cpu = index as u32 + 1;
        (
            Box::new(move || {
                CPU.set(cpu);
                engine.online_cpu().expect("the mask has room");
                engine.switch_to(&mine);
            }),
            Box::new(move || {
                if engine.platform().ipi_flags[cpu as usize].swap(false, Ordering::Acquire) {
                    // SAFETY: 1. nothing interrupts a thread; 2. it is at no call of the engine.
                    unsafe { engine.handle_ipi() };
                }
            }),
        )
    });
    (Box::new(Engine { engine, space }), threads)
}
