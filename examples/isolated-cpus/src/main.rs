//! A preemptible kernel with isolated CPUs (Linux: `nohz_full`), which run one thread each in user mode and must not be
//! interrupted. User code uses no kernel memory, so flushes of it neither interrupt such a CPU nor wait for it: it
//! flushes as it comes into the kernel, before it touches anything that can be unmapped.

mod platform;

use example_layers::{CPUS, Machine, page};
use platform::{Hardware, PREEMPTION};
use shootdown::CpuLocal;
use shootdown::coherence::{Coherent, Rootless};
use shootdown::flush::FlushRequest;
use shootdown::mask::CpuMask;
use shootdown::ports::Ports;
use std::sync::atomic::AtomicBool;
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
/// Whether a CPU runs user code: a kernel reads it from the registers that an interrupt has saved.
static IN_USER: [AtomicBool; CPUS] = [const { AtomicBool::new(false) }; CPUS];

/// The first thing that runs on every way into the kernel, with interrupts off. Says whether the CPU comes from user
/// mode.
fn kernel_entry() -> bool {
    // SAFETY: 1. interrupts are off here; 2. an interrupt finds no call of the engine under way, which have them off.
    unsafe { ENGINE.exit_user() };
    IN_USER[(&MACHINE).this_cpu() as usize].swap(false, Relaxed)
}

/// The last thing that runs on every way to user mode, with interrupts off.
fn kernel_exit() {
    IN_USER[(&MACHINE).this_cpu() as usize].store(true, Relaxed);
    // SAFETY: 1. interrupts are off; 2. every way in calls `kernel_entry`; 3. nothing that it uses is ever unmapped.
    unsafe { ENGINE.enter_user() };
}

fn handle_ipi() {
    let from_user = kernel_entry();
    // SAFETY: 1. interrupts are off in the handler; 2. it comes where they were on.
    unsafe { ENGINE.handle_ipi() };
    if from_user {
        kernel_exit();
    }
}

/// Runs what the thread of the isolated CPU does in the kernel, or on its way to user mode.
fn isolated<R>(body: impl FnOnce() -> R) -> R {
    MACHINE.on(ISOLATED, || {
        (&MACHINE).interrupts_off();
        let answer = body();
        (&MACHINE).interrupts_on();
        answer
    })
}

/// Maps a page of kernel memory, which CPUs that are in the kernel read.
fn map(frame: u64) {
    MACHINE.set(ROOT, KERNEL_PAGE, Some(frame));
    MACHINE.on_each(|| {
        if !IN_USER[(&MACHINE).this_cpu() as usize].load(Relaxed) {
            assert_eq!(MACHINE.read(KERNEL_PAGE), Some(frame), "a stale read");
        }
    });
}

/// Unmaps it (Linux: `vunmap`), and gives the frame back once no CPU can reach it.
fn vunmap(freed: &mut Vec<u64>) {
    let mut gather = ENGINE.kernel().gather::<u64, 1>();
    if let Some(frame) = MACHINE.set(ROOT, KERNEL_PAGE, None) {
        assert!(gather.unmapped(page(KERNEL_PAGE), frame).is_ok(), "there is room for one");
    }
    gather.send().finish_with(|frame| freed.push(frame));
}

fn main() {
    MACHINE.on_each(|| ENGINE.online_cpu().expect("four fit"));
    let interrupts = || [1, ISOLATED].map(|cpu| MACHINE.interrupts_taken(cpu));
    let mut freed = Vec::new();

    map(7);
    isolated(kernel_exit);
    vunmap(&mut freed);
    assert_eq!((&freed[..], interrupts()), (&[7][..], [1, 0]), "nobody waits for CPU {ISOLATED}");
    map(8);
    isolated(|| {
        assert_eq!(MACHINE.read(KERNEL_PAGE), Some(7), "as it would before it has caught up");
        assert!(kernel_entry()); // a system call
        assert_eq!(MACHINE.read(KERNEL_PAGE), Some(8));
    });

    // In the kernel it is a CPU like any other.
    vunmap(&mut freed);
    assert_eq!((&freed[..], interrupts()), (&[7, 8][..], [2, 1]));

    // The walker reads kernel tables whatever the mode: where those are freed, the CPU is interrupted, and goes back.
    isolated(kernel_exit);
    ENGINE.flush_kernel(FlushRequest::pages(page(KERNEL_PAGE)).tables_freed());
    assert_eq!(interrupts(), [3, 2]);
    map(9);
    vunmap(&mut freed);
    assert_eq!((&freed[..], interrupts()), (&[7, 8, 9][..], [4, 2]));
    assert_eq!(PREEMPTION.load(Relaxed), 0);
    println!(
        "frames {freed:?} came back; CPU {ISOLATED} was interrupted in the kernel, and once for freed tables"
    );
}

#[test]
fn an_isolated_cpu_in_user_mode_is_interrupted_for_freed_tables_alone() {
    main();
}
