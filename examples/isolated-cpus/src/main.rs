//! A preemptible kernel with isolated CPUs (Linux: `nohz_full`), which run one thread each in user mode and must not be interrupted.
//! Flushes of kernel memory are deferred: housekeeping CPUs find them at their ticks, isolated ones as they come into the kernel,
//! before they touch anything that can be unmapped. Frames and addresses are reused when all have.

use example_layers::{CPUS, Machine, page};
use shootdown::coherence::{Coherence, Coherent, Rootless, SendIpis};
use shootdown::flush::{Deferral, LocalFlush, Retired};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::{CpuId, CpuLocal};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The CPU that is isolated.
const ISOLATED: u32 = 3;
const KERNEL_PAGE: u64 = 0xffff_8000_0000_0000;
/// The kernel's root, which every CPU has loaded.
const ROOT: u64 = 0;

struct Hardware {
    machine: Machine,
    /// Interrupts of the isolated CPU.
    disturbed: AtomicU32,
    /// Depth of `preempt_disable`.
    preemption: AtomicU32,
}

static ENGINE: Coherent<Hardware> = Coherent::new(
    Rootless::new(Hardware {
        machine: Machine::new(),
        disturbed: AtomicU32::new(0),
        preemption: AtomicU32::new(0),
    }),
    CpuMask::new(),
);

// SAFETY: one thread runs all CPUs in turn, and the machine does at once what it is told; no space is entered.
unsafe impl Coherence for Hardware {
    fn cpu(&self) -> CpuId {
        self.machine.cpu()
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.machine.locals[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.machine.flush(None, what.request);
    }
    fn preempt_disable() {
        ENGINE.platform().machine().preemption.fetch_add(1, Relaxed);
    }
    fn preempt_enable() {
        ENGINE.platform().machine().preemption.fetch_sub(1, Relaxed);
    }
}

// SAFETY: 1. each IPI is handled before the call returns.
unsafe impl SendIpis for Hardware {
    fn send_ipis(&self, cpus: CpuSet) {
        for cpu in cpus {
            self.disturbed.fetch_add(u32::from(cpu.number() == ISOLATED), Relaxed);
            // SAFETY: 1. nothing interrupts this program; 2. the target is in no call of the engine.
            self.machine.on(cpu.number(), || unsafe { ENGINE.handle_ipi() });
        }
    }
}

/// The first thing that runs on entry from user mode, and at each timer tick.
fn kernel_entry() {
    ENGINE.catch_up();
}

/// Unmaps a page of kernel memory (Linux: `vunmap`); its frame waits in the queue.
fn vunmap(machine: &Machine, queue: &mut Retired<'_, Rootless<Hardware>, u64, 8>, until: Deferral) {
    let mut gather = ENGINE.kernel().gather::<u64, 1>();
    if let Some(frame) = machine.set(ROOT, KERNEL_PAGE, None) {
        assert!(gather.unmapped(page(KERNEL_PAGE), frame).is_ok(), "there is room for one");
    }
    if let Err((_, gather)) = gather.defer_into(queue, until) {
        gather.finish();
    }
}

fn main() {
    let hardware = ENGINE.platform().machine();
    let machine = &hardware.machine;
    let each = |body: &dyn Fn()| (0..CPUS as u32).for_each(|cpu| machine.on(cpu, body));
    each(&|| ENGINE.online_cpu().expect("four fit"));
    let map = |frame| {
        machine.set(ROOT, KERNEL_PAGE, Some(frame));
        each(&|| assert_eq!(machine.read(KERNEL_PAGE), Some(frame), "a stale read"));
    };
    let mut queue = Retired::new(&ENGINE);
    let mut freed = Vec::new();

    map(7);
    vunmap(machine, &mut queue, Deferral::FOREVER);
    (0..ISOLATED).for_each(|cpu| machine.on(cpu, kernel_entry)); // ticks
    queue.reclaim(|frame| freed.push(frame));
    assert!(freed.is_empty(), "CPU {ISOLATED} is in user mode, and holds the translation");
    machine.on(ISOLATED, || {
        assert_eq!(machine.read(KERNEL_PAGE), Some(7), "as it would before it has caught up");
        kernel_entry(); // a system call
        assert_eq!(machine.read(KERNEL_PAGE), None);
    });
    queue.reclaim(|frame| freed.push(frame));
    assert_eq!((&freed[..], hardware.disturbed.load(Relaxed)), (&[7][..], 0));

    // Memory is short: the thread that needs the frame waits, and CPUs are interrupted after all.
    map(8);
    vunmap(machine, &mut queue, Deferral::FOREVER);
    queue.finish_with(|frame| freed.push(frame));
    map(9);
    assert_eq!((&freed[..], hardware.disturbed.load(Relaxed)), (&[7, 8][..], 1));
    assert_eq!(hardware.preemption.load(Relaxed), 0);
    println!("frames {freed:?} came back; CPU {ISOLATED} was interrupted once, by who could not wait");
}

#[test]
fn an_isolated_cpu_is_interrupted_by_who_waits_and_nobody_else() {
    main();
}
