//! Tags whose entries outlive a table or a space: a CPU returns warm to a space that has freed a table meanwhile, and a tag is
//! given away while a CPU is lazy on a space that dies under it.

use super::{BOTH, Tagged, named, plan};
use crate::engine::boot::History;
use crate::engine::catalog::List;
use crate::engine::cpu::Cpu;
use crate::engine::sim::{MakeTags, TestMachine};
use crate::engine::tags::Everywhere;
use crate::engine::transport::Transport;
use crate::engine::world::{Code, Plan, Start};
use shootdown::mask::OnLeave;
use shootdown::tags::{
    FlushByBroadcast, FlushByIpi, GlobalAsids, GlobalOverLocal, PerCpuSlots, TagPolicy, VersionedContexts,
    Vmids,
};
use shootdown_explore::Memory::Tso;
use std::marker::PhantomData;

const TWO: &[&str] = &["two", "tags"];
const TAGS: &[&str] = &["tags"];

/// A policy with three tags besides 0, so that two spaces never run out and four do; flushes go by IPIs.
struct ByIpis<T>(PhantomData<T>);
impl<T: TagPolicy + MakeTags + 'static> TestMachine for ByIpis<T> {
    type Tags = T;
    const TAGS: usize = 3;
}

/// The same where flushes are broadcasts.
struct Broadcasts<T>(PhantomData<T>);
impl<T: TagPolicy + MakeTags + 'static> TestMachine for Broadcasts<T> {
    type Tags = T;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
}

/// Two tags a CPU, and bits stay until trimmed.
struct TaggedKeep;
impl TestMachine for TaggedKeep {
    type Tags = PerCpuSlots<2>;
    const TAGS: usize = 2;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
}

/// One tag a CPU and one global one, which A has; CPU 1 has run A under it.
struct OneShared;
impl TestMachine for OneShared {
    type Tags = GlobalOverLocal<'static, Everywhere, 1>;
    const TAGS: usize = 2;
    const TRANSPORT: Transport = Transport::TagBroadcast;
    fn before(history: &History<'_, Self>) {
        history.run(1, 1);
        let shared = history.on(0).share_tag(history.space(0));
        assert!(shared.is_ok(), "{shared:?}");
        history.run(1, 0);
        history.on(1).enter_lazy();
    }
}

pub(super) fn add(list: &mut List) {
    warm_table(list);
    table_missed(list);
    list.add(
        &named(
            "global-tag-final-drop",
            TWO,
            BOTH,
            "a space with a global tag dies while a CPU that is lazy on it takes that tag for another space",
        ),
        || {
            let owner: Code<OneShared> = |cpu| dies_mapped(cpu);
            let takes: Code<OneShared> = |cpu| {
                cpu.try_share_tag(1);
                run_in_turn(cpu, &[1]);
            };
            let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), takes)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
    let about = "VMIDs run out while a CPU leaves its machine, and it runs the machine that got the VMID";
    list.add(
        &named("vmid-leave", TAGS, &[Tso], about),
        leaves_at_rollover::<Broadcasts<Vmids<'static, Everywhere, 3>>>,
    );
    let about = "the same with context numbers";
    list.add(
        &named("contexts-leave", TAGS, &[Tso], about),
        leaves_at_rollover::<ByIpis<VersionedContexts<'static, 2, 3>>>,
    );
    let about =
        "an ASID under which a CPU has cached a freed table goes to another space, which that CPU runs";
    list.add(&named("asid-rollover-table-free", TAGS, &[Tso], about), || {
        type Asids = ByIpis<GlobalAsids<'static, FlushByIpi, 3>>;
        let frees: Code<Asids> = |cpu| {
            cpu.unmap_table(0);
            run_in_turn(cpu, &[2, 3]);
        };
        let takes: Code<Asids> = |cpu| run_in_turn(cpu, &[1, 3]);
        let cpus = vec![(Start::User(0), frees), (Start::User(0), takes)];
        Plan { spaces: 4, sleepers: [0, 1], ..plan(cpus) }
    });
    let about = "tags run out while a CPU is lazy on a space that dies";
    list.add(
        &named("asid-final-drop", TAGS, &[Tso], about),
        final_drop::<ByIpis<GlobalAsids<'static, FlushByIpi, 3>>>,
    );
    list.add(
        &named("asid-broadcast-final-drop", TAGS, &[Tso], about),
        final_drop::<Broadcasts<GlobalAsids<'static, FlushByBroadcast, 3>>>,
    );
    list.add(
        &named("contexts-final-drop", TAGS, &[Tso], about),
        final_drop::<ByIpis<VersionedContexts<'static, 2, 3>>>,
    );
    list.add(
        &named("vmid-final-drop", TAGS, &[Tso], about),
        final_drop::<Broadcasts<Vmids<'static, Everywhere, 3>>>,
    );
}

