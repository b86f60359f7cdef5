//! A driver of an IOMMU unmaps pages that a device has cached in a TLB of its own. The cases share this code; drivers
//! differ in what they invalidate, and in which order.

use core::sync::atomic::Ordering::AcqRel;
use shootdown_explore::{Registry, sync};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{InvalidationQueue, Machine, Model, Program};

/// What the driver invalidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The IOMMU's TLB.
    Iommu,
    /// The device's TLB, then the IOMMU's.
    DeviceFirst,
    /// The IOMMU's TLB, then the device's.
    IommuFirst,
}

/// What it takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// One page.
    Page,
    /// All that the device has, by its entry in the IOMMU's table.
    Everything,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const IOMMU: usize = 1;
const DEVICE: usize = 2;
const COMMANDS: u8 = 0;

/// CPU 0 runs the driver, CPU 1 is the IOMMU and CPU 2 the device.
#[derive(Debug)]
pub(crate) struct Ats {
    machine: Machine,
    takes: Takes,
    order: Order,
    queue: InvalidationQueue,
}

impl Ats {
    pub(crate) fn model(takes: Takes, order: Order) -> Model {
        let machine = Machine::builder(3)
            .own_page(SPACE, 0, 1)
            .device(DEVICE, IOMMU)
            .start(IOMMU, SPACE, TAG, true)
            .start(DEVICE, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { machine, takes, order, queue: InvalidationQueue::new(IOMMU, COMMANDS) })
    }

    fn take_away(&self) {
        let tables = &self.machine.tables;
        match self.takes {
            Takes::Page => tables.leaf(SPACE, 0).swap(0, AcqRel),
            Takes::Everything => tables.root(SPACE, 0).swap(0, AcqRel),
        };
        let whom: &[usize] = match self.order {
            Order::Iommu => &[IOMMU],
            Order::DeviceFirst => &[DEVICE, IOMMU],
            Order::IommuFirst => &[IOMMU, DEVICE],
        };
        whom.iter().for_each(|&whom| self.invalidate(whom));
        hw::free_frame(1);
    }

    fn invalidate(&self, whom: usize) {
        let which = match self.takes {
            Takes::Page => Which::Page(0, WalkCache::Drop),
            Takes::Everything => Which::All,
        };
        self.queue.wait(self.queue.submit(whom, Whose::Tag(TAG), which));
    }
}

impl Program for Ats {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("take translations away");
            self.take_away();
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
