//! Tag allocators: rollover, wrap, and unmaps meanwhile. On two CPUs tags number two more than CPUs, the least that
//! works, so that every space that comes without a tag makes generations roll over.

use super::list::{List, Scenario};
use super::machines::{ByBroadcasts, ByIpis, Tagged, machines};
use crate::engine::Start::User;
use crate::engine::{Code, Cpu, Everywhere, History, TestMachine, Transport};
use shootdown::Platform;
use shootdown::tags::{
    FlushByBroadcast, FlushByIpi, GlobalAsids, GlobalOverLocal, PerCpuSlots, VersionedContexts, Vmids,
};
use std::marker::PhantomData;

const TAGS: &[&str] = &["tags"];
const TWO_TAGS: &[&str] = &["two", "tags"];

/// Global tags, generations of three bits, IPIs.
type Asids = ByIpis<GlobalAsids<'static, FlushByIpi, 3>>;
/// The same with broadcasts.
type BroadcastAsids = ByBroadcasts<GlobalAsids<'static, FlushByBroadcast, 3>>;
/// Context numbers with versions of three bits.
type Contexts = ByIpis<VersionedContexts<'static, 2, 3>>;
/// VMIDs with generations of three bits.
type Vms = ByBroadcasts<Vmids<'static, Everywhere, 3>>;
/// One tag a CPU, two global ones.
type Shared = ByBroadcasts<GlobalOverLocal<'static, Everywhere, 1>>;

machines! {
    /// One tag a CPU: every switch reuses it.
    OneTag: PerCpuSlots<1> {
        const TAGS: usize = 1;
    }

    /// A ceiling of one page: two pages are a full flush.
    LowCeiling: PerCpuSlots<2> {
        const TAGS: usize = 2;
        const CEILING: u64 = 1;
    }

    /// [`Asids`] with one tag more, for a device.
    PinnedAsids: GlobalAsids<'static, FlushByIpi, 3> {
        const TAGS: usize = 4;
    }

    /// [`BroadcastAsids`] with one tag more; A's is void, both CPUs have flushed since, and one is free.
    RenewedAsids: GlobalAsids<'static, FlushByBroadcast, 3> {
        const TAGS: usize = 4;
        const TRANSPORT: Transport = Transport::TagBroadcast;
        fn before(history: &History<'_, Self>) {
            [2, 3, 4].into_iter().for_each(|space| history.run(0, space));
            [3, 1].into_iter().for_each(|space| history.run(1, space));
        }
    }

    /// [`BroadcastAsids`], where C has the last tag.
    FullAsids: GlobalAsids<'static, FlushByBroadcast, 3> {
        const TAGS: usize = 3;
        const TRANSPORT: Transport = Transport::TagBroadcast;
        fn before(history: &History<'_, Self>) {
            [2, 0].into_iter().for_each(|space| history.run(0, space));
        }
    }

    /// [`Contexts`] on CPUs that share a TLB.
    SharedTlbContexts: VersionedContexts<'static, 2, 3> {
        const TAGS: usize = 3;
        const SHARED_TLB: u8 = 0b11;
    }

    /// [`Shared`]; A has the first global tag, and CPU 1 has run it.
    LongShared: GlobalOverLocal<'static, Everywhere, 1> {
        const TAGS: usize = 3;
        const TRANSPORT: Transport = Transport::TagBroadcast;
        fn before(history: &History<'_, Self>) {
            let shared = history.on(0).share_tag(history.space(0));
            assert!(shared.is_ok(), "{shared:?}");
            [0, 1].into_iter().for_each(|space| history.run(1, space));
        }
    }
}

/// A policy whose generations roll over.
trait RollsOver {
    /// Rollovers so far.
    fn rollovers(&self) -> u64;
}

