//! CPUs that go off line, that flush with interrupts off, and that miss an IPI.

use super::helper;
use super::workers::{Random, Worker, pause, process};
use crate::canary::Canary;
use crate::findings::{self, Finding};
use crate::frames::{Frame, next_epoch};
use crate::machine::{ENGINE, masked};
use crate::paging::kernel_window_entry;
use crate::platform::LOST_IPIS;
use crate::sched::{Flow, Task, breathe, cycle, spawn};
use crate::space::Process;
use crate::window::KERNEL_WINDOW;
use crate::{arch, sched};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use shootdown::flush::{FlushRequest, PageRange, VirtAddr};

const PAGES: u8 = 16;
/// Whose canary the page of the kernel's window carries.
const KERNEL_BRAND: u16 = Canary::OWNERS - 1;

/// The oldest epoch that a read of the kernel's window may meet.
static KERNEL_FLOOR: AtomicU32 = AtomicU32::new(0);

/// CPUs go off line and come back, while kernel memory changes.
pub fn hotplug(cpus: usize) {
    let process = process(PAGES);
    for n in 0..cpus - 1 {
        spawn(helper(cpus, n), Worker::reader(&process, PAGES, n + 500));
        spawn(helper(cpus, n), KernelReader);
        if n % 2 == 0 {
            spawn(helper(cpus, n), Plug);
        }
    }
    spawn(0, KernelRemap { frames: VecDeque::new(), process, random: Random::new(501) });
}

/// Reads the page of the kernel's window.
fn check_kernel() {
    let floor = KERNEL_FLOOR.load(Ordering::Acquire);
    let Some(found) = arch::load_user(KERNEL_WINDOW).map(Canary::unpack) else { return };
    if found.owner != KERNEL_BRAND || found.epoch < floor {
        findings::report(Finding::StaleRead { page: 0, owner: KERNEL_BRAND, floor, found });
    }
}

struct KernelReader;

impl Task for KernelReader {
    fn step(&mut self) -> Flow {
        (0..8).for_each(|_| check_kernel());
        Flow::Again
    }
}

/// Changes the page of the kernel's window, and user pages as well.
struct KernelRemap {
    /// What the page was, the latest last: given back late, so that the same frame does not come back at once.
    frames: VecDeque<Frame>,
    process: Arc<Process>,
    random: Random,
}

impl Task for KernelRemap {
    fn stop(&mut self) {
        unmap_kernel_window();
    }

    fn step(&mut self) -> Flow {
        unmap_kernel_window();
        let epoch = next_epoch();
        KERNEL_FLOOR.store(epoch, Ordering::Release);
        if self.frames.len() > 3 {
            drop(self.frames.pop_front());
        }
        self.process.space().remap(self.random.page(PAGES)).expect("a frame");
        let frame = Frame::page(KERNEL_BRAND, 0).expect("a frame");
        kernel_window_entry().store(arch::page_entry(frame.address(), true), Ordering::Release);
        arch::tables_written();
        self.frames.push_back(frame);
        pause(50, || false);
        cycle();
        Flow::Again
    }
}

fn unmap_kernel_window() {
    kernel_window_entry().store(0, Ordering::Release);
    let range = PageRange::page(VirtAddr(KERNEL_WINDOW));
    let number = findings::removed(None, range);
    ENGINE.flush_kernel(FlushRequest::pages(range));
    findings::reused(number);
}

/// Takes its CPU off line and brings it back.
struct Plug;

impl Task for Plug {
    fn step(&mut self) -> Flow {
        ENGINE.offline_cpu();
        // Stands for what an idle CPU's walker, or its firmware, may fill in by itself, which QEMU's does not.
        let _ = arch::load_user(KERNEL_WINDOW);
        let before = sched::cycles();
        pause(2000, || sched::cycles() > before + 1);
        ENGINE.online_cpu().expect("it was on line before");
        check_kernel();
        Flow::Again
    }
}

/// Each CPU runs one of two spaces and flushes the other, with interrupts off: they wait for each other, and must
/// handle each other's IPIs.
pub fn masked_flushers(cpus: usize) {
    let processes = [process(PAGES), process(PAGES)];
    for cpu in 0..cpus {
        let (home, other) = (&processes[cpu % 2], processes[(cpu + 1) % 2].clone());
        spawn(cpu, MaskedFlusher { home: home.clone(), other, random: Random::new(cpu as u64 + 510) });
        spawn(cpu, Worker::reader(home, PAGES, cpu + 520));
    }
}

struct MaskedFlusher {
    home: Arc<Process>,
    other: Arc<Process>,
    random: Random,
}

impl Task for MaskedFlusher {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.home.clone())
    }

    fn step(&mut self) -> Flow {
        let page = self.random.page(PAGES);
        let remap = || {
            // Others get as far as this, with interrupts off as well.
            breathe();
            self.other.space().remap(page)
        };
        masked(remap).expect("a frame");
        cycle();
        Flow::Again
    }
}

/// Interrupts between CPUs get lost, as they do if a handler handles the request before it clears the interrupt: the
/// waiter sends another.
pub fn lost_ipis(cpus: usize) {
    const ONE_IN: u64 = 100;
    LOST_IPIS.store(ONE_IN, Ordering::Relaxed);
    super::memory::remap(cpus);
    spawn(0, Heal);
}

/// Loses no more IPIs once the scenario is over.
struct Heal;

impl Task for Heal {
    fn stop(&mut self) {
        LOST_IPIS.store(0, Ordering::Relaxed);
    }

    fn step(&mut self) -> Flow {
        Flow::Again
    }
}