/// Tags run out while the other CPU leaves what it had loaded, and that CPU runs the space that got its tag.
fn leaves_at_rollover<S: TestMachine>() -> Plan<S> {
    let takes: Code<S> = |cpu| run_in_turn(cpu, &[2, 3, 0]);
    let leaves: Code<S> = |cpu| {
        cpu.run_kernel_thread();
        cpu.engine().leave();
        run_in_turn(cpu, &[0]);
    };
    let cpus = vec![(Start::User(0), takes), (Start::User(1), leaves)];
    Plan { spaces: 4, sleepers: [1, 1], ..plan(cpus) }
}

/// Runs a thread of each of these spaces in turn.
fn run_in_turn<S: TestMachine>(cpu: &Cpu<'_, S>, spaces: &[usize]) {
    for &space in spaces {
        let user = cpu.user(space);
        cpu.run(&user);
        let _ = user.into_handle();
    }
}

/// Ends the last thread of A, whose frames others still use: nothing is unmapped, so whoever is lazy on A can still walk it.
fn dies_mapped<S: TestMachine>(cpu: &Cpu<'_, S>) {
    cpu.run_kernel_thread();
    cpu.die_mapped(0);
}

/// One frees a table while the other is away, and returns.
fn returns_warm<S: TestMachine>(frees: Code<S>) -> Plan<S> {
    let returns: Code<S> = |cpu| run_in_turn(cpu, &[1, 0]);
    let cpus = vec![(Start::User(0), frees), (Start::User(0), returns)];
    Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
}

fn warm_table(list: &mut List) {
    let about =
        "a CPU returns to a warm tag under which it has cached a table that was freed while it was away";
    list.add(&named("warm-table-free", TWO, BOTH, about), || {
        returns_warm::<Tagged>(|cpu| cpu.unmap_table(0))
    });
    let about = "the same after two flushes, of which the first freed the table";
    list.add(&named("warm-table-then-page", TWO, &[Tso], about), || {
        returns_warm::<Tagged>(|cpu| {
            cpu.unmap_table(0);
            cpu.flush_page(0, 1);
        })
    });
    let about = "the same after two flushes, of which the second freed the table";
    list.add(&named("warm-page-then-table", TWO, &[Tso], about), || {
        returns_warm::<Tagged>(|cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_table(0);
        })
    });
    let about = "the same where the CPU stays in the mask while it is away";
    list.add(&named("warm-table-kept-bit", TWO, &[Tso], about), || {
        returns_warm::<TaggedKeep>(|cpu| cpu.unmap_table(0))
    });
    let about = "the same under ASIDs";
    list.add(&named("warm-table-asids", TWO, &[Tso], about), || {
        returns_warm::<ByIpis<GlobalAsids<'static, FlushByIpi, 3>>>(|cpu| cpu.unmap_table(0))
    });
    let about = "the same under context numbers";
    list.add(&named("warm-table-contexts", TWO, &[Tso], about), || {
        returns_warm::<ByIpis<VersionedContexts<'static, 2, 3>>>(|cpu| cpu.unmap_table(0))
    });
}

fn table_missed(list: &mut List) {
    let about = "a CPU that has missed several flushes, of which the first freed a table, catches up with all of them";
    list.add(&named("table-missed", &["two"], &[Tso], about), || {
        let frees: Code<Tagged> = |cpu| cpu.unmap_table_in_batch(0);
        plan(vec![(Start::User(0), frees), (Start::User(0), |_| {})])
    });
    let about =
        "two unmaps are sent before either is waited for, and the second comes while a CPU answers the first";
    list.add(&named("batch-of-unmaps", &["two"], BOTH, about), || {
        let unmaps: Code<Tagged> = |cpu| cpu.unmap_in_batch(0);
        plan(vec![(Start::User(0), unmaps), (Start::User(0), |_| {})])
    });
    let about = "a table is unhooked as it was, and pages are recorded after it, while another CPU is lazy";
    list.add(&named("lazy-vs-unhooked-table", &["two"], BOTH, about), || {
        let frees: Code<Tagged> = |cpu| cpu.unhook_table(0, 1);
        plan(vec![(Start::User(0), frees), (Start::Lazy(0), |_| {})])
    });
}

/// CPU 1 is lazy on A, which dies, while CPU 0 runs more spaces than there are tags.
fn final_drop<S: TestMachine>() -> Plan<S> {
    let owner: Code<S> = |cpu| {
        dies_mapped(cpu);
        run_in_turn(cpu, &[1, 2, 3]);
    };
    let lazy: Code<S> = |cpu| run_in_turn(cpu, &[3]);
    let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), lazy)];
    Plan { spaces: 4, sleepers: [0, 1], ..plan(cpus) }
}