/// A machine two generations of three bits before they wrap; E ran in the first one alone.
struct Old<M>(PhantomData<M>);
impl<M: TestMachine<Tags: RollsOver>> TestMachine for Old<M> {
    type Tags = M::Tags;
    const TAGS: usize = M::TAGS;
    const TRANSPORT: Transport = M::TRANSPORT;
    fn before(history: &History<'_, Self>) {
        history.run(0, 4);
        // Six rollovers: CPU 0 runs C, D and A in turn and ends in A, CPU 1 stays in B.
        [2, 3, 0, 2, 3, 0].into_iter().for_each(|space| history.run(0, space));
        assert_eq!(
            history.on(0).platform().tags().rollovers(),
            6,
            "two before generations of three bits wrap"
        );
    }
}

pub(super) fn add(list: &mut List) {
    slots(list);
    asids(list);
    asid_broadcasts(list);
    contexts(list);
    vmids(list);
    global_tags(list);
}

/// Spaces that each have a thread that sleeps; A runs on CPU 0, B on CPU 1.
fn spaces<S: TestMachine>(
    scenario: Scenario<'_, S>,
    spaces: usize,
    first: Code<S>,
    second: Code<S>,
) -> Scenario<'_, S> {
    scenario.cpu(User(0), first).cpu(User(1), second).spaces(spaces, [1, 1])
}

/// More spaces than tags take turns on both CPUs while B is unmapped.
fn rolls_over<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    let first: Code<S> = |cpu| {
        cpu.run_in_turn(&[2, 3]);
        cpu.unmap(1, 0);
        cpu.run_in_turn(&[0]);
    };
    spaces(scenario, 4, first, |cpu| cpu.run_in_turn(&[3, 1, 2]))
}

/// Generations wrap while B is unmapped, and E comes back.
fn wraps<S: TestMachine<Tags: RollsOver>>(cpu: &Cpu<'_, S>) {
    cpu.run_in_turn(&[2, 3]);
    cpu.unmap(1, 0);
    cpu.run_in_turn(&[4]);
    assert!(cpu.engine().platform().tags().rollovers() > 7, "generations have wrapped");
}

/// Puts the virtual CPU that runs here.
fn put_vcpu<S: TestMachine>(cpu: &Cpu<'_, S>) {
    cpu.run_kernel_thread();
    cpu.engine().leave();
}

fn slots(list: &mut List) {
    let first: Code<Tagged> = |cpu| {
        cpu.run_in_turn(&[1, 2]);
        cpu.unmap(1, 0);
        cpu.run_in_turn(&[3, 0, 1]);
    };
    spaces(list.scenario("slots-reuse", TAGS), 4, first, |cpu| cpu.run_in_turn(&[3, 1, 2, 1]))
        .about("each CPU's own tags go from space to space while one is unmapped")
        .pso()
        .add();
    list.scenario::<OneTag>("tag-reuse", &["three", "tags"])
        .about("spaces take turns on one tag while one of them is unmapped")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<LowCeiling>("warm-tags", &["three", "tags"])
        .about("a CPU returns to a warm tag after unmaps of which it was not told")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_table(0);
        })
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .cpu(User(0), |_| {})
        .spaces(2, [0, 1])
        .add();
}

fn asids(list: &mut List) {
    rolls_over(list.scenario::<Asids>("asid-rollover", TAGS))
        .about("CPUs switch among more spaces than there are ASIDs while one is unmapped")
        .add();
    let scenario = list.scenario::<Old<Asids>>("asid-generation-wrap", TAGS);
    spaces(scenario, 5, wraps, |cpu| cpu.run_in_turn(&[3, 4, 1]))
        .about("generations of ASIDs wrap, and a space comes back that slept since the first")
        .add();
    let first: Code<PinnedAsids> = |cpu| {
        cpu.pin_tag(0, 1);
        cpu.run_in_turn(&[2, 3]);
        cpu.unmap(0, 0);
        cpu.pin_tag(0, 1);
        cpu.unpin_tag(0);
        cpu.unpin_tag(0);
        cpu.run_in_turn(&[4, 1]);
    };
    spaces(list.scenario("asid-pinned", TAGS), 5, first, |cpu| cpu.run_in_turn(&[4, 0, 3, 2]))
        .about("a pinned ASID outlives rollovers and is free afterwards")
        .add();
}

