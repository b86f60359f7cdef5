//! Named scenarios on 2, 3 and 4 CPUs.

mod clients;
mod four;
mod gathers;
mod hard;
mod hotplug;
mod kernel;
mod migration;
mod tags;
mod three;
mod three_more;
mod transports;
mod two;
mod warm;
mod wide;

use super::catalog::{Entry, List};
use super::sim::TestMachine;
use super::transport::Transport;
use super::world::{Code, Plan, Start};
use shootdown::mask::OnLeave;
use shootdown::tags::{PerCpuSlots, Untagged};
use shootdown_explore::Memory::{self, Pso, Tso};

/// No tags, exact masks.
pub(crate) struct Plain;
impl TestMachine for Plain {
    type Tags = Untagged;
}

/// No tags, bits stay until trimmed.
pub(crate) struct Keep;
impl TestMachine for Keep {
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
}

/// Two tags a CPU.
pub(crate) struct Tagged;
impl TestMachine for Tagged {
    type Tags = PerCpuSlots<2>;
    const TAGS: usize = 2;
}

/// One tag a CPU: every switch reuses it.
pub(crate) struct OneTag;
impl TestMachine for OneTag {
    type Tags = PerCpuSlots<1>;
    const TAGS: usize = 1;
}

/// A broadcast that may answer "done" or not.
pub(crate) struct Broadcast;
impl TestMachine for Broadcast {
    type Tags = Untagged;
    const TRANSPORT: Transport = Transport::Broadcast;
}

/// A ceiling of one page: two pages are a full flush.
pub(crate) struct LowCeiling;
impl TestMachine for LowCeiling {
    type Tags = PerCpuSlots<2>;
    const TAGS: usize = 2;
    const CEILING: u64 = 1;
}

const BOTH: &[Memory] = &[Tso, Pso];

fn plan<S: TestMachine>(cpus: Vec<(Start, Code<S>)>) -> Plan<S> {
    Plan {
        cpus,
        spaces: 1,
        sleepers: [0; 2],
        pins: [0; 2],
        die: &[],
        tables: 1,
        kernel_pages: 0,
        kernel_table: false,
        acknowledged: false,
        resets: false,
        contested: false,
        context: 0,
        preempted: &[],
        missing: false,
    }
}

fn named<'a>(
    name: &'a str,
    groups: &'static [&'static str],
    memories: &'a [Memory],
    about: &'a str,
) -> Entry<'a> {
    Entry { name, about, memories, groups, deep: false }
}

pub(crate) fn add(list: &mut List) {
    two::add(list);
    clients::add(list);
    three::add(list);
    three_more::add(list);
    four::add(list);
    tags::add(list);
    transports::add(list);
    hard::add(list);
    wide::add(list);
    kernel::add(list);
    hotplug::add(list);
    migration::add(list);
    gathers::add(list);
    warm::add(list);
}
