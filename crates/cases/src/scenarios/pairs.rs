//! Every pair of operations of the engine on two CPUs.

use super::list::List;
use super::machines::Plain;
use crate::engine::Start::{Kernel, Lazy, User};
use crate::engine::{Code, Start};

/// An operation: its name, how its CPU starts, and what it does.
type Operation = (&'static str, Start, Code<Plain>);

const OPERATIONS: &[Operation] = &[
    ("unmap", User(0), |cpu| cpu.unmap(0, cpu.id())),
    ("split", User(0), |cpu| cpu.unmap_split(0, cpu.id())),
    ("masked", User(0), |cpu| cpu.unmap_masked(0, cpu.id())),
    ("table", User(0), |cpu| cpu.unmap_table(0)),
    ("all", User(0), |cpu| cpu.flush_all(0)),
    ("kernel", User(0), |cpu| cpu.unmap_kernel(cpu.id())),
    ("switch", User(0), |cpu| cpu.run_in_turn(&[1, 0])),
    ("lazy", User(0), |cpu| {
        cpu.run_kernel_thread();
        cpu.run_in_turn(&[0]);
    }),
    ("leave", Lazy(0), |cpu| {
        cpu.engine().leave();
    }),
    ("borrow", Kernel, |cpu| cpu.upgrade_and_borrow_once(0)),
    ("temporary", Lazy(0), |cpu| cpu.patch(1, false)),
    ("trim", User(0), |cpu| cpu.trim(0)),
    ("exit", User(0), |cpu| cpu.exit(0)),
    ("hotplug", Lazy(0), |cpu| cpu.cycle()),
];

/// Adds a case for each pair, an operation with itself included.
pub(super) fn add(list: &mut List) {
    for (index, first) in OPERATIONS.iter().enumerate() {
        for second in &OPERATIONS[index..] {
            pair(list, first, second);
        }
    }
}

fn pair(list: &mut List, first: &Operation, second: &Operation) {
    let both = [first, second];
    let owners = both.iter().filter(|operation| operation.1 == User(0)).count();
    let exits = both.iter().filter(|operation| operation.0 == "exit").count();
    let borrows = both.iter().filter(|operation| operation.0 == "borrow").count();
    list.scenario(&format!("pair-{}-{}", first.0, second.0), &["pairs"])
        .about(&format!("{} on one CPU, {} on the other", first.0, second.0))
        .cpu(first.1, first.2)
        .cpu(second.1, second.2)
        .spaces(2, [u64::from(owners == 0), 2])
        .pins(borrows as u64)
        .dies(exits > 0 && exits == owners)
        .kernel_pages(2)
        .contested()
        .add();
}
