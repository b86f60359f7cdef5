//! How the platform answers where a flush need not go by IPI.

use super::barrier::Barrier;
use super::pages::{pages, walk};
use super::sim::{Sim, TestMachine};
use super::wires::{ACTION, ALL, PAGE, Transport, WALK};
use shootdown::CpuId;
use shootdown::flush::{Remote, RemoteFlush};
use shootdown_explore::sync;
use shootdown_machine::HardwareOrder;
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use std::sync::atomic::Ordering::{AcqRel, Acquire};

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

/// That the tables are published the engine has seen to.
fn everywhere<S: TestMachine>(whose: Whose, what: &RemoteFlush<'_, Sim<S>>) {
    whichever(what, |which| hw::broadcast(whose, which));
    if S::ORDER == HardwareOrder::Barriers {
        Barrier::FlushComplete.issue();
    }
}

/// Calls `flush` with each page that is meant, or once for all.
fn whichever<S: TestMachine>(what: &RemoteFlush<'_, Sim<S>>, mut flush: impl FnMut(Which)) {
    match what.request.range() {
        Some(range) => pages(range).for_each(|page| flush(Which::Page(page, walk(what.request)))),
        None => flush(Which::All),
    }
}

/// The action that covers what is meant: a page, or everything where it takes more than one entry of the table.
fn action<S: TestMachine>(what: &RemoteFlush<'_, Sim<S>>) -> u64 {
    let walks = if walk(what.request) == WalkCache::Drop { WALK } else { 0 };
    match what.request.range() {
        Some(range) if range.count() == 1 => {
            pages(range).next().map_or(ALL, |page| PAGE + page as u64 + walks)
        }
        _ => ALL,
    }
}
