//! A count says whether any device of a domain has a TLB of its own; a device is counted after its TLB was switched on.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{InvalidationQueue, Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-cdb8a3c3-ats-count",
    id: "A18",
    source: "cdb8a3c34635, and the patch of 2019-08-15 that it replaces",
    year: 2019,
    title: "iommu/arm-smmu-v3: Avoid locking on invalidation path when not using ATS",
    arch: "arm64 (SMMUv3)",
    rules: &[1, 2],
    about: "An unmap skips the devices' TLBs where none is counted; a device that is being attached has its TLB on \
            before it is counted.",
    ends: "device 3 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "seed",
    argued: &[(
        "linux_cdb8a3c3.rs: fence(SeqCst)",
        "the IOMMU's flush is as much of a barrier here, and the unmap reads its answer; the driver's IOMMU takes no part in the order of its CPUs",
    )],
    ..Bug::race(Memory::Pso, Count::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const IOMMU: usize = 2;
const DEVICE: usize = 3;
const COMMANDS: u8 = 0;

/// CPU 0 unmaps a page of a domain. CPU 1 attaches a device to it, whose accesses the IOMMU translates already.
#[derive(Debug)]
pub(crate) struct Count {
    variant: Variant,
    machine: Machine,
    /// Devices of the domain that have a TLB of their own.
    with_tlb: Word,
    queue: InvalidationQueue,
}

impl Count {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(4)
            .own_page(SPACE, 0, 1)
            .device(DEVICE, IOMMU)
            .ats_off(DEVICE)
            .start(IOMMU, SPACE, TAG, true)
            .start(DEVICE, SPACE, TAG, true)
            .must_free_frame(1);
        let queue = InvalidationQueue::new(IOMMU, COMMANDS);
        machine.runs(|machine| Self { variant, machine, with_tlb: Word::new("domain.with_tlb", 0), queue })
    }

    fn unmap(&self) {
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        self.invalidate(IOMMU);
        if self.variant == Variant::Fixed {
            sync::fence(SeqCst);
        }
        if self.with_tlb.load(Relaxed) != 0 {
            self.invalidate(DEVICE);
        }
        hw::free_frame(1);
    }

    fn attach(&self) {
        if self.variant == Variant::Broken {
            hw::ats(DEVICE, true);
            self.with_tlb.fetch_add(1, Relaxed);
        } else {
            self.with_tlb.fetch_add(1, Relaxed);
            // The write that switches it on is to a device, and has a barrier before it.
            sync::fence(SeqCst);
            hw::ats(DEVICE, true);
        }
    }

    fn invalidate(&self, whom: usize) {
        let page = Which::Page(0, WalkCache::Drop);
        self.queue.wait(self.queue.submit(whom, Whose::Tag(TAG), page));
    }
}

impl Program for Count {
    fn main(&self, cpu: usize) {
        match cpu {
            0 => {
                sync::note("unmap page 0");
                self.unmap();
            }
            1 => {
                sync::note("attach the device");
                self.attach();
            }
            _ => {}
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
