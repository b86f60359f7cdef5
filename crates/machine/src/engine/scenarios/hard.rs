//! Hard life: NMIs wherever the engine has interrupts off, spurious IPIs, CPUs that come and go under load.

use super::{Plain, named, plan};
use crate::engine::catalog::List;
use crate::engine::nmi::Nmi;
use crate::engine::sim::TestMachine;
use crate::engine::tags::Everywhere;
use crate::engine::transport::Transport;
use crate::engine::world::{Code, Plan, Start};
use shootdown::tags::{GlobalOverLocal, Untagged};
use shootdown_explore::Memory::Tso;

const HARD: &[&str] = &["hard"];

/// NMIs whose handler asks before it looks at user memory.
struct Asks;
impl TestMachine for Asks {
    type Tags = Untagged;
    const NMI: Nmi = Nmi::Asks;
}

/// The same with one tag a CPU, and a global one.
struct AsksShared;
impl TestMachine for AsksShared {
    type Tags = GlobalOverLocal<'static, Everywhere, 1>;
    const TAGS: usize = 2;
    const TRANSPORT: Transport = Transport::TagBroadcast;
    const NMI: Nmi = Nmi::Asks;
}

pub(super) fn add(list: &mut List) {
    nmis(list);
    list.add(
        &named("nmi-tags", HARD, &[Tso], "an NMI comes while a space moves to a tag for all CPUs"),
        || {
            let unmaps: Code<AsksShared> = |cpu| cpu.unmap(0, 0);
            let shares: Code<AsksShared> = |cpu| cpu.share_tag(0);
            plan(vec![(Start::User(0), unmaps), (Start::User(0), shares)])
        },
    );
    spurious_ipis(list);
    hotplug_under_load(list);
}

/// A scenario for each span of the engine in which an NMI may come, on both CPUs; the tags' is apart.
fn nmis(list: &mut List) {
    list.add(
        &named("nmi-switch", HARD, &[Tso], "an NMI comes while a CPU switches, under an unmap"),
        nmi_switch::<Asks>,
    );
    list.add(&named("nmi-lazy", HARD, &[Tso], "an NMI comes while a CPU goes lazy and returns"), || {
        let lazy: Code<Asks> = |cpu| {
            cpu.run_kernel_thread();
            let user = cpu.user(0);
            cpu.run(&user);
            let _ = user.into_handle();
        };
        plan(vec![(Start::User(0), |cpu| cpu.unmap(0, 0)), (Start::User(0), lazy)])
    });
    list.add(&named("nmi-leave", HARD, &[Tso], "an NMI comes while a space dies under a lazy CPU"), || {
        let owner: Code<Asks> = |cpu| cpu.exit(0);
        let plan = plan(vec![(Start::User(0), owner), (Start::Lazy(0), |_| {})]);
        Plan { die: &[0], ..plan }
    });
    list.add(&named("nmi-flush", HARD, &[Tso], "an NMI comes while two CPUs flush each other"), || {
        let first: Code<Asks> = |cpu| cpu.unmap(0, 0);
        plan(vec![(Start::User(0), first), (Start::User(0), |cpu| cpu.unmap(0, 1))])
    });
    list.add(
        &named("nmi-handle-ipi", HARD, &[Tso], "an NMI comes while CPUs wait with interrupts off"),
        || {
            let first: Code<Asks> = |cpu| cpu.unmap_masked(0, 0);
            plan(vec![(Start::User(0), first), (Start::User(0), |cpu| cpu.unmap_masked(0, 1))])
        },
    );
    list.add(
        &named("nmi-create", HARD, &[Tso], "an NMI comes while two CPUs make spaces, under an unmap"),
        || {
            let first: Code<Asks> = |cpu| {
                cpu.make_space();
                cpu.unmap(0, 0);
            };
            let second: Code<Asks> = |cpu| {
                cpu.make_space();
                cpu.make_space();
            };
            plan(vec![(Start::User(0), first), (Start::User(0), second)])
        },
    );
    list.add(&named("nmi-borrow", HARD, &[Tso], "an NMI comes while a kernel thread borrows"), || {
        let outsider: Code<Asks> = |cpu| {
            let pin = cpu.pinned(0);
            cpu.upgrade_and_borrow(0, &pin);
            cpu.drop_pin(pin);
        };
        let cpus = vec![(Start::User(0), (|cpu| cpu.unmap(0, 0)) as Code<Asks>), (Start::Kernel, outsider)];
        Plan { pins: [1, 0], ..plan(cpus) }
    });
    list.add(&named("nmi-temporary", HARD, &[Tso], "an NMI comes while a temporary space is loaded"), || {
        let patches: Code<Asks> = |cpu| {
            let temporary = cpu.user(1);
            cpu.patch(&temporary, true);
            let _ = temporary.into_handle();
        };
        let cpus = vec![(Start::User(0), (|cpu| cpu.unmap(0, 0)) as Code<Asks>), (Start::User(0), patches)];
        Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
    });
    list.add(&named("nmi-hotplug", HARD, &[Tso], "an NMI comes while a CPU goes off and on line"), || {
        let cycles: Code<Asks> = |cpu| {
            cpu.cycle();
            let user = cpu.user(0);
            cpu.run(&user);
            let _ = user.into_handle();
        };
        plan(vec![(Start::User(0), |cpu| cpu.unmap(0, 0)), (Start::User(0), cycles)])
    });
}

