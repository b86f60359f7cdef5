//! Tag allocators: rollover, wrap, and unmaps meanwhile. Two CPUs; tags number two more than CPUs, the least that works,
//! so that every space that comes without a tag makes generations roll over.

use super::{named, plan};
use crate::engine::boot::History;
use crate::engine::catalog::List;
use crate::engine::cpu::Cpu;
use crate::engine::sim::TestMachine;
use crate::engine::tags::Everywhere;
use crate::engine::transport::Transport;
use crate::engine::world::{Code, Plan, Start};
use shootdown::Platform;
use shootdown::tags::{
    FlushByBroadcast, FlushByIpi, GlobalAsids, GlobalOverLocal, PerCpuSlots, VersionedContexts, Vmids,
};
use shootdown_explore::Memory::{Pso, Tso};

const TAGS: &[&str] = &["tags"];
const TWO_TAGS: &[&str] = &["two", "tags"];

/// Two tags a CPU.
struct Slots;
impl TestMachine for Slots {
    type Tags = PerCpuSlots<2>;
    const TAGS: usize = 2;
}

/// Global tags, generations of three bits, IPIs.
struct Asids;
impl TestMachine for Asids {
    type Tags = GlobalAsids<'static, FlushByIpi, 3>;
    const TAGS: usize = 3;
}

/// The same, two generations before they wrap; E ran in the first one alone.
struct OldAsids;
impl TestMachine for OldAsids {
    type Tags = GlobalAsids<'static, FlushByIpi, 3>;
    const TAGS: usize = 3;
    fn before(history: &History<'_, Self>) {
        history.run(0, 4);
        age(history);
        assert_eq!(
            history.on(0).platform().tags().rollovers(),
            6,
            "two before generations of three bits wrap"
        );
    }
}

/// The same with one tag more, for a device.
struct PinnedAsids;
impl TestMachine for PinnedAsids {
    type Tags = GlobalAsids<'static, FlushByIpi, 3>;
    const TAGS: usize = 4;
}

/// Global tags, generations of three bits, broadcasts.
struct BroadcastAsids;
impl TestMachine for BroadcastAsids {
    type Tags = GlobalAsids<'static, FlushByBroadcast, 3>;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
}

/// The same with one tag more; A's is void, both CPUs have flushed since, and one is free.
struct RenewedAsids;
impl TestMachine for RenewedAsids {
    type Tags = GlobalAsids<'static, FlushByBroadcast, 3>;
    const TAGS: usize = 4;
    const TRANSPORT: Transport = Transport::TagBroadcast;
    fn before(history: &History<'_, Self>) {
        [2, 3, 4].into_iter().for_each(|space| history.run(0, space));
        [3, 1].into_iter().for_each(|space| history.run(1, space));
    }
}

/// The same, where C has the last tag.
struct FullAsids;
impl TestMachine for FullAsids {
    type Tags = GlobalAsids<'static, FlushByBroadcast, 3>;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
    fn before(history: &History<'_, Self>) {
        [2, 0].into_iter().for_each(|space| history.run(0, space));
    }
}

/// Context numbers with versions of three bits, on CPUs that share a TLB.
struct Contexts;
impl TestMachine for Contexts {
    type Tags = VersionedContexts<'static, 2, 3>;
    const TAGS: usize = 3;
    const SHARED_TLB: u8 = 0b11;
}

/// The same, each CPU with its own, two versions before they wrap; E ran in the first one alone.
struct OldContexts;
impl TestMachine for OldContexts {
    type Tags = VersionedContexts<'static, 2, 3>;
    const TAGS: usize = 3;
    fn before(history: &History<'_, Self>) {
        history.run(0, 4);
        age(history);
        assert_eq!(
            history.on(0).platform().tags().rollovers(),
            6,
            "two before generations of three bits wrap"
        );
    }
}

/// VMIDs with generations of three bits.
struct Vms;
impl TestMachine for Vms {
    type Tags = Vmids<'static, Everywhere, 3>;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
}

/// The same, two generations before they wrap; E ran in the first one alone.
struct OldVms;
impl TestMachine for OldVms {
    type Tags = Vmids<'static, Everywhere, 3>;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
    fn before(history: &History<'_, Self>) {
        history.run(0, 4);
        age(history);
        assert_eq!(
            history.on(0).platform().tags().rollovers(),
            6,
            "two before generations of three bits wrap"
        );
    }
}

/// One tag a CPU, two global ones.
struct Shared;
impl TestMachine for Shared {
    type Tags = GlobalOverLocal<'static, Everywhere, 1>;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
}

/// The same; A has the first global tag, and CPU 1 has run it.
struct LongShared;
impl TestMachine for LongShared {
    type Tags = GlobalOverLocal<'static, Everywhere, 1>;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
    fn before(history: &History<'_, Self>) {
        let shared = history.on(0).share_tag(history.space(0));
        assert!(shared.is_ok(), "{shared:?}");
        [0, 1].into_iter().for_each(|space| history.run(1, space));
    }
}

