//! NMIs wherever the engine has interrupts off: a scenario for each of its spans, on both CPUs.

use super::list::{List, Scenario};
use super::machines::machines;
use crate::engine::Start::{Kernel, Lazy, User};
use crate::engine::{Everywhere, Nmi, TestMachine, Transport};
use shootdown::tags::{GlobalOverLocal, Untagged};

const HARD: &[&str] = &["hard"];

machines! {
    /// NMIs whose handler asks before it looks at user memory.
    Asks: Untagged {
        const NMI: Nmi = Nmi::Asks;
    }

    /// The same with one tag a CPU, and a global one.
    AsksShared: GlobalOverLocal<'static, Everywhere, 1> {
        const TAGS: usize = 2;
        const TRANSPORT: Transport = Transport::TagBroadcast;
        const NMI: Nmi = Nmi::Asks;
    }
}

pub(super) fn add(list: &mut List) {
    flushing(list);
    loading(list);
    nobody_runs_it(list);
}

fn switches<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    scenario
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
}

fn flushing(list: &mut List) {
    list.scenario::<Asks>("nmi-flush", HARD)
        .about("an NMI comes while two CPUs flush each other")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.unmap(0, 1))
        .add();
    list.scenario::<Asks>("nmi-handle-ipi", HARD)
        .about("an NMI comes while CPUs wait with interrupts off")
        .cpu(User(0), |cpu| cpu.unmap_masked(0, 0))
        .cpu(User(0), |cpu| cpu.unmap_masked(0, 1))
        .add();
    list.scenario::<AsksShared>("nmi-tags", HARD)
        .about("an NMI comes while a space moves to a tag for all CPUs")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.share_tag(0))
        .add();
    list.scenario::<Asks>("nmi-create", HARD)
        .about("an NMI comes while two CPUs make spaces, under an unmap")
        .cpu(User(0), |cpu| {
            cpu.make_space();
            cpu.unmap(0, 0);
        })
        .cpu(User(0), |cpu| {
            cpu.make_space();
            cpu.make_space();
        })
        .add();
}

fn loading(list: &mut List) {
    switches(list.scenario::<Asks>("nmi-switch", HARD))
        .about("an NMI comes while a CPU switches, under an unmap")
        .add();
    list.scenario::<Asks>("nmi-lazy", HARD)
        .about("an NMI comes while a CPU goes lazy and returns")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.run_in_turn(&[0]);
        })
        .add();
    list.scenario::<Asks>("nmi-borrow", HARD)
        .about("an NMI comes while a kernel thread borrows")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Kernel, |cpu| cpu.upgrade_and_borrow_once(0))
        .pins(1)
        .add();
    list.scenario::<Asks>("nmi-temporary", HARD)
        .about("an NMI comes while a temporary space is loaded")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.patch(1, true))
        .spaces(2, [0, 1])
        .add();
}

fn nobody_runs_it(list: &mut List) {
    list.scenario::<Asks>("nmi-leave", HARD)
        .about("an NMI comes while a space dies under a lazy CPU")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Lazy(0), |_| {})
        .dies(true)
        .add();
    list.scenario::<Asks>("nmi-hotplug", HARD)
        .about("an NMI comes while a CPU goes off and on line")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.cycle();
            cpu.run_in_turn(&[0]);
        })
        .add();
}

#[cfg(test)]
mod tests {
    use super::super::list::List;
    use super::super::machines::machines;
    use super::{HARD, switches};
    use crate::engine::{Fault, Nmi, Oracles};
    use shootdown::tags::Untagged;
    use shootdown_explore::{Options, Verdict};

    machines! {
        /// NMIs whose handler looks at user memory whatever the CPU does.
        Blunt: Untagged {
            const NMI: Nmi = Nmi::Blunt;
        }
    }

    #[test]
    fn an_nmi_that_does_not_ask_reads_user_memory_in_the_middle_of_a_switch() {
        let mut list = List::new(Fault::NONE, Oracles::Machine);
        switches(list.scenario::<Blunt>("nmi-blunt", HARD)).add();
        let report = (list.cases[0].run)(&Options { shortest: false, ..Options::default() });
        assert!(matches!(report.verdict, Verdict::Violates(_)), "{:?}", report.verdict);
    }
}
