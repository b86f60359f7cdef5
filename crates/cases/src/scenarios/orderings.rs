//! Orderings that weak memory alone asks for, each with the least that shows it: what the ordering tells a CPU, nothing
//! else tells it (`cargo xtask mutate --memory weak`).

use super::list::{List, THREE_WEAK};
use super::machines::{ByBroadcasts, Tagged, machines};
use crate::engine::Start::{Kernel, Lazy, User};
use crate::engine::{Code, Everywhere, History, TestMachine, Transport};
use shootdown::Platform;
use shootdown::flush::FlushRequest;
use shootdown::mask::OnLeave;
use shootdown::tags::{FlushByBroadcast, GlobalAsids, GlobalOverLocal, Untagged};
use shootdown_explore::Interrupts;
use shootdown_machine::HardwareOrder;

const WEAK: &[&str] = &["weak"];

/// One tag a CPU, two global ones.
type Shared = ByBroadcasts<GlobalOverLocal<'static, Everywhere, 1>>;

machines! {
    /// No tags; CPU 1 has flushed B some times, so that its generation is above A's.
    FarAhead: Untagged {
        fn before(history: &History<'_, Self>) {
            (0..4).for_each(|_| history.on(1).flush(history.space(1), FlushRequest::all()));
        }
    }

    /// No tags; both places of A's history name page 0, and CPU 1, which is lazy, has caught up with both.
    Recorded: Untagged {
        fn before(history: &History<'_, Self>) {
            history.flush_page(0, 0, 2);
            history.run(1, 0);
            history.on(1).enter_lazy();
        }
    }

    /// No tags, bits stay; CPU 1 runs B and is a member of A.
    Member: Untagged {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;

        fn before(history: &History<'_, Self>) {
            leave_behind(history);
        }
    }

    /// The same where interrupts overtake stores, but for the platform's barrier.
    MemberOvertaken: Untagged {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
        const INTERRUPTS: Interrupts = Interrupts::Overtake;

        fn before(history: &History<'_, Self>) {
            leave_behind(history);
        }
    }

    /// One tag a CPU, two global ones, where a broadcast is no fence for what its CPU reads and writes.
    SharedUnfenced: GlobalOverLocal<'static, Everywhere, 1> {
        const TAGS: usize = 3;
        const TRANSPORT: Transport = Transport::TagBroadcast;
        const ORDER: HardwareOrder = HardwareOrder::Barriers;
    }

    /// Global tags, generations of one bit. They have wrapped since E ran; D has its old tag, and one tag is free.
    Wrapped: GlobalAsids<'static, FlushByBroadcast, 1> {
        const TAGS: usize = 3;
        const TRANSPORT: Transport = Transport::TagBroadcast;

        fn before(history: &History<'_, Self>) {
            // B has tag 1 on CPU 1, E gets 2, C 3. The first rollover gives 2 to A; at the second both CPUs run B, so that 1 alone
            // is reserved, and 2 goes to D.
            [4, 2, 0, 1, 3].into_iter().for_each(|space| history.run(0, space));
            // CPU 1 takes the lock once, and may go without it from there on.
            [3, 1].into_iter().for_each(|space| history.run(1, space));
            let engine = history.on(0);
            assert_eq!(engine.platform().tags().rollovers(), 2, "generations of one bit wrap at the second");
            engine.enter_lazy();
            engine.leave();
        }
    }
}

/// CPU 1 goes from A to B, and keeps its bit.
fn leave_behind<S: TestMachine>(history: &History<'_, S>) {
    [0, 1].into_iter().for_each(|space| history.run(1, space));
}