pub(super) fn add(list: &mut List) {
    let scenarios = [
        slots_reuse,
        asid_rollover,
        asid_generation_wrap,
        asid_pinned,
        asid_broadcast,
        asid_renewal,
        asid_switch_vs_table_free,
        contexts_rollover,
        contexts_version_wrap,
        vmid_rollover,
        vmid_generation_wrap,
        global_tag,
        global_tag_wrap,
    ];
    for scenario in scenarios {
        scenario(list);
    }
}

/// Six rollovers: CPU 0 runs C, D and A in turn and ends in A, CPU 1 stays in B.
fn age<S: TestMachine>(history: &History<'_, S>) {
    [2, 3, 0, 2, 3, 0].into_iter().for_each(|space| history.run(0, space));
}

/// Runs a thread of each of these spaces in turn.
fn run_in_turn<S: TestMachine>(cpu: &Cpu<'_, S>, spaces: &[usize]) {
    for &space in spaces {
        let user = cpu.user(space);
        cpu.run(&user);
        let _ = user.into_handle();
    }
}

/// Puts the virtual CPU that runs here.
fn put_vcpu<S: TestMachine>(cpu: &Cpu<'_, S>) {
    cpu.run_kernel_thread();
    cpu.engine().leave();
    cpu.forget(0);
}

/// Spaces that each have a thread that sleeps; A runs on CPU 0, B on CPU 1.
fn spaces<S: TestMachine>(spaces: usize, first: Code<S>, second: Code<S>) -> Plan<S> {
    let cpus = vec![(Start::User(0), first), (Start::User(1), second)];
    Plan { spaces, sleepers: [1, 1], ..plan(cpus) }
}

/// More spaces than tags take turns on both CPUs while B is unmapped.
fn rolls_over<S: TestMachine>() -> Plan<S> {
    let first: Code<S> = |cpu| {
        run_in_turn(cpu, &[2, 3]);
        cpu.unmap(1, 0);
        run_in_turn(cpu, &[0]);
    };
    let second: Code<S> = |cpu| run_in_turn(cpu, &[3, 1, 2]);
    spaces(4, first, second)
}

fn slots_reuse(list: &mut List) {
    list.add(
        &named(
            "slots-reuse",
            TAGS,
            &[Tso, Pso],
            "each CPU's own tags go from space to space while one is unmapped",
        ),
        || {
            let first: Code<Slots> = |cpu| {
                run_in_turn(cpu, &[1, 2]);
                cpu.unmap(1, 0);
                run_in_turn(cpu, &[3, 0, 1]);
            };
            let second: Code<Slots> = |cpu| run_in_turn(cpu, &[3, 1, 2, 1]);
            spaces(4, first, second)
        },
    );
}

fn asid_rollover(list: &mut List) {
    list.add(
        &named(
            "asid-rollover",
            TAGS,
            &[Tso],
            "CPUs switch among more spaces than there are ASIDs while one is unmapped",
        ),
        rolls_over::<Asids>,
    );
}

fn asid_generation_wrap(list: &mut List) {
    list.add(
        &named(
            "asid-generation-wrap",
            TAGS,
            &[Tso],
            "generations of ASIDs wrap, and a space comes back that slept since the first",
        ),
        || {
            let first: Code<OldAsids> = |cpu| {
                run_in_turn(cpu, &[2, 3]);
                cpu.unmap(1, 0);
                run_in_turn(cpu, &[4]);
                assert!(cpu.engine().platform().tags().rollovers() > 7, "generations have wrapped");
            };
            let second: Code<OldAsids> = |cpu| run_in_turn(cpu, &[3, 4, 1]);
            spaces(5, first, second)
        },
    );
}

fn asid_pinned(list: &mut List) {
    list.add(
        &named("asid-pinned", TAGS, &[Tso], "a pinned ASID outlives rollovers and is free afterwards"),
        || {
            let first: Code<PinnedAsids> = |cpu| {
                cpu.pin_tag(0, 1);
                run_in_turn(cpu, &[2, 3]);
                cpu.unmap(0, 0);
                cpu.pin_tag(0, 1);
                cpu.unpin_tag(0);
                cpu.unpin_tag(0);
                run_in_turn(cpu, &[4, 1]);
            };
            let second: Code<PinnedAsids> = |cpu| run_in_turn(cpu, &[4, 0, 3, 2]);
            spaces(5, first, second)
        },
    );
}

fn asid_broadcast(list: &mut List) {
    list.add(
        &named("asid-broadcast", TAGS, &[Tso], "flushes are broadcasts under ASIDs that roll over meanwhile"),
        || {
            let first: Code<BroadcastAsids> = |cpu| {
                run_in_turn(cpu, &[2, 3, 1, 0]);
                cpu.unmap(0, 0);
            };
            let second: Code<BroadcastAsids> = |cpu| {
                cpu.unmap_table(1);
                run_in_turn(cpu, &[3]);
                cpu.unmap(0, 1);
                run_in_turn(cpu, &[2]);
            };
            Plan {
                cpus: vec![(Start::User(0), first), (Start::User(0), second)],
                contested: true,
                ..spaces(4, first, second)
            }
        },
    );
}

