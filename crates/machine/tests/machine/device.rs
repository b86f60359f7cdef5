//! Devices with a TLB of their own, and the queue of their IOMMU.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_explore::{Memory, Options, Registry, Verdict};
use shootdown_model::hw::{self, WalkCache, Which, Whose};
use shootdown_model::{Builder, InvalidationQueue, Machine, Program, Submitted, run};

const IOMMU: usize = 1;
const DEVICE: usize = 2;
const COMMANDS: u8 = 0;
const PAGE: Which = Which::Page(0, WalkCache::Drop);

type Main = fn(&Driver);

/// A driver on CPU 0.
#[derive(Debug)]
struct Driver {
    machine: Machine,
    queue: InvalidationQueue,
    main: Main,
}

impl Driver {
    fn clear(&self) {
        self.machine.tables.leaf(0, 0).store(0, Relaxed);
        sync::fence(SeqCst);
    }

    fn submit(&self, whom: usize) -> Submitted {
        self.queue.submit(whom, Whose::Tag(0), PAGE)
    }

    fn invalidate(&self, whom: usize) {
        self.queue.wait(self.submit(whom));
    }
}

impl Program for Driver {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            (self.main)(self);
        }
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (IOMMU, COMMANDS), "only the IOMMU is told of commands");
        self.queue.execute();
    }
    fn register(&self, registry: &mut Registry) {
        self.queue.register(registry);
    }
}

/// A device that uses page 0 of space A, which leads to frame 1.
fn device() -> Builder {
    let machine = Machine::builder(3).own_page(0, 0, 1).device(DEVICE, IOMMU);
    machine.start(IOMMU, 0, 0, true).start(DEVICE, 0, 0, true)
}

fn verdict(builder: Builder, main: Main) -> Verdict {
    let queue = InvalidationQueue::new(IOMMU, COMMANDS);
    let model = builder.runs(|machine| Driver { machine, queue, main });
    run(&model, &Options { memory: Memory::Tso, workers: 1, ..Options::default() }).verdict
}

#[track_caller]
fn breaks(builder: Builder, main: Main, who: &str) {
    let words = format!("{who} can still use page 0 of space A -> frame 1, which was freed (SD-8)");
    assert_eq!(verdict(builder, main), Verdict::Violates(words.as_str().into()));
}

#[test]
fn a_device_is_invalidated_after_its_iommu() {
    let in_order: Main = |driver| {
        driver.clear();
        driver.invalidate(IOMMU);
        driver.invalidate(DEVICE);
        hw::free_frame(1);
    };
    let device_first: Main = |driver| {
        driver.clear();
        driver.invalidate(DEVICE);
        driver.invalidate(IOMMU);
        hw::free_frame(1);
    };
    let at_once: Main = |driver| {
        driver.clear();
        let submitted = [IOMMU, DEVICE].map(|whom| driver.submit(whom));
        submitted.into_iter().for_each(|command| driver.queue.wait(command));
        hw::free_frame(1);
    };
    assert_eq!(verdict(device(), in_order), Verdict::Holds);
    breaks(device(), device_first, "device 2");
    breaks(device(), at_once, "device 2");
}

#[test]
fn who_submits_does_not_wait() {
    let no_wait: Main = |driver| {
        driver.clear();
        let _ = driver.submit(IOMMU);
        hw::free_frame(1);
    };
    breaks(device().ats_off(DEVICE), no_wait, "IOMMU 1");
}

#[test]
fn a_device_keeps_nothing_while_its_tlb_is_off() {
    let iommu_only: Main = |driver| {
        driver.clear();
        driver.invalidate(IOMMU);
        hw::free_frame(1);
    };
    let switched_off: Main = |driver| {
        hw::ats(DEVICE, false);
        driver.clear();
        driver.invalidate(IOMMU);
        hw::free_frame(1);
        hw::ats(DEVICE, true);
    };
    let switched_on: Main = |driver| {
        hw::ats(DEVICE, true);
        driver.clear();
        driver.invalidate(IOMMU);
        hw::free_frame(1);
    };
    assert_eq!(verdict(device().ats_off(DEVICE), iommu_only), Verdict::Holds);
    assert_eq!(verdict(device(), switched_off), Verdict::Holds);
    breaks(device(), iommu_only, "device 2");
    breaks(device().ats_off(DEVICE), switched_on, "device 2");
}

#[test]
fn a_device_has_no_use_for_the_kernel_s_pages_and_code() {
    let unmaps: Main = |driver| {
        driver.machine.tables.kernel(0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_kernel_page(0);
        hw::flush_on(IOMMU, Whose::Kernel, Which::Page(0, WalkCache::Drop));
        hw::free_frame(2);
    };
    let patches: Main = |driver| {
        driver.machine.tables.code(0).store(2, Relaxed);
        sync::fence(SeqCst);
        hw::synchronise_context();
        hw::obsolete(0, 1);
    };
    let pages = device().kernel_pages(1).translation(2, None, true).map_kernel(0, 2);
    assert_eq!(verdict(pages, unmaps), Verdict::Holds);
    assert_eq!(verdict(device().code(1), patches), Verdict::Holds);
}

#[test]
fn a_cpu_that_is_no_device_has_no_ats() {
    let misuse = "CPU 0: this machine cannot do this: ATS of device 1 on";
    let found = verdict(device(), |_| hw::ats(IOMMU, true));
    assert!(matches!(&found, Verdict::Misuses(words) if words.starts_with(misuse)), "{found:?}");
}
