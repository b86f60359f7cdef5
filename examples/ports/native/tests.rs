//! The platforms on ports that do nothing, on one CPU: what is compiled for the doctor works as it ships.

extern crate std;

use crate::toy_kernel::Kernel;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::Shootdown;
use shootdown::flush::{Levels, PageRange, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::ports::{Entries, Portable, Ports};
use std::boxed::Box;

/// A machine of one CPU that counts.
#[derive(Default)]
struct Counts {
    dropped: AtomicU64,
    root: AtomicU64,
    freed: AtomicU64,
}

impl Ports for &'static Counts {
    fn this_cpu(&self) -> u32 {
        0
    }
    fn interrupts_off(&self) -> bool {
        true
    }
    fn interrupts_on(&self) {}
    fn order_before_interrupt(&self) {}
    fn send_interrupt(&self, _: u32) {}
    fn publish_tables(&self) {}
    fn kernel_root(&self) -> u64 {
        0x1000
    }
    fn write_root(&self, root: u64, _: u16, _: Entries) {
        self.root.store(root, Ordering::Relaxed);
    }
    fn drop_page(&self, _: u16, address: u64, _: Levels) {
        self.dropped.store(address, Ordering::Relaxed);
    }
    fn drop_tag(&self, _: u16) {}
    fn drop_kernel_page(&self, _: u64, _: Levels) {}
    fn drop_all(&self) {}
    fn complete(&self) {}
    fn free_root(&self, root: u64) {
        self.freed.store(root, Ordering::Relaxed);
    }
}

#[test]
fn a_space_lives_and_dies_on_the_platform_as_it_ships() {
    let counts: &'static Counts = Box::leak(Box::default());
    let room = Box::leak(Box::new(Kernel::<&'static Counts>::room()));
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(Kernel::new(counts, room), CpuMask::new())));
    engine.online_cpu().expect("a CPU that fits");
    let space = Box::leak(Box::new(engine.new_space(0x2000, CpuMask::new()).expect("a mask that fits")));
    let user = engine.register(space).map_err(|(refused, _)| refused).expect("a new space");
    engine.switch_to(&user);
    assert_eq!(counts.root.load(Ordering::Relaxed), 0x2000);
    let mut gather = engine.gather::<u64, 1>(&user);
    gather.unmapped(PageRange::page(VirtAddr(0x5000)), 7).expect("room for one");
    gather.finish();
    assert_eq!(counts.dropped.load(Ordering::Relaxed), 0x5000);
    engine.enter_lazy();
    drop(user);
    let deferred = engine.platform().deferred().expect("the teardown was kept");
    engine.teardown_from_handle(deferred).finish();
    assert_eq!(counts.root.load(Ordering::Relaxed), 0x1000);
    assert_eq!(counts.freed.load(Ordering::Relaxed), 0x2000);
}
