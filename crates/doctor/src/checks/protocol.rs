//! Several CPUs, and the engine between them.

use super::check::{
    Check, NO_ANSWER, no_barriers, no_borrows, no_entry, no_ipis, no_loads, no_sets, requests,
};
use crate::cpu::Cpu;
use crate::plan::{Code, Plan, Start};
use crate::sim::Profile;
use crate::world::{PlatformUnderTest, note};
use shootdown_explore::Memory::{self, Pso, Sc, Tso};
use shootdown_explore::sync;
use shootdown_machine::hw;
use std::sync::atomic::Ordering::Release;

const ALL: &[Memory] = &[Sc, Tso, Pso];
const HANDLED: &str =
    "makes the target call [`Shootdown::handle_ipi`](crate::Shootdown::handle_ipi) soon, with interrupts off";
const SOUND: &str = "A machine: CPUs, interrupts, TLB instructions.";

pub(super) fn checks<P: PlatformUnderTest>() -> Vec<Check<P>> {
    let mut checks = ipis();
    checks.extend(elsewhere());
    checks.push(sets());
    checks.extend(around());
    checks.extend(lifetime());
    checks.extend(whole());
    checks
}

/// What a flush of several CPUs rests on.
const FLUSHES: &[&str] = &[
    "cpu",
    "local",
    "irq-save",
    "irq-restore",
    "install-root",
    "unload",
    "send-ipi",
    "handle-ipi",
    "flush-pages",
    "flush-large",
    "flush-tables",
    "flush-tag",
    "flush-each-time",
    "needs-ack",
    "context",
    "secondary-done",
];
/// The same where it has been seen to work.
const WORKS: &[&str] = &["handle-ipi", "flush-pages", "flush-tables", "flush-tag", "install-flush", "remote"];

fn ipis<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        Check {
            name: "handle-ipi",
            about: "CPU 0 has CPUs 1 and 2 leave a space that is about to be freed, and CPU 1 has CPU 0 leave another",
            method: "send_ipi",
            clause: HANDLED,
            remedy: "the IPI handler must call engine.handle_ipi(), at every interrupt and on every CPU, whatever else it does",
            hang: Some([
                "send_ipi",
                HANDLED,
                "the IPI handler must call engine.handle_ipi(), at every interrupt and on every CPU, whatever else it does; and \
                 send_ipi() does not wait for the target, which may have interrupts off and send to this CPU",
            ]),
            needs: &[
                "cpu",
                "local",
                "irq-save",
                "irq-restore",
                "install-root",
                "unload",
                "root-freed",
                "send-ipi",
                "context",
            ],
            memories: &[Tso],
            unneeded: no_ipis::<P>(),
            plan: evicts::<P> as fn() -> Plan<P>,
        },
        Check {
            unneeded: no_ipis::<P>().or(no_barriers::<P>()),
            ..order(
                "ipi-order",
                "CPU 0 has CPU 1 leave a space, and an interrupt may overtake the stores before it",
                &["handle-ipi"],
                || {
                    let lazy: Code<P> = |_| {};
                    let cpus = vec![(Start::Kernel, (|cpu| last(cpu, 0)) as Code<P>), (Start::Lazy(0), lazy)];
                    Plan { profile: OVERTAKING, sleepers: [1, 0], ..Plan::new(cpus) }
                },
            )
        },
    ]
}

/// A flush that no CPU has to take part in.
pub(super) fn nobody<P: PlatformUnderTest>() -> Check<P> {
    Check {
        name: "flush-nobody",
        about: "a space is flushed that no CPU has loaded",
        method: "flush_remote",
        clause: "members of the space's mask, or for kernel memory all CPUs on line.",
        remedy: "where nobody is to be reached there is nothing to do: make no call for an empty set of CPUs, and answer Done",
        hang: NO_ANSWER,
        needs: if P::SECONDARY_TLBS {
            &["cpu", "local", "context"]
        } else {
            &["cpu", "local", "irq-save", "irq-restore"]
        },
        memories: &[Tso],
        unneeded: None,
        plan: || {
            let flushes: Code<P> = |cpu| {
                for request in requests(cpu.both()) {
                    note("flush");
                    cpu.engine().flush(cpu.space(0), request);
                }
            };
            Plan { sleepers: [1, 0], ..Plan::new(vec![(Start::Kernel, flushes)]) }
        },
    }
}