pub(super) fn add(list: &mut List) {
    history(list);
    tags(list);
    trims(list, "trim-freed-by-another", false);
    trims(list, "trim-late-freed-by-another", true);
    list.scenario::<MemberOvertaken>("x2apic-trim", WEAK)
        .about("a CPU is asked to leave a space by an interrupt that overtakes stores")
        .cpu(Kernel, |cpu| cpu.trim(0))
        .cpu(User(1), |_| {})
        .spaces(2, [1, 0])
        .only_weak()
        .add();
    list.scenario::<FarAhead>("lazy-return-after-another-space", WEAK)
        .about("a CPU goes lazy and returns; the generation of the space before would pass for an acknowledgement")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| {
            cpu.run_in_turn(&[0]);
            cpu.run_kernel_thread();
            cpu.run_in_turn(&[0]);
        })
        .spaces(2, [0, 1])
        .only_weak()
        .add();
}

fn history(list: &mut List) {
    list.scenario::<Recorded>("lazy-return-vs-record", WEAK)
        .about("a lazy CPU returns and catches up with a request that is written over an older one")
        .cpu(User(0), |cpu| cpu.unmap(0, 1))
        .cpu(Lazy(0), |cpu| cpu.run_in_turn(&[0]))
        .spaces(1, [1, 0])
        .only_weak()
        .add();
    list.scenario::<Tagged>("record-over-record", WEAK)
        .about(
            "two CPUs write requests into one place of the history, and the first catches up with the second",
        )
        .cpu(User(0), |cpu| cpu.flush_page(0, 0))
        .cpu(Kernel, |cpu| cpu.unmap_behind_a_flush(0))
        .only_weak()
        .add();
}

fn tags(list: &mut List) {
    list.scenario::<Shared>("global-tag-twice", WEAK)
        .about("two spaces get global tags at once, and a CPU runs both")
        .cpu(User(0), |cpu| {
            cpu.share_tag(0);
            cpu.run_in_turn(&[1]);
        })
        .cpu(User(1), |cpu| cpu.share_tag(1))
        .spaces(2, [0, 1])
        .only_weak()
        .add();
    list.scenario::<SharedUnfenced>("global-tag-reuse", WEAK)
        .about("a page that was used under a CPU's own tag is unmapped by a broadcast under the global one")
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1]);
            cpu.share_tag(0);
        })
        .cpu(Kernel, |cpu| cpu.unmap(0, 0))
        .spaces(2, [1, 1])
        .only_weak()
        .add();
    list.scenario::<SharedUnfenced>("global-tag-reuse-by-third", THREE_WEAK)
        .about("a CPU leaves a space that another gives a global tag, under which a third frees a table by a broadcast")
        .cpu(Kernel, |cpu| cpu.share_tag(0))
        .cpu(Lazy(0), |cpu| cpu.engine().leave())
        .cpu(Kernel, |cpu| cpu.unmap_table(0))
        .spaces(1, [1, 0])
        .only_weak()
        .deep()
        .add();
    list.scenario::<Wrapped>("asid-wrap-renewal", WEAK)
        .about("a space that slept through a wrap gets an ASID on one CPU while another takes the path without a lock")
        .cpu(Kernel, |cpu| {
            cpu.run_in_turn(&[4]);
            cpu.unmap(4, 0);
        })
        .cpu(User(1), |cpu| cpu.run_in_turn(&[4]))
        .spaces(5, [1, 1])
        .only_weak()
        .add();
}

/// A CPU asks another to leave a space, which had done so by itself; a third one frees it. An answer that comes late is
/// waited for in another way.
fn trims(list: &mut List, name: &str, late: bool) {
    let trims: Code<Member> = |cpu| {
        let pin = cpu.pinned(0);
        cpu.trim(0);
        cpu.drop_pin(pin);
    };
    let scenario = list.scenario(name, THREE_WEAK);
    let scenario = if late { scenario.stalls() } else { scenario };
    scenario
        .about("a space that one CPU trims, and that another has just left by itself, is freed by a third")
        .cpu(Kernel, trims)
        .cpu(User(1), trims)
        .cpu(Kernel, |cpu| cpu.die_mapped(0))
        .spaces(2, [1, 0])
        .pins(2)
        .only_weak()
        .add();
}
