//! A preemptible kernel with isolated CPUs (Linux: `nohz_full`), which run one thread each in user mode and must not be interrupted.
//! Flushes of kernel memory are deferred: housekeeping CPUs find them at their ticks, isolated ones as they come into the kernel,
//! before they touch anything that can be unmapped. Frames and addresses are reused when all have.

mod platform;

use example_layers::{CPUS, Machine, page};
use platform::{Hardware, PREEMPTION};
use shootdown::CpuLocal;
use shootdown::coherence::{Coherent, Rootless};
use shootdown::flush::{Deferral, Retired};
use shootdown::mask::CpuMask;
use std::sync::atomic::Ordering::Relaxed;

/// The CPU that is isolated.
const ISOLATED: u32 = 3;
const KERNEL_PAGE: u64 = 0xffff_8000_0000_0000;
/// The kernel's root, which every CPU has loaded.
const ROOT: u64 = 0;

static MACHINE: Machine = Machine::new(handle_ipi);
static CPU_LOCALS: [CpuLocal; CPUS] = [const { CpuLocal::new() }; CPUS];
static ENGINE: Coherent<Hardware<&'static Machine>> =
    Coherent::new(Rootless::new(Hardware { ports: &MACHINE, cpus: &CPU_LOCALS }), CpuMask::new());

fn handle_ipi() {
    // SAFETY: 1. interrupts are off in the handler; 2. it comes where they were on.
    unsafe { ENGINE.handle_ipi() };
}

/// The first thing that runs on entry from user mode, and at each timer tick.
fn kernel_entry() {
    ENGINE.catch_up();
}

/// Unmaps a page of kernel memory (Linux: `vunmap`); its frame waits in the queue.
fn vunmap(queue: &mut Retired<'_, Rootless<Hardware<&'static Machine>>, u64, 8>, until: Deferral) {
    let mut gather = ENGINE.kernel().gather::<u64, 1>();
    if let Some(frame) = MACHINE.set(ROOT, KERNEL_PAGE, None) {
        assert!(gather.unmapped(page(KERNEL_PAGE), frame).is_ok(), "there is room for one");
    }
    if let Err((_, gather)) = gather.defer_into(queue, until) {
        gather.finish();
    }
}

fn main() {
    MACHINE.on_each(|| ENGINE.online_cpu().expect("four fit"));
    let map = |frame| {
        MACHINE.set(ROOT, KERNEL_PAGE, Some(frame));
        MACHINE.on_each(|| assert_eq!(MACHINE.read(KERNEL_PAGE), Some(frame), "a stale read"));
    };
    let mut queue = Retired::new(&ENGINE);
    let mut freed = Vec::new();

    map(7);
    vunmap(&mut queue, Deferral::FOREVER);
    (0..ISOLATED).for_each(|cpu| MACHINE.on(cpu, kernel_entry)); // ticks
    queue.reclaim(|frame| freed.push(frame));
    assert!(freed.is_empty(), "CPU {ISOLATED} is in user mode, and holds the translation");
    MACHINE.on(ISOLATED, || {
        assert_eq!(MACHINE.read(KERNEL_PAGE), Some(7), "as it would before it has caught up");
        kernel_entry(); // a system call
        assert_eq!(MACHINE.read(KERNEL_PAGE), None);
    });
    queue.reclaim(|frame| freed.push(frame));
    assert_eq!((&freed[..], MACHINE.interrupts_taken(ISOLATED)), (&[7][..], 0));

    // Memory is short: the thread that needs the frame waits, and CPUs are interrupted after all.
    map(8);
    vunmap(&mut queue, Deferral::FOREVER);
    queue.finish_with(|frame| freed.push(frame));
    map(9);
    assert_eq!((&freed[..], MACHINE.interrupts_taken(ISOLATED)), (&[7, 8][..], 1));
    assert_eq!(PREEMPTION.load(Relaxed), 0);
    println!("frames {freed:?} came back; CPU {ISOLATED} was interrupted once, by who could not wait");
}

#[test]
fn an_isolated_cpu_is_interrupted_by_who_waits_and_nobody_else() {
    main();
}
