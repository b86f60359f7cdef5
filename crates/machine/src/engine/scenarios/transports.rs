//! Ways to reach other CPUs besides the IPI, on three CPUs.

use super::{named, plan};
use crate::engine::catalog::List;
use crate::engine::sim::TestMachine;
use crate::engine::tags::Everywhere;
use crate::engine::transport::Transport;
use crate::engine::world::{Code, Plan, Start};
use shootdown::tags::{GlobalOverLocal, Untagged};
use shootdown_explore::Memory::Tso;

const TRANSPORTS: &[&str] = &["three", "transports"];

macro_rules! setups {
    ($($(#[$meta:meta])* $name:ident,)*) => {$(
        $(#[$meta])*
        struct $name;
        impl TestMachine for $name {
            type Tags = Untagged;
            const TRANSPORT: Transport = Transport::$name;
        }
    )*};
}

setups! {
    /// Firmware flushes on the members of the mask.
    Firmware,
    /// A hypervisor does, or not.
    Hypercall,
    /// Virtual CPUs that do not run are flushed when they do.
    Paravirtual,
    /// Hardware of the targets does.
    Actions,
    /// The machine changes from IPIs to broadcasts.
    Switched,
}

/// One tag a CPU, two global ones with broadcasts.
struct Shared;
impl TestMachine for Shared {
    type Tags = GlobalOverLocal<'static, Everywhere, 1>;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
}

pub(super) fn add(list: &mut List) {
    let scenarios = [firmware, hypercall, paravirtual, actions, switched, mixed];
    for scenario in scenarios {
        scenario(list);
    }
}

/// One unmaps, one comes and goes, one runs.
fn comes_and_goes<S: TestMachine>() -> Plan<S> {
    let unmaps: Code<S> = |cpu| cpu.unmap(0, 0);
    let comes: Code<S> = |cpu| {
        let (a, b) = (cpu.user(0), cpu.user(1));
        cpu.run(&a);
        cpu.run(&b);
        let _ = a.into_handle();
        let _ = b.into_handle();
    };
    let runs: Code<S> = |_| {};
    let cpus = vec![(Start::User(0), unmaps), (Start::User(1), comes), (Start::User(0), runs)];
    Plan { spaces: 2, sleepers: [1, 0], ..plan(cpus) }
}

fn firmware(list: &mut List) {
    let about = "firmware flushes on one member of the mask after the other while one joins and leaves";
    list.add(&named("transport-firmware", TRANSPORTS, &[Tso], about), comes_and_goes::<Firmware>);
}

fn hypercall(list: &mut List) {
    let about =
        "a hypervisor flushes on the members of the mask, or gives up midway, while one joins and leaves";
    list.add(&named("transport-hypercall", TRANSPORTS, &[Tso], about), comes_and_goes::<Hypercall>);
}

fn paravirtual(list: &mut List) {
    let about = "virtual CPUs are taken off at any time, and flushed by the hypervisor instead of by an IPI";
    list.add(&named("transport-paravirtual", TRANSPORTS, &[Tso], about), || {
        let unmaps: Code<Paravirtual> = |cpu| cpu.unmap(0, 0);
        let returns: Code<Paravirtual> = |cpu| {
            let user = cpu.user(0);
            cpu.run(&user);
            let _ = user.into_handle();
        };
        let runs: Code<Paravirtual> = |_| {};
        let cpus = vec![(Start::User(0), unmaps), (Start::Lazy(0), returns), (Start::User(0), runs)];
        Plan { sleepers: [1, 0], preempted: &[1, 2], ..plan(cpus) }
    });
}

fn actions(list: &mut List) {
    let about = "hardware of the targets carries flushes out, interrupts off or not, for two at once";
    list.add(&named("transport-actions", TRANSPORTS, &[Tso], about), || {
        let first: Code<Actions> = |cpu| cpu.unmap_masked(0, 0);
        let second: Code<Actions> = |cpu| cpu.unmap(0, 1);
        let goes: Code<Actions> = |cpu| {
            let b = cpu.user(1);
            cpu.run(&b);
            let _ = b.into_handle();
        };
        let cpus = vec![(Start::User(0), first), (Start::User(0), second), (Start::User(0), goes)];
        Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
    });
}

fn switched(list: &mut List) {
    let about = "the machine changes from IPIs to broadcasts while two threads unmap";
    list.add(&named("transport-switched", TRANSPORTS, &[Tso], about), || {
        let first: Code<Switched> = |cpu| cpu.unmap(0, 0);
        let second: Code<Switched> = |cpu| cpu.unmap(0, 1);
        let changes: Code<Switched> = |cpu| cpu.switch_transport();
        plan(vec![(Start::User(0), first), (Start::User(0), second), (Start::User(0), changes)])
    });
}

fn mixed(list: &mut List) {
    let about =
        "a space moves from tags of each CPU to one for all, and from IPIs to broadcasts, under an unmap";
    list.add(&named("transport-mixed", TRANSPORTS, &[Tso], about), || {
        let unmaps: Code<Shared> = |cpu| cpu.unmap(0, 0);
        let moves: Code<Shared> = |cpu| cpu.share_tag(0);
        let runs: Code<Shared> = |_| {};
        plan(vec![(Start::User(0), unmaps), (Start::User(0), moves), (Start::User(0), runs)])
    });
}