fn elsewhere<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        Check {
            name: "remote",
            about: if P::SENDS_IPIS {
                "CPU 0 unmaps pages in each way, frees a table, or flushes all, while CPU 1 runs and CPU 2 is lazy"
            } else {
                "CPU 0 unmaps pages in each way, frees a table, or flushes all, while CPU 1 runs"
            },
            method: "flush_remote",
            clause: "answers [`Remote::Done`] only if every CPU's TLB has dropped the translations",
            remedy: "answer Done only after all that was asked was broadcast, tables included, and \
                     waited for (dsb ish, TLBSYNC); else answer NeedsIpi",
            hang: NO_ANSWER,
            needs: FLUSHES,
            memories: &[Tso],
            unneeded: None,
            plan: frees_table::<P> as fn() -> Plan<P>,
        },
        Check {
            name: "remote-kernel",
            about: "CPU 0 unmaps kernel memory in each way, frees a table of it, or flushes all of it, while CPU 1 runs",
            method: "flush_remote",
            clause: "members of the space's mask, or for kernel memory all CPUs on line.",
            remedy: "a request without a space is kernel memory: broadcast that, under all tags, or answer NeedsIpi",
            hang: NO_ANSWER,
            needs: &["remote", "flush-kernel", "flush-kernel-tables", "flush-everything"],
            memories: &[Tso],
            unneeded: None,
            plan: || {
                let unmaps: Code<P> = |cpu| cpu.unmap_kernel_in_each_way();
                let runs: Code<P> = |_| {};
                Plan {
                    kernel_pages: 2,
                    kernel_table: true,
                    ..Plan::new(vec![(Start::User(0), unmaps), (Start::User(0), runs)])
                }
            },
        },
    ]
}

/// Interrupts to several CPUs at once.
fn sets<P: PlatformUnderTest>() -> Check<P> {
    Check {
        unneeded: no_ipis::<P>().or(no_barriers::<P>()).or(no_sets::<P>()),
        ..order(
            "ipis-order",
            "CPU 0 unmaps a page while CPUs 1 and 2 run, and an interrupt may overtake the stores before it",
            &["ipi-order", "remote"],
            || {
                let unmaps: Code<P> = |cpu| cpu.unmap(0, 0);
                let runs: Code<P> = |_| {};
                let cpus = vec![(Start::User(0), unmaps), (Start::User(0), runs), (Start::User(0), runs)];
                Plan { profile: OVERTAKING, ..Plan::new(cpus) }
            },
        )
    }
}

const OVERTAKING: Profile = Profile { overtaking: true, ..Profile::PLAIN };

fn order<P: PlatformUnderTest>(
    name: &'static str,
    about: &'static str,
    needs: &'static [&'static str],
    plan: fn() -> Plan<P>,
) -> Check<P> {
    Check {
        name,
        about,
        method: "send_ipi",
        clause: "The request is visible before the interrupt",
        remedy: "order_before_interrupt() before send_interrupt() (GICv3: dsb ishst; x2APIC: mfence; lfence): else the handler \
                 reads the mailbox before the request is in it, and no other IPI is sent",
        hang: None,
        needs,
        memories: &[Tso],
        unneeded: None,
        plan,
    }
}

