//! Devices with a TLB of their own (PCIe ATS), and the queue by which an IOMMU is told to invalidate.
//!
//! A device asks its IOMMU for translations and keeps them; from then on it sends addresses that nobody translates. The
//! IOMMU answers out of its own TLB, so what is stale there comes to a device whose TLB was invalidated before. The
//! IOMMU and the device are CPUs of the machine: each has a root loaded and is in user mode, as both translate accesses
//! at any moment.
//!
//! An IOMMU executes commands from memory. Those that it has fetched complete in any order; to wait for them is a
//! command, too (VT-d's wait descriptor, the SMMU's `CMD_SYNC`, AMD's `COMPLETION_WAIT`, RISC-V's `IOFENCE.C`).

use crate::config::Builder;
use crate::hw::{Op, Which, Whose};
use crate::machine::Machine;
use crate::state::Local;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shootdown_explore::Registry;
use shootdown_explore::sync::{self, Word};

impl Builder {
    /// Makes CPU `device` a device that gets its translations from CPU `iommu` and walks nothing. Both run no code but
    /// what the IOMMU's [queue](InvalidationQueue) has it run.
    pub fn device(mut self, device: usize, iommu: usize) -> Self {
        let known = |cpu| cpu < self.cpus;
        assert!(known(device) && known(iommu) && device != iommu, "a device and its IOMMU are two CPUs");
        self.iommus[device] = Some(iommu as u8);
        self
    }

    /// Makes CPU `iommu` an IOMMU that walks the page tables of CPUs (shared virtual addressing). It is in no mask, and
    /// runs no code but what its queue has it run.
    pub fn iommu(mut self, iommu: usize) -> Self {
        assert!(iommu < self.cpus, "an IOMMU is one of the CPUs");
        self.sharing |= 1 << iommu;
        self
    }

    /// Has `device` start with its own TLB switched off; [`crate::hw::ats`] switches it on.
    pub fn ats_off(mut self, device: usize) -> Self {
        self.locals[device].set_ats(false);
        self
    }
}

impl Machine {
    /// Whether `cpu` is a device.
    pub(crate) fn is_device(&self, cpu: usize) -> bool {
        self.config.iommus[cpu].is_some()
    }

    /// Whether `cpu` is an IOMMU.
    pub(crate) fn is_iommu(&self, cpu: usize) -> bool {
        self.config.sharing >> cpu & 1 != 0 || self.config.iommus.contains(&Some(cpu as u8))
    }

    /// What messages call `cpu`.
    pub(crate) fn who(&self, cpu: usize) -> String {
        let what = match () {
            () if self.is_device(cpu) => "device",
            () if self.is_iommu(cpu) => "IOMMU",
            () => "CPU",
        };
        format!("{what} {cpu}")
    }

    /// Lets devices hold what their IOMMU may answer; returns whether that was news to one.
    pub(crate) fn answer_devices(&self, locals: &mut [Local]) -> bool {
        let mut news = false;
        for (device, iommu) in self.config.iommus.iter().enumerate() {
            let Some(iommu) = iommu.filter(|_| locals[device].ats()) else { continue };
            let tag = usize::from(locals[device].tag);
            let answers = locals[usize::from(iommu)].tlb[tag];
            for (held, answer) in locals[device].tlb[tag].iter_mut().zip(answers) {
                news |= answer & !*held != 0;
                *held |= answer;
            }
        }
        news
    }

    /// Switches the TLB of a device on or off; off means empty.
    pub(crate) fn switch_ats(local: &mut Local, on: bool) {
        local.set_ats(on);
        if !on {
            local.drop_user();
        }
    }
}

/// Commands at a time.
const SLOTS: usize = 3;

/// A command that was submitted.
#[derive(Clone, Copy, Debug)]
#[must_use = "what it drops may be held until it is waited for"]
pub struct Submitted {
    slot: usize,
    command: u64,
}

/// The commands of an IOMMU, in memory. Its CPU has an interrupt for "there are some", whose handler is
/// [`execute`](Self::execute).
#[derive(Debug)]
pub struct InvalidationQueue {
    iommu: usize,
    line: u8,
    /// Commands that are not complete; 0 is none.
    slots: [Word; SLOTS],
}

impl InvalidationQueue {
    /// An empty queue of CPU `iommu`, which is told of commands by interrupt `line`.
    pub fn new(iommu: usize, line: u8) -> Self {
        Self { iommu, line, slots: std::array::from_fn(|_| Word::new("command", 0)) }
    }

    /// Has `whom`, the IOMMU itself or a device, drop translations. Returns at once.
    ///
    /// # Panics
    /// If there are too many commands that are not complete.
    pub fn submit(&self, whom: usize, whose: Whose, which: Which) -> Submitted {
        let command = Op::FlushOn { cpu: whom, whose, which }.encode();
        // Locked operations, so that the IOMMU finds the command that it is told of: drivers have a barrier before the register.
        let taken = |slot: &Word| slot.compare_exchange(0, command, AcqRel, Relaxed).is_ok();
        let slot = self.slots.iter().position(taken).expect("no slot is free: wait for what was submitted");
        sync::raise(self.iommu, self.line);
        Submitted { slot, command }
    }

    /// Waits until a command is complete.
    pub fn wait(&self, submitted: Submitted) {
        sync::wait_until(|| self.slots[submitted.slot].load(Acquire) != submitted.command);
    }

    /// Executes what was submitted, in any order: what the IOMMU does.
    pub fn execute(&self) {
        loop {
            let pending = self.slots.iter().filter(|slot| slot.load(Acquire) != 0);
            let pending: Vec<&Word> = pending.collect();
            let Some(last) = pending.len().checked_sub(1) else { return };
            let slot = pending[usize::from(sync::choose(last as u8 + 1))];
            sync::device(slot.load(Acquire));
            slot.store(0, Release);
        }
    }

    /// Names the words.
    pub fn register(&self, registry: &mut Registry) {
        registry.array("queue", &self.slots);
    }
}