fn asid_broadcasts(list: &mut List) {
    list.scenario::<BroadcastAsids>("asid-broadcast", TAGS)
        .about("flushes are broadcasts under ASIDs that roll over meanwhile")
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[2, 3, 1, 0]);
            cpu.unmap(0, 0);
        })
        .cpu(User(0), |cpu| {
            cpu.unmap_table(1);
            cpu.run_in_turn(&[3]);
            cpu.unmap(0, 1);
            cpu.run_in_turn(&[2]);
        })
        .spaces(4, [1, 1])
        .contested()
        .add();
    list.scenario::<RenewedAsids>("asid-renewal", TWO_TAGS)
        .about("a space gets another ASID while a flush is broadcast under the one it had")
        .cpu(User(4), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| cpu.run_in_turn(&[0]))
        .spaces(5, [1, 1])
        .pso()
        .add();
    list.scenario::<FullAsids>("asid-switch-vs-table-free", TWO_TAGS)
        .about("a space that a CPU is just leaving gets another ASID, and its table is freed by a broadcast")
        .cpu(User(0), |cpu| cpu.run_in_turn(&[2]))
        .cpu(User(1), |cpu| {
            cpu.run_in_turn(&[3, 0]);
            cpu.unmap_table(0);
        })
        .spaces(4, [1, 1])
        .add();
}

fn contexts(list: &mut List) {
    rolls_over(list.scenario::<SharedTlbContexts>("contexts-rollover", TAGS))
        .about("context numbers run out on CPUs that share a TLB while a space is unmapped")
        .add();
    let scenario = list.scenario::<Old<Contexts>>("contexts-version-wrap", TAGS);
    spaces(scenario, 5, wraps, |cpu| cpu.run_in_turn(&[3, 4, 1]))
        .about("versions of context numbers wrap, and a space comes back that slept since the first")
        .add();
}

fn vmids(list: &mut List) {
    list.scenario::<Vms>("vmid-rollover", TAGS)
        .about("virtual CPUs are loaded and put while VMIDs run out and a machine is unmapped")
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[2]);
            put_vcpu(cpu);
            cpu.unmap(1, 0);
            cpu.run_in_turn(&[3, 0]);
        })
        .cpu(User(1), |cpu| {
            put_vcpu(cpu);
            cpu.run_in_turn(&[3, 1]);
            cpu.unmap(0, 0);
        })
        .spaces(4, [1, 1])
        .add();
    let second: Code<Old<Vms>> = |cpu| {
        put_vcpu(cpu);
        cpu.run_in_turn(&[3, 4]);
    };
    spaces(list.scenario("vmid-generation-wrap", TAGS), 5, wraps, second)
        .about("generations of VMIDs wrap, and a machine comes back that slept since the first")
        .add();
}

fn global_tags(list: &mut List) {
    list.scenario::<Shared>("global-tag", TAGS)
        .about("a space moves to one tag for all CPUs while both run it, leave it and unmap from it")
        .cpu(User(0), |cpu| {
            cpu.share_tag(0);
            cpu.unmap_table(0);
        })
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1, 0]);
            cpu.unmap(0, 0);
            cpu.run_kernel_thread();
        })
        .spaces(2, [1, 1])
        .contested()
        .pso()
        .add();
    list.scenario::<LongShared>("global-tag-wrap", TAGS)
        .about("a space dies unflushed, and another gets its global tag on a CPU that has run both")
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.die_mapped(0);
            cpu.share_tag(1);
            cpu.share_tag(2);
            cpu.run_in_turn(&[1]);
            cpu.unmap(2, 0);
        })
        .cpu(User(1), |cpu| cpu.run_in_turn(&[2, 3, 2]))
        .spaces(4, [0, 1])
        .pso()
        .add();
}

impl RollsOver for GlobalAsids<'static, FlushByIpi, 3> {
    fn rollovers(&self) -> u64 {
        self.rollovers()
    }
}

impl RollsOver for VersionedContexts<'static, 2, 3> {
    fn rollovers(&self) -> u64 {
        self.rollovers()
    }
}

impl RollsOver for Vmids<'static, Everywhere, 3> {
    fn rollovers(&self) -> u64 {
        self.rollovers()
    }
}