fn asid_renewal(list: &mut List) {
    list.add(
        &named(
            "asid-renewal",
            TWO_TAGS,
            &[Tso, Pso],
            "a space gets another ASID while a flush is broadcast under the one it had",
        ),
        || {
            let first: Code<RenewedAsids> = |cpu| cpu.unmap(0, 0);
            let second: Code<RenewedAsids> = |cpu| run_in_turn(cpu, &[0]);
            Plan { cpus: vec![(Start::User(4), first), (Start::User(1), second)], ..spaces(5, first, second) }
        },
    );
}

fn asid_switch_vs_table_free(list: &mut List) {
    list.add(
        &named(
            "asid-switch-vs-table-free",
            TWO_TAGS,
            &[Tso],
            "a space that a CPU is just leaving gets another ASID, and its table is freed by a broadcast",
        ),
        || {
            let first: Code<FullAsids> = |cpu| run_in_turn(cpu, &[2]);
            let second: Code<FullAsids> = |cpu| {
                run_in_turn(cpu, &[3, 0]);
                cpu.unmap_table(0);
            };
            spaces(4, first, second)
        },
    );
}

fn contexts_rollover(list: &mut List) {
    list.add(
        &named(
            "contexts-rollover",
            TAGS,
            &[Tso],
            "context numbers run out on CPUs that share a TLB while a space is unmapped",
        ),
        rolls_over::<Contexts>,
    );
}

fn contexts_version_wrap(list: &mut List) {
    list.add(
        &named(
            "contexts-version-wrap",
            TAGS,
            &[Tso],
            "versions of context numbers wrap, and a space comes back that slept since the first",
        ),
        || {
            let first: Code<OldContexts> = |cpu| {
                run_in_turn(cpu, &[2, 3]);
                cpu.unmap(1, 0);
                run_in_turn(cpu, &[4]);
                assert!(cpu.engine().platform().tags().rollovers() > 7, "generations have wrapped");
            };
            let second: Code<OldContexts> = |cpu| run_in_turn(cpu, &[3, 4, 1]);
            spaces(5, first, second)
        },
    );
}

fn vmid_rollover(list: &mut List) {
    list.add(
        &named(
            "vmid-rollover",
            TAGS,
            &[Tso],
            "virtual CPUs are loaded and put while VMIDs run out and a machine is unmapped",
        ),
        || {
            let first: Code<Vms> = |cpu| {
                run_in_turn(cpu, &[2]);
                put_vcpu(cpu);
                cpu.unmap(1, 0);
                run_in_turn(cpu, &[3, 0]);
            };
            let second: Code<Vms> = |cpu| {
                put_vcpu(cpu);
                run_in_turn(cpu, &[3, 1]);
                cpu.unmap(0, 0);
            };
            spaces(4, first, second)
        },
    );
}

fn vmid_generation_wrap(list: &mut List) {
    list.add(
        &named(
            "vmid-generation-wrap",
            TAGS,
            &[Tso],
            "generations of VMIDs wrap, and a machine comes back that slept since the first",
        ),
        || {
            let first: Code<OldVms> = |cpu| {
                run_in_turn(cpu, &[2, 3]);
                cpu.unmap(1, 0);
                run_in_turn(cpu, &[4]);
                assert!(cpu.engine().platform().tags().rollovers() > 7, "generations have wrapped");
            };
            let second: Code<OldVms> = |cpu| {
                put_vcpu(cpu);
                run_in_turn(cpu, &[3, 4]);
            };
            spaces(5, first, second)
        },
    );
}

fn global_tag(list: &mut List) {
    list.add(
        &named(
            "global-tag",
            TAGS,
            &[Tso, Pso],
            "a space moves to one tag for all CPUs while both run it, leave it and unmap from it",
        ),
        || {
            let first: Code<Shared> = |cpu| {
                cpu.share_tag(0);
                cpu.unmap_table(0);
            };
            let second: Code<Shared> = |cpu| {
                run_in_turn(cpu, &[1, 0]);
                cpu.unmap(0, 0);
                cpu.run_kernel_thread();
            };
            Plan {
                cpus: vec![(Start::User(0), first), (Start::User(0), second)],
                contested: true,
                ..spaces(2, first, second)
            }
        },
    );
}

fn global_tag_wrap(list: &mut List) {
    list.add(
        &named(
            "global-tag-wrap",
            TAGS,
            &[Tso, Pso],
            "a space dies unflushed, and another gets its global tag on a CPU that has run both",
        ),
        || {
            let first: Code<LongShared> = |cpu| {
                cpu.run_kernel_thread();
                cpu.die_mapped(0);
                cpu.share_tag(1);
                cpu.share_tag(2);
                run_in_turn(cpu, &[1]);
                cpu.unmap(2, 0);
            };
            let second: Code<LongShared> = |cpu| run_in_turn(cpu, &[2, 3, 2]);
            Plan { sleepers: [0, 1], ..spaces(4, first, second) }
        },
    );
}
