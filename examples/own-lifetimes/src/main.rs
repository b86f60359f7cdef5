//! A kernel that counts references to its spaces by `Arc`, and isolates page tables: each space has two roots, one for the kernel
//! and one for user mode, under two tags. It loads both itself; the engine has no say in it.

use example_layers::{CPUS, Machine, page};
use shootdown::coherence::{Coherence, Rootless, SendIpis};
use shootdown::flush::{FlushRequest, LocalFlush, Retired};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::tags::{OnInstall, PerCpuSlots};
use shootdown::{AddressSpace, CpuId, CpuLocal, Shootdown};
use std::sync::Arc;

/// The bit of a tag that stands for the half of user mode (x86: PCID bit 11).
const USER_HALF: u16 = 0x800;
const PAGE: u64 = 0x4000;

struct Hardware(Machine);

/// Up to 64 CPUs, four tags each.
type Platform = Rootless<Hardware, CpuMask<1>, PerCpuSlots<4>>;

static ENGINE: Shootdown<Platform> =
    Shootdown::new(Rootless::tagged(Hardware(Machine::new()), PerCpuSlots), CpuMask::new());

// SAFETY: one thread runs all CPUs in turn, and the machine does at once what it is told; `unload` loads root 0.
unsafe impl Coherence for Hardware {
    fn cpu(&self) -> CpuId {
        self.0.cpu()
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.0.locals[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    unsafe fn flush_local(&self, what: LocalFlush) {
        let tag = what.tag.map(|tag| tag.number());
        self.0.flush(tag, what.request);
        if let Some(tag) = tag {
            self.0.flush(Some(tag | USER_HALF), what.request);
        }
    }
    unsafe fn unload(&self) {
        self.0.load_root(0, 0);
    }
}

// SAFETY: 1. each IPI is handled before the call returns.
unsafe impl SendIpis for Hardware {
    fn send_ipis(&self, cpus: CpuSet) {
        for cpu in cpus {
            // SAFETY: 1. nothing interrupts this program; 2. the target is in no call of the engine.
            self.0.on(cpu.number(), || unsafe { ENGINE.handle_ipi() });
        }
    }
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

fn machine() -> &'static Machine {
    &ENGINE.platform().machine().0
}

/// Runs the calling CPU in `next`: the kernel's half is loaded at once, that of user mode on the way there.
fn switch_mm(next: &Arc<Mm>) {
    let entry = ENGINE.enter(&next.space);
    let tag = entry.tag().number();
    machine().load_root(next.kernel_root, tag);
    if entry.how() == OnInstall::Flush {
        machine().flush(Some(tag), FlushRequest::all());
        machine().flush(Some(tag | USER_HALF), FlushRequest::all());
    }
    // SAFETY: 1. and 2. that was just done; 3. `Mm::drop` retires the space, and an `Arc` does not move it;
    // 4. nothing else was called.
    unsafe { entry.loaded() };
    machine().load_root(next.user_root, tag | USER_HALF);
}

/// Unmaps a page where nobody can wait; the frame goes into a queue.
fn drop_mapping(mm: &Mm, queue: &mut Retired<'_, Platform, u64, 8>) {
    let mut gather = ENGINE.gather::<u64, 1>(&mm.space);
    machine().set(mm.kernel_root, PAGE, None);
    if let Some(frame) = machine().set(mm.user_root, PAGE, None) {
        assert!(gather.unmapped(page(PAGE), frame).is_ok(), "there is room for one");
    }
    if let Err((_, pending)) = gather.send().retire_into(queue) {
        pending.finish();
    }
}

fn main() {
    (0..CPUS as u32).for_each(|cpu| machine().on(cpu, || ENGINE.online_cpu().expect("four fit")));
    let mm = Mm::new(0x10_0000);
    for root in [mm.kernel_root, mm.user_root] {
        machine().set(root, PAGE, Some(7));
    }
    for cpu in [0, 1] {
        machine().on(cpu, || switch_mm(&mm));
        assert_eq!(machine().on(cpu, || machine().read(PAGE)), Some(7));
    }
    let mut queue = Retired::new(&ENGINE);
    drop_mapping(&mm, &mut queue);
    assert_eq!(machine().on(1, || machine().read(PAGE)), None, "CPU 1 was told");
    let mut freed = Vec::new();
    queue.reclaim(|frame| freed.push(frame));

    // Both threads exit; CPU 1 stays lazy on the space until its last reference goes on CPU 0.
    (0..2).for_each(|cpu| machine().on(cpu, || ENGINE.enter_lazy()));
    assert_ne!(machine().on(1, || machine().root()), 0);
    drop(mm);
    assert_eq!([0, 1].map(|cpu| machine().on(cpu, || machine().root())), [0, 0], "both have left");
    println!("frames {freed:?} came back, and no CPU has a root of the space that is gone");
}

#[test]
fn no_cpu_reads_or_has_loaded_what_is_gone() {
    main();
}