/// Walkers, waits and hypervisors.
fn around<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        Check {
            name: "publish-tables",
            about: "CPU 0 unmaps a page, then CPU 1 another, and page-table stores take their time to reach the walkers",
            method: "publish_tables",
            clause: "Orders the caller's page-table stores before later page walks of other CPUs (aarch64: `dsb ishst`).",
            remedy: "implement publish_tables(), with the barrier that the machine needs between a page-table store and the \
                     invalidate: else a walker refills from the old entry after the flush",
            hang: NO_ANSWER,
            needs: &["remote"],
            memories: &[Tso],
            unneeded: no_barriers::<P>(),
            plan: || {
                let profile = Profile { slow_tables: true, ..Profile::PLAIN };
                let first: Code<P> = |cpu| {
                    cpu.unmap(0, 0);
                    cpu.wires().handled[0].store(1, Release);
                };
                let second: Code<P> = |cpu| {
                    cpu.wires().await_handled(0);
                    cpu.unmap(0, 1);
                };
                Plan { profile, ..Plan::new(vec![(Start::User(0), first), (Start::User(0), second)]) }
            },
        },
        Check {
            name: "masked-wait",
            about: "two CPUs flush each other's space with interrupts off",
            method: "send_ipi",
            clause: "an IPI may be late or spurious, and is never lost for good (after a stall the engine sends another)",
            remedy: "no method may wait until another CPU has taken an interrupt or done something: that \
                     CPU may be waiting for this one with interrupts off. The engine's waits handle their \
                     own IPIs; a platform's do not",
            hang: None,
            needs: &["remote"],
            memories: &[Tso],
            unneeded: None,
            plan: || {
                let first: Code<P> = |cpu| cpu.unmap_masked(1, 0);
                let second: Code<P> = |cpu| cpu.unmap_masked(0, 0);
                let profile = Profile { watches_context: true, ..Profile::PLAIN };
                let cpus = vec![(Start::User(0), first), (Start::User(1), second)];
                Plan { profile, spaces: 2, ..Plan::new(cpus) }
            },
        },
        Check {
            name: "flush-on-entry",
            about: "CPU 0 unmaps in each way while the hypervisor takes CPU 1 off, at any moment",
            method: "flush_on_entry",
            clause: "only if that is certain, and [`needs_ack`](Self::needs_ack) then answers `false` until the CPU runs again.",
            remedy: "answer `true` only if a compare-and-exchange has set the request in the word that says the CPU is off: it \
                     may begin to run between a load and a store",
            hang: NO_ANSWER,
            needs: &["remote", "remote-kernel", "needs-ack", "entry-answers"],
            memories: &[Tso],
            unneeded: no_entry::<P>(),
            plan: || {
                let unmaps: Code<P> = |cpu| unmap_past_a_hypervisor(cpu);
                let runs: Code<P> = |_| {};
                let cpus = vec![(Start::User(0), unmaps), (Start::User(0), runs)];
                Plan { kernel_pages: 1, preempted: &[1], ..Plan::new(cpus) }
            },
        },
    ]
}

/// Unmaps by each kind of request, and by two of them.
fn unmap_past_a_hypervisor<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    match sync::choose(4) {
        0 => (0..2).for_each(|page| cpu.unmap(0, page)),
        1 => cpu.unmap_table(0),
        2 => cpu.unmap_by_flushing_all(0, 1),
        _ => cpu.unmap_kernel(0),
    }
}

fn lifetime<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        Check {
            name: "free-root",
            about: "a space dies while CPU 1 is lazy on it, by a CPU that has interrupts off",
            method: "free_root",
            clause: "Frees the tables of a root: nobody refers to the space and no CPU has it loaded.",
            remedy: "give the top table back here, and nowhere else",
            hang: NO_ANSWER,
            needs: WORKS,
            memories: &[Tso],
            unneeded: no_loads::<P>(),
            plan: (|| {
                // The second space, whose root is not the first that there is.
                let exits: Code<P> = |cpu| cpu.exit_masked(1);
                let lazy: Code<P> = |_| {};
                let cpus = vec![(Start::User(1), exits), (Start::Lazy(1), lazy)];
                Plan { spaces: 2, sleepers: [1, 0], die: &[1], ..Plan::new(cpus) }
            }) as fn() -> Plan<P>,
        },
        Check {
            name: "defer-teardown",
            about: "the last reference is dropped where nothing may run, with interrupts off",
            method: "defer_teardown",
            clause: "Takes over a teardown that was dropped in a place where it cannot run",
            remedy: "keep teardown.into_handle() where deferred() finds it; what is forgotten is never unmapped, and its frames \
                     are lost",
            hang: NO_ANSWER,
            needs: &["free-root"],
            memories: &[Tso],
            unneeded: no_loads::<P>(),
            plan: || {
                let drops: Code<P> = |cpu| {
                    cpu.go_lazy();
                    note("drop the last reference");
                    cpu.masked(|| drop(cpu.user(0)));
                    cpu.reap();
                };
                Plan { die: &[0], ..Plan::new(vec![(Start::User(0), drops)]) }
            },
        },
    ]
}

