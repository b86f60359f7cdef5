//! Ways to reach other CPUs, and what those besides the IPI share between CPUs.

use shootdown::CpuId;
use shootdown_explore::sync::Word;
use shootdown_machine::hw::{self, WalkCache};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// How a machine's flushes reach other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By IPIs alone.
    Ipis,
    /// By a broadcast, which answers done or not as it pleases.
    Broadcast,
    /// By a broadcast under tags, which is done wherever all CPUs run a space under one.
    TagBroadcast,
    /// By firmware, which flushes on one CPU of the mask after the other (SBI RFENCE).
    Firmware,
    /// By a hypervisor that knows spaces, and that may refuse midway (`HvCallFlushVirtualAddressList`).
    Hypercall,
    /// By IPIs, which virtual CPUs that do not run are spared: the hypervisor flushes when they run again
    /// (`KVM_VCPU_FLUSH_TLB`).
    Paravirtual,
    /// By tables of actions that hardware of the other CPUs carries out, interrupts off or not (Intel RAR).
    Actions,
    /// By IPIs or by broadcasts, whichever the machine is set to at the time.
    Switched,
}

/// What a hypervisor does for a virtual CPU that runs again and was to be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEntry {
    /// It flushes everything. Where there is code, what the CPU has fetched of that goes too.
    Everything,
    /// It leaves translations of kernel memory: a mistake.
    SpacesAlone,
    /// It leaves what was fetched of code: a mistake.
    TranslationsAlone,
}

/// Interrupt line by which hardware is told of actions.
pub(crate) const ACTION: u8 = 1;
/// Interrupt line at which the hypervisor takes a virtual CPU off.
pub(crate) const HOST: u8 = 2;

/// States of a virtual CPU, in a word that it shares with the hypervisor.
const RUNS: u64 = 0;
const PREEMPTED: u64 = 1;
const PREEMPTED_FLUSH: u64 = 3;

/// Action on everything; otherwise the page plus [`PAGE`], plus [`WALK`] if cached upper levels are dropped too.
pub(super) const ALL: u64 = 1;
pub(super) const PAGE: u64 = 2;
pub(super) const WALK: u64 = 16;

/// What transports share between CPUs.
#[derive(Debug)]
pub(crate) struct Wires {
    /// Per CPU: whether it runs.
    hosts: Vec<Word>,
    /// Per initiator and target: the action, 0 when done.
    pub(super) actions: Vec<Word>,
    /// 1 while broadcasts are used.
    pub(super) broadcasts: Word,
}

impl Wires {
    pub(crate) fn new(cpus: usize) -> Self {
        Self {
            hosts: (0..cpus).map(|_| Word::new("host", RUNS)).collect(),
            actions: (0..cpus * cpus).map(|_| Word::new("action", 0)).collect(),
            broadcasts: Word::new("broadcasts", 0),
        }
    }

    /// From now on broadcasts are used.
    pub(crate) fn use_broadcasts(&self) {
        self.broadcasts.store(1, Release);
    }

    /// Hardware of CPU `me` carries out what others have put into its table.
    pub(crate) fn act(&self, me: usize) {
        let cpus = self.hosts.len();
        for from in (0..cpus).filter(|&from| from != me) {
            let word = &self.actions[from * cpus + me];
            match word.load(Acquire) {
                0 => continue,
                ALL => hw::flush_user(),
                action => {
                    let walk = if action & WALK == 0 { WalkCache::Keep } else { WalkCache::Drop };
                    hw::flush_page(0, ((action & !WALK) - PAGE) as usize, walk);
                }
            }
            word.store(0, Release);
        }
    }

    /// The hypervisor takes CPU `me` off, and lets it run again some time later. `code` says whether CPUs fetch code
    /// that changes.
    pub(crate) fn preempt(&self, me: usize, on_entry: OnEntry, code: bool) {
        hw::running(false);
        self.hosts[me].swap(PREEMPTED, AcqRel);
        if self.hosts[me].swap(RUNS, AcqRel) == PREEMPTED_FLUSH {
            if on_entry == OnEntry::SpacesAlone {
                hw::flush_user();
            } else {
                hw::flush_all();
            }
            if code && on_entry == OnEntry::Everything {
                hw::synchronise_context();
            }
        }
        hw::running(true);
    }

    /// Has the hypervisor flush when `cpu` runs again, if it does not run.
    pub(crate) fn flush_on_entry(&self, cpu: CpuId) -> bool {
        let host = &self.hosts[cpu.index()];
        match host.load(Acquire) {
            PREEMPTED => host.compare_exchange(PREEMPTED, PREEMPTED_FLUSH, AcqRel, Acquire).is_ok(),
            state => state == PREEMPTED_FLUSH,
        }
    }

    /// Whether `cpu` may run without having flushed.
    pub(crate) fn needs_ack(&self, cpu: CpuId) -> bool {
        self.hosts[cpu.index()].load(Acquire) != PREEMPTED_FLUSH
    }
}
