//! Ways to reach other CPUs besides the IPI, on three CPUs.

use super::list::{List, Scenario, THREE};
use super::machines::{Broadcast, ByBroadcasts, machines};
use crate::engine::Start::{Lazy, User};
use crate::engine::{Everywhere, OnEntry, TestMachine, Transport};
use shootdown::tags::{GlobalOverLocal, Untagged};

const TRANSPORTS: &[&str] = &["three", "transports"];

machines! {
    /// Firmware flushes on the members of the mask.
    Firmware: Untagged {
        const TRANSPORT: Transport = Transport::Firmware;
    }

    /// A hypervisor does, or not.
    Hypercall: Untagged {
        const TRANSPORT: Transport = Transport::Hypercall;
    }

    /// Virtual CPUs that do not run are flushed when they do.
    Paravirtual: Untagged {
        const TRANSPORT: Transport = Transport::Paravirtual;
    }

    /// The same, where the hypervisor leaves translations of kernel memory.
    LeavesGlobals: Untagged {
        const TRANSPORT: Transport = Transport::Paravirtual;
        const ON_ENTRY: OnEntry = OnEntry::SpacesAlone;
    }

    /// Hardware of the targets does.
    Actions: Untagged {
        const TRANSPORT: Transport = Transport::Actions;
    }

    /// The machine changes from IPIs to broadcasts.
    Switched: Untagged {
        const TRANSPORT: Transport = Transport::Switched;
    }
}

pub(super) fn add(list: &mut List) {
    by_others(list);
    by_hardware(list);
    changing(list);
}

/// One unmaps, one comes and goes, one runs.
fn comes_and_goes<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    scenario
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| cpu.run_in_turn(&[0, 1]))
        .cpu(User(0), |_| {})
        .spaces(2, [1, 0])
}

fn by_others(list: &mut List) {
    comes_and_goes(list.scenario::<Firmware>("transport-firmware", TRANSPORTS))
        .about("firmware flushes on one member of the mask after the other while one joins and leaves")
        .add();
    comes_and_goes(list.scenario::<Hypercall>("transport-hypercall", TRANSPORTS))
        .about(
            "a hypervisor flushes on the members of the mask, or gives up midway, while one joins and leaves",
        )
        .add();
    list.scenario::<Paravirtual>("transport-paravirtual", TRANSPORTS)
        .about("virtual CPUs are taken off at any time, and flushed by the hypervisor instead of by an IPI")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Lazy(0), |cpu| cpu.run_in_turn(&[0]))
        .cpu(User(0), |_| {})
        .spaces(1, [1, 0])
        .preempted(&[1, 2])
        .add();
    kernel_memory(list.scenario::<Paravirtual>("paravirtual-kernel", &["two", "transports"]))
        .about("a kernel page is unmapped while the other virtual CPU is taken off at any time, and left to its entry")
        .add();
}

/// One unmaps a kernel page, and the other, which uses it, does not always run.
fn kernel_memory<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    scenario.cpu(User(0), |cpu| cpu.unmap_kernel(0)).cpu(User(0), |_| {}).kernel_pages(1).preempted(&[1])
}

/// A hypervisor that flushes less than `Platform::flush_on_entry` promises.
pub(super) fn mistakes(list: &mut List) {
    kernel_memory(list.scenario::<LeavesGlobals>("paravirtual-kernel-globals", &["two", "transports"]))
        .about("the same where the hypervisor leaves translations of kernel memory")
        .add();
}

fn by_hardware(list: &mut List) {
    list.scenario::<Actions>("transport-actions", TRANSPORTS)
        .about("hardware of the targets carries flushes out, interrupts off or not, for two at once")
        .cpu(User(0), |cpu| cpu.unmap_masked(0, 0))
        .cpu(User(0), |cpu| cpu.unmap(0, 1))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Broadcast>("broadcast-fallback", THREE)
        .about("a broadcast transport answers done, or not, as it pleases")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.unmap(0, 1))
        .cpu(User(0), |_| {})
        .add();
}

fn changing(list: &mut List) {
    list.scenario::<Switched>("transport-switched", TRANSPORTS)
        .about("the machine changes from IPIs to broadcasts while two threads unmap")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.unmap(0, 1))
        .cpu(User(0), |cpu| cpu.switch_transport())
        .add();
    list.scenario::<ByBroadcasts<GlobalOverLocal<Everywhere, 1>>>("transport-mixed", TRANSPORTS)
        .about(
            "a space moves from tags of each CPU to one for all, and from IPIs to broadcasts, under an unmap",
        )
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.share_tag(0))
        .cpu(User(0), |_| {})
        .add();
}