/// A check of the engine on the platform.
fn protocol<P: PlatformUnderTest>(
    name: &'static str,
    about: &'static str,
    unneeded: Option<&'static str>,
    plan: fn() -> Plan<P>,
) -> Check<P> {
    Check {
        name,
        about,
        method: "Platform",
        clause: SOUND,
        remedy: "no single method was found wrong; the drawing shows how they go wrong together",
        hang: NO_ANSWER,
        needs: &["remote", "masked-wait", "free-root", "install-order"],
        memories: ALL,
        unneeded,
        plan,
    }
}

fn whole<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        protocol(
            "protocol-switch",
            "a CPU switches into a space while another unmaps from it",
            None,
            (|| {
                let unmaps: Code<P> = |cpu| cpu.unmap(0, 0);
                let switches: Code<P> = |cpu| {
                    cpu.run(1);
                    cpu.run(0);
                };
                let cpus = vec![(Start::User(0), unmaps), (Start::User(0), switches)];
                Plan { spaces: 2, sleepers: [0, 1], ..Plan::new(cpus) }
            }) as fn() -> Plan<P>,
        ),
        protocol(
            "protocol-lazy",
            "a lazy CPU returns to its space while another frees a table",
            no_ipis::<P>(),
            || {
                let frees: Code<P> = |cpu| cpu.unmap_table(0);
                let returns: Code<P> = |cpu| {
                    cpu.go_lazy();
                    cpu.run(0);
                };
                Plan::new(vec![(Start::User(0), frees), (Start::User(0), returns)])
            },
        ),
        Check {
            needs: &["remote", "remote-kernel", "masked-wait", "free-root", "install-order"],
            ..protocol(
                "protocol-kernel",
                "a lazy CPU returns to its space while another unmaps kernel memory",
                no_ipis::<P>(),
                || {
                    let unmaps: Code<P> = |cpu| cpu.unmap_kernel(0);
                    let returns: Code<P> = |cpu| {
                        cpu.go_lazy();
                        cpu.run(0);
                    };
                    let cpus = vec![(Start::User(0), unmaps), (Start::User(0), returns)];
                    Plan { kernel_pages: 1, ..Plan::new(cpus) }
                },
            )
        },
        protocol(
            "protocol-borrow",
            "an outsider upgrades and borrows while the one user unmaps and exits",
            no_ipis::<P>().or(no_borrows::<P>()),
            || {
                let owner: Code<P> = |cpu| {
                    cpu.unmap(0, 0);
                    cpu.exit(0);
                };
                let outsider: Code<P> = |cpu| {
                    let pin = cpu.pinned(0);
                    cpu.upgrade_and_borrow(0, &pin);
                    drop(pin);
                };
                Plan { pins: [1, 0], ..Plan::new(vec![(Start::User(0), owner), (Start::Kernel, outsider)]) }
            },
        ),
    ]
}

/// The last user of a space exits, on a CPU that runs another.
fn last<P: PlatformUnderTest>(cpu: &Cpu<'_, P>, space: usize) {
    note("the last user goes");
    let Some(teardown) = cpu.user(space).put() else { unreachable!("it is the only one") };
    hw::teardown(space);
    note("the space is freed");
    teardown.finish();
}

/// The last users of two spaces exit, each on a CPU that is lazy on the other.
fn evicts<P: PlatformUnderTest>() -> Plan<P> {
    let (first, second): (Code<P>, Code<P>) = (|cpu| last(cpu, 0), |cpu| last(cpu, 1));
    let lazy: Code<P> = |_| {};
    let cpus = vec![(Start::Lazy(1), first), (Start::Lazy(0), second), (Start::Lazy(0), lazy)];
    Plan { spaces: 2, sleepers: [1, 1], ..Plan::new(cpus) }
}

fn frees_table<P: PlatformUnderTest>() -> Plan<P> {
    let unmaps: Code<P> = |cpu| cpu.unmap_in_each_way(0);
    let runs: Code<P> = |_| {};
    let mut cpus = vec![(Start::User(0), unmaps), (Start::User(0), runs)];
    cpus.extend(P::SENDS_IPIS.then_some((Start::Lazy(0), runs)));
    Plan::new(cpus)
}
