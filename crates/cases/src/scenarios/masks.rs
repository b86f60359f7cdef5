//! Masks of spaces: CPUs join, leave, and are asked to leave, while others flush.

use super::list::{FOUR, List, Scenario, THREE, TWO};
use super::machines::{Keep, Plain, Tagged, Trims};
use crate::engine::Start::{Kernel, Lazy, User};
use crate::engine::{Code, TestMachine};

pub(super) fn add(list: &mut List) {
    switching(list);
    trimming(list);
    deep(list);
}

fn switching(list: &mut List) {
    list.scenario::<Tagged>("switch-in", TWO)
        .about("a CPU switches into a space while another unmaps from it")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .pso()
        .add();
    list.scenario::<Plain>("switch-vs-flush", THREE)
        .about("two CPUs switch between two spaces while a third unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| cpu.run_in_turn(&[0]))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [1, 1])
        .add();
}

fn trimming(list: &mut List) {
    list.scenario::<Plain>("trim-vs-borrow", THREE)
        .about("the seed's exercise: trimming while a kernel thread borrows")
        .cpu(User(0), |cpu| {
            cpu.trim(0);
            cpu.unmap(0, 0);
        })
        .cpu(Lazy(0), |cpu| cpu.upgrade_and_borrow_once(0))
        .cpu(Lazy(0), |_| {})
        .pins(1)
        .add();
    list.scenario::<Keep>("trim-kept-bits", THREE)
        .about("bits that switching CPUs left behind are trimmed on request")
        .cpu(User(0), |cpu| {
            cpu.trim(0);
            cpu.unmap(0, 0);
        })
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .cpu(Kernel, |cpu| cpu.trim(0))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Trims>("flush-trims", TWO)
        .about("a flush asks a CPU that runs elsewhere to leave the mask, and that one comes back while another flush begins")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap(0, 1);
        })
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .pso()
        .add();
    ends_after::<Trims>(
        list.scenario("flush-trims-then-end", TWO)
            .about("a flush asks a CPU that runs elsewhere to leave the mask, then the space dies"),
        |cpu| {
            cpu.unmap(0, 0);
            cpu.exit(0);
        },
    );
    ends_after::<Trims>(
        list.scenario("split-flush-trims-then-end", TWO)
            .about("the same of a flush that is sent and waited for"),
        |cpu| {
            cpu.unmap_split(0, 0);
            cpu.exit(0);
        },
    );
    list.scenario::<Keep>("trim-vs-hotplug", THREE)
        .about("a CPU that is asked to trim goes off and on line")
        .cpu(User(0), |cpu| cpu.trim(0))
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1]);
            cpu.cycle();
        })
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .spaces(2, [0, 1])
        .add();
    ends_after::<Keep>(
        list.scenario("trim-that-unwinds", TWO)
            .about("a trim unwinds when it has asked, the space dies, and the CPU that was asked answers"),
        |cpu| {
            cpu.trim_that_unwinds(0);
            cpu.exit(0);
        },
    );
}

/// Adds a scenario in which the space dies after `trims` has asked a CPU that runs elsewhere to leave the mask.
fn ends_after<S: TestMachine>(scenario: Scenario<'_, S>, trims: Code<S>) {
    scenario
        .cpu(User(0), trims)
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1]);
            cpu.put(0, cpu.user(0));
        })
        .spaces(2, [0, 1])
        .dies(true)
        .pso()
        .add();
}

fn deep(list: &mut List) {
    list.scenario::<Plain>("four-two-spaces", FOUR)
        .about("two spaces are unmapped while two CPUs change between them")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| cpu.unmap(1, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .cpu(User(1), |cpu| cpu.run_in_turn(&[0]))
        .spaces(2, [1, 1])
        .deep()
        .add();
    list.scenario::<Plain>("deep-three", &["three", "deep"])
        .about("3 CPUs, 2 spaces, 2 pages, 8 calls: an unmap of each space while everybody changes sides and goes lazy")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.run_in_turn(&[1]);
            cpu.unmap(1, 1);
        })
        .cpu(User(1), |cpu| {
            cpu.run_in_turn(&[0]);
            cpu.run_kernel_thread();
        })
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1]);
            cpu.run_kernel_thread();
            cpu.run_in_turn(&[0]);
        })
        .spaces(2, [1, 2])
        .deep()
        .add();
}
