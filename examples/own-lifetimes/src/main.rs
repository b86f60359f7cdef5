//! A kernel that counts references to its spaces by `Arc`, and isolates page tables: each space has two roots, one for
//! the kernel and one for user mode, under two tags. It loads both itself; the engine has no say in it.

mod platform;

use example_layers::{CPUS, Machine, page};
use platform::{Hardware, USER_HALF};
use shootdown::coherence::Rootless;
use shootdown::flush::Retired;
use shootdown::mask::CpuMask;
use shootdown::ports::{Entries, Ports as _};
use shootdown::tags::{OnInstall, PerCpuSlots};
use shootdown::{AddressSpace, CpuLocal, Shootdown};
use std::sync::Arc;

const PAGE: u64 = 0x4000;

type Platform = Rootless<Hardware<&'static Machine>, CpuMask<1>, PerCpuSlots<6>>;

static MACHINE: Machine = Machine::new(handle_ipi);
static CPU_LOCALS: [CpuLocal; CPUS] = [const { CpuLocal::new() }; CPUS];
static ENGINE: Shootdown<Platform> = Shootdown::new(
    Rootless::tagged(Hardware { ports: &MACHINE, cpus: &CPU_LOCALS }, PerCpuSlots),
    CpuMask::new(),
);

fn handle_ipi() {
    // SAFETY: 1. interrupts are off in the handler; 2. it comes where they were on.
    unsafe { ENGINE.handle_ipi() };
}

/// An address space of this kernel.
struct Mm {
    space: AddressSpace<Platform>,
    kernel_root: u64,
    user_root: u64,
}

impl Mm {
    fn new(root: u64) -> Arc<Self> {
        let space = ENGINE.new_space(root, CpuMask::new()).expect("the masks are equally large");
        Arc::new(Self { space, kernel_root: root, user_root: root + 0x1000 })
    }
}

impl Drop for Mm {
    /// No thread is left; CPUs that are lazy on the space are evicted before its memory goes.
    fn drop(&mut self) {
        ENGINE.retire(&self.space);
    }
}

/// Runs the calling CPU in `next`: the kernel's half is loaded at once, that of user mode on the way there.
fn switch_mm(next: &Arc<Mm>) {
    let entry = ENGINE.enter(&next.space);
    let tag = entry.tag().number();
    let entries = match entry.how() {
        OnInstall::Keep => Entries::Kept,
        OnInstall::Flush => Entries::Dropped,
    };
    (&MACHINE).write_root(next.kernel_root, tag, entries);
    if entries == Entries::Dropped {
        (&MACHINE).drop_tag(tag | USER_HALF);
    }
    // SAFETY: 1. and 2. that was just done; 3. `Mm::drop` retires the space, and an `Arc` does not move it;
    // 4. nothing else was called.
    unsafe { entry.loaded() };
    (&MACHINE).write_root(next.user_root, tag | USER_HALF, Entries::Kept);
}

/// Unmaps a page where nobody can wait; the frame goes into a queue.
fn drop_mapping(mm: &Mm, queue: &mut Retired<'_, Platform, u64, 8>) {
    let mut gather = ENGINE.gather::<u64, 1>(&mm.space);
    MACHINE.set(mm.kernel_root, PAGE, None);
    if let Some(frame) = MACHINE.set(mm.user_root, PAGE, None) {
        assert!(gather.unmapped(page(PAGE), frame).is_ok(), "there is room for one");
    }
    if let Err((_, pending)) = gather.send().retire_into(queue) {
        pending.finish();
    }
}

fn main() {
    MACHINE.on_each(|| ENGINE.online_cpu().expect("four fit"));
    let mm = Mm::new(0x10_0000);
    for root in [mm.kernel_root, mm.user_root] {
        MACHINE.set(root, PAGE, Some(7));
    }
    for cpu in [0, 1] {
        MACHINE.on(cpu, || switch_mm(&mm));
        assert_eq!(MACHINE.on(cpu, || MACHINE.read(PAGE)), Some(7));
    }
    let mut queue = Retired::new(&ENGINE);
    drop_mapping(&mm, &mut queue);
    assert_eq!(MACHINE.on(1, || MACHINE.read(PAGE)), None, "CPU 1 was told");
    let mut freed = Vec::new();
    queue.reclaim(|frame| freed.push(frame));

    // Both threads exit; CPU 1 stays lazy on the space until its last reference goes on CPU 0.
    (0..2).for_each(|cpu| MACHINE.on(cpu, || ENGINE.enter_lazy()));
    assert_ne!(MACHINE.on(1, || MACHINE.root()), 0);
    drop(mm);
    assert_eq!([0, 1].map(|cpu| MACHINE.on(cpu, || MACHINE.root())), [0, 0], "both have left");
    println!("frames {freed:?} came back, and no CPU has a root of the space that is gone");
}

#[test]
fn no_cpu_reads_or_has_loaded_what_is_gone() {
    main();
}
