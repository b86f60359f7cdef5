//! Ways to reach other CPUs besides the IPI, as platforms provide them.

use super::sim::{Sim, TestMachine, pages, walk};
use crate::hw::{self, WalkCache, Which, Whose};
use shootdown::CpuId;
use shootdown::flush::{Remote, RemoteFlush, Scope};
use shootdown_explore::sync::{self, Word};
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

/// Interrupt line by which hardware is told of actions.
pub(crate) const ACTION: u8 = 1;
/// Interrupt line at which the hypervisor takes a virtual CPU off.
pub(crate) const HOST: u8 = 2;

/// States of a virtual CPU, in a word that it shares with the hypervisor.
const RUNS: u64 = 0;
const PREEMPTED: u64 = 1;
const PREEMPTED_FLUSH: u64 = 3;

/// Action on everything; else the page plus [`PAGE`], plus [`WALK`] where cached upper levels go too.
const ALL: u64 = 1;
const PAGE: u64 = 2;
const WALK: u64 = 16;

/// What transports share between CPUs.
#[derive(Debug)]
pub(crate) struct Wires {
    /// Per CPU: whether it runs.
    hosts: Vec<Word>,
    /// Per initiator and target: the action, 0 when done.
    actions: Vec<Word>,
    /// 1 while broadcasts are used.
    broadcasts: Word,
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

    /// The hypervisor takes CPU `me` off, and lets it run again some time later.
    pub(crate) fn preempt(&self, me: usize) {
        hw::running(false);
        self.hosts[me].swap(PREEMPTED, AcqRel);
        if self.hosts[me].swap(RUNS, AcqRel) == PREEMPTED_FLUSH {
            hw::flush_all();
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

impl<S: TestMachine> Sim<S> {
    /// What [`shootdown::Platform::flush_remote`] does on this machine.
    pub(crate) fn by_transport(&self, what: &RemoteFlush<'_, Self>) -> Remote {
        let whose = || what.space.map_or(Whose::Kernel, |space| Whose::Space(space.root()));
        match S::TRANSPORT {
            Transport::Ipis | Transport::Paravirtual => return Remote::NeedsIpi,
            Transport::TagBroadcast => match what.tag {
                Some(tag) => everywhere(Whose::Tag(tag.number() as u8), what),
                None => return Remote::NeedsIpi,
            },
            Transport::Broadcast if sync::choose(2) == 0 => return Remote::NeedsIpi,
            Transport::Switched if self.wires.broadcasts.load(Acquire) == 0 => return Remote::NeedsIpi,
            Transport::Broadcast | Transport::Switched => everywhere(whose(), what),
            Transport::Firmware => self.one_by_one(Whose::Tag(0), what),
            Transport::Hypercall => {
                self.one_by_one(whose(), what);
                if sync::choose(2) == 0 {
                    return Remote::NeedsIpi;
                }
            }
            Transport::Actions => self.by_actions(what),
        }
        Remote::Done
    }

    /// Flushes on each member of the mask, this CPU too if it is one.
    fn one_by_one(&self, whose: Whose, what: &RemoteFlush<'_, Self>) {
        what.for_each_target(|first, bits| {
            for cpu in targets(first, bits) {
                whichever(what, |which| hw::flush_on(cpu, whose, which));
            }
        });
    }

    /// Writes into the tables of all members of the mask but this CPU, flushes here, and waits for the hardware.
    fn by_actions(&self, what: &RemoteFlush<'_, Self>) {
        let (me, cpus) = (sync::cpu(), self.locals.len());
        let mut asked = 0;
        what.for_each_target(|first, bits| {
            for cpu in targets(first, bits).filter(|&cpu| cpu != me) {
                self.wires.actions[me * cpus + cpu].swap(action(what), AcqRel);
                sync::raise(cpu, ACTION);
                asked |= 1 << cpu;
            }
        });
        whichever(what, |which| match which {
            Which::All => hw::flush_user(),
            Which::Page(page, walk) => hw::flush_page(0, page, walk),
        });
        for cpu in targets(CpuId::new(0), asked) {
            sync::wait_until(|| self.wires.actions[me * cpus + cpu].load(Acquire) == 0);
        }
    }
}

fn targets(first: CpuId, bits: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| first.index() + bit)
}

fn everywhere<S: TestMachine>(whose: Whose, what: &RemoteFlush<'_, Sim<S>>) {
    whichever(what, |which| hw::broadcast(whose, which));
}

/// Calls `flush` with each page that is meant, or once for all.
fn whichever<S: TestMachine>(what: &RemoteFlush<'_, Sim<S>>, mut flush: impl FnMut(Which)) {
    match what.scope {
        Scope::Pages(range) => pages(range).for_each(|page| flush(Which::Page(page, walk(what.tables)))),
        Scope::All => flush(Which::All),
    }
}

/// The action that covers what is meant: a page, or everything where it takes more than one entry of the table.
fn action<S: TestMachine>(what: &RemoteFlush<'_, Sim<S>>) -> u64 {
    let walks = if walk(what.tables) == WalkCache::Drop { WALK } else { 0 };
    match what.scope {
        Scope::Pages(range) if range.count() == 1 => {
            pages(range).next().map_or(ALL, |page| PAGE + page as u64 + walks)
        }
        Scope::Pages(_) | Scope::All => ALL,
    }
}
