//! Tags whose entries outlive a table or a space: a CPU returns warm to a space that has freed a table meanwhile, and a
//! tag is given away while a CPU is lazy on a space that dies under it.

use super::list::{List, Scenario};
use super::machines::{ByBroadcasts, ByIpis, Tagged, machines};
use crate::engine::Start::{Lazy, User};
use crate::engine::{Code, Cpu, Everywhere, History, TestMachine, Transport};
use shootdown::mask::OnLeave;
use shootdown::tags::{
    FlushByBroadcast, FlushByIpi, GlobalAsids, GlobalOverLocal, PerCpuSlots, VersionedContexts, Vmids,
};

const TWO: &[&str] = &["two", "tags"];
const TAGS: &[&str] = &["tags"];

type Asids = ByIpis<GlobalAsids<'static, FlushByIpi, 3>>;
type BroadcastAsids = ByBroadcasts<GlobalAsids<'static, FlushByBroadcast, 3>>;
type Contexts = ByIpis<VersionedContexts<'static, 2, 3>>;
type Vms = ByBroadcasts<Vmids<'static, Everywhere, 3>>;

machines! {
    /// Two tags a CPU, and bits stay until trimmed.
    TaggedKeep: PerCpuSlots<2> {
        const TAGS: usize = 2;
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
    }

    /// One tag a CPU and one global one, which A has; CPU 1 has run A under it.
    OneShared: GlobalOverLocal<'static, Everywhere, 1> {
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
}

pub(super) fn add(list: &mut List) {
    warm_table(list);
    given_away(list);
    let final_drops = "tags run out while a CPU is lazy on a space that dies";
    final_drop(list.scenario::<Asids>("asid-final-drop", TAGS)).about(final_drops).add();
    final_drop(list.scenario::<BroadcastAsids>("asid-broadcast-final-drop", TAGS)).about(final_drops).add();
    final_drop(list.scenario::<Contexts>("contexts-final-drop", TAGS)).about(final_drops).add();
    final_drop(list.scenario::<Vms>("vmid-final-drop", TAGS)).about(final_drops).add();
}

/// One frees a table while the other is away, and returns.
fn returns_warm<'l, S: TestMachine>(list: &'l mut List, name: &str, frees: Code<S>) -> Scenario<'l, S> {
    let scenario = list.scenario(name, TWO).cpu(User(0), frees);
    scenario.cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0])).spaces(2, [0, 1])
}

fn warm_table(list: &mut List) {
    returns_warm::<Tagged>(list, "warm-table-free", |cpu| cpu.unmap_table(0))
        .about(
            "a CPU returns to a warm tag under which it has cached a table that was freed while it was away",
        )
        .pso()
        .add();
    let table_then_page: Code<Tagged> = |cpu| {
        cpu.unmap_table(0);
        cpu.flush_page(0, 1);
    };
    returns_warm(list, "warm-table-then-page", table_then_page)
        .about("the same after two flushes, of which the first freed the table")
        .add();
    let page_then_table: Code<Tagged> = |cpu| {
        cpu.unmap(0, 0);
        cpu.unmap_table(0);
    };
    returns_warm(list, "warm-page-then-table", page_then_table)
        .about("the same after two flushes, of which the second freed the table")
        .add();
    returns_warm::<TaggedKeep>(list, "warm-table-kept-bit", |cpu| cpu.unmap_table(0))
        .about("the same where the CPU stays in the mask while it is away")
        .add();
    returns_warm::<Asids>(list, "warm-table-asids", |cpu| cpu.unmap_table(0))
        .about("the same under ASIDs")
        .add();
    returns_warm::<Contexts>(list, "warm-table-contexts", |cpu| cpu.unmap_table(0))
        .about("the same under context numbers")
        .add();
}

fn given_away(list: &mut List) {
    list.scenario::<OneShared>("global-tag-final-drop", TWO)
        .about(
            "a space with a global tag dies while a CPU that is lazy on it takes that tag for another space",
        )
        .cpu(User(0), dies_mapped)
        .cpu(Lazy(0), |cpu| {
            cpu.try_share_tag(1);
            cpu.run_in_turn(&[1]);
        })
        .spaces(2, [0, 1])
        .pso()
        .add();
    leaves_at_rollover(list.scenario::<Vms>("vmid-leave", TAGS))
        .about("VMIDs run out while a CPU leaves its machine, and it runs the machine that got the VMID")
        .add();
    leaves_at_rollover(list.scenario::<Contexts>("contexts-leave", TAGS))
        .about("the same with context numbers")
        .add();
    list.scenario::<Asids>("asid-rollover-table-free", TAGS)
        .about(
            "an ASID under which a CPU has cached a freed table goes to another space, which that CPU runs",
        )
        .cpu(User(0), |cpu| {
            cpu.unmap_table(0);
            cpu.run_in_turn(&[2, 3]);
        })
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 3]))
        .spaces(4, [0, 1])
        .add();
}

/// Tags run out while the other CPU leaves what it had loaded, and that CPU runs the space that got its tag.
fn leaves_at_rollover<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    scenario
        .cpu(User(0), |cpu| cpu.run_in_turn(&[2, 3, 0]))
        .cpu(User(1), |cpu| {
            cpu.run_kernel_thread();
            cpu.engine().leave();
            cpu.run_in_turn(&[0]);
        })
        .spaces(4, [1, 1])
}

/// CPU 1 is lazy on A, which dies, while CPU 0 runs more spaces than there are tags.
fn final_drop<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    scenario
        .cpu(User(0), |cpu| {
            dies_mapped(cpu);
            cpu.run_in_turn(&[1, 2, 3]);
        })
        .cpu(Lazy(0), |cpu| cpu.run_in_turn(&[3]))
        .spaces(4, [0, 1])
}

/// Ends the last thread of A, whose frames others still use: nothing is unmapped, so a CPU that is lazy on A can still
/// walk it.
fn dies_mapped<S: TestMachine>(cpu: &Cpu<'_, S>) {
    cpu.run_kernel_thread();
    cpu.die_mapped(0);
}