fn nmi_switch<S: TestMachine>() -> Plan<S> {
    let unmaps: Code<S> = |cpu| cpu.unmap(0, 0);
    let switches: Code<S> = |cpu| {
        let (a, b) = (cpu.user(0), cpu.user(1));
        cpu.run(&b);
        cpu.run(&a);
        let _ = a.into_handle();
        let _ = b.into_handle();
    };
    let cpus = vec![(Start::User(0), unmaps), (Start::User(0), switches)];
    Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
}

/// An IPI that arrives twice is one of these too: nothing was asked for the second.
fn spurious_ipis(list: &mut List) {
    let about = "spurious and duplicate IPIs arrive at a CPU that flushes and at one that goes lazy";
    list.add(&named("spurious-ipi", HARD, &[Tso], about), || {
        let unmaps: Code<Plain> = |cpu| cpu.unmap(0, 0);
        let lazy: Code<Plain> = |cpu| {
            cpu.run_kernel_thread();
            let user = cpu.user(0);
            cpu.run(&user);
            let _ = user.into_handle();
        };
        let sends: Code<Plain> = |cpu| {
            cpu.send_spurious_ipi(1);
            cpu.send_spurious_ipi(0);
            cpu.send_spurious_ipi(1);
        };
        plan(vec![(Start::User(0), unmaps), (Start::User(0), lazy), (Start::User(0), sends)])
    });
}

fn hotplug_under_load(list: &mut List) {
    let about = "two CPUs go off and on line while user and kernel memory is unmapped";
    list.add(&named("hotplug-under-load", HARD, &[Tso], about), || {
        let unmaps: Code<Plain> = |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_kernel(0);
        };
        let returns: Code<Plain> = |cpu| {
            cpu.cycle();
            let user = cpu.user(0);
            cpu.run(&user);
            let _ = user.into_handle();
        };
        let cycles: Code<Plain> = |cpu| cpu.cycle();
        let cpus = vec![(Start::User(0), unmaps), (Start::User(0), returns), (Start::Lazy(0), cycles)];
        Plan { kernel_pages: 1, ..plan(cpus) }
    });
}

#[cfg(test)]
mod tests {
    use super::{Nmi, TestMachine, Untagged, nmi_switch};
    use crate::case::run;
    use crate::engine::fault::Fault;
    use crate::engine::world::{Oracles, World};
    use shootdown_explore::{Options, Verdict};

    /// NMIs whose handler looks at user memory whatever the CPU does.
    struct Blunt;
    impl TestMachine for Blunt {
        type Tags = Untagged;
        const NMI: Nmi = Nmi::Blunt;
    }

    #[test]
    fn an_nmi_that_does_not_ask_reads_user_memory_in_the_middle_of_a_switch() {
        let world: crate::case::Model =
            Box::new(World::new(&nmi_switch::<Blunt>(), Fault::NONE, Oracles::Machine));
        let report = run(&world, &Options { shortest: false, ..Options::default() });
        assert!(matches!(report.verdict, Verdict::Violates(_)), "{:?}", report.verdict);
    }
}
