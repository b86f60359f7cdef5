//! Every pair of operations of the engine on two CPUs.

use super::Plain;
use super::catalog::{Entry, List};
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::Tso;

/// An operation, by name: how its CPU starts, and what it does.
pub(crate) struct Operation {
    name: &'static str,
    start: Start,
    /// Whether it takes up a struct reference.
    pins: u64,
    code: Code<Plain>,
}

const fn operation(name: &'static str, start: Start, pins: u64, code: Code<Plain>) -> Operation {
    Operation { name, start, pins, code }
}

const OPERATIONS: &[Operation] = &[
    operation("unmap", Start::User(0), 0, |cpu| cpu.unmap(0, cpu.id())),
    operation("split", Start::User(0), 0, |cpu| cpu.unmap_split(0, cpu.id())),
    operation("masked", Start::User(0), 0, |cpu| cpu.unmap_masked(0, cpu.id())),
    operation("table", Start::User(0), 0, |cpu| cpu.unmap_table(0)),
    operation("all", Start::User(0), 0, |cpu| cpu.flush_all(0)),
    operation("kernel", Start::User(0), 0, |cpu| cpu.unmap_kernel(cpu.id())),
    operation("switch", Start::User(0), 0, |cpu| {
        let (a, b) = (cpu.user(0), cpu.user(1));
        cpu.run(&b);
        cpu.run(&a);
        let _ = a.into_handle();
        let _ = b.into_handle();
    }),
    operation("lazy", Start::User(0), 0, |cpu| {
        cpu.run_kernel_thread();
        let user = cpu.user(0);
        cpu.run(&user);
        let _ = user.into_handle();
    }),
    operation("leave", Start::Lazy(0), 0, |cpu| {
        cpu.engine().leave();
        cpu.forget(0);
    }),
    operation("borrow", Start::Kernel, 1, |cpu| {
        let pin = cpu.pinned(0);
        cpu.upgrade_and_borrow(0, &pin);
        cpu.drop_pin(pin);
    }),
    operation("temporary", Start::Lazy(0), 0, |cpu| {
        let temporary = cpu.user(1);
        cpu.patch(&temporary, false);
        let _ = temporary.into_handle();
    }),
    operation("trim", Start::User(0), 0, |cpu| cpu.trim(0)),
    operation("exit", Start::User(0), 0, |cpu| cpu.exit(0)),
    operation("hotplug", Start::Lazy(0), 0, |cpu| cpu.cycle()),
];

/// Adds a case for each pair, an operation with itself included.
pub(crate) fn add(list: &mut List) {
    for (index, first) in OPERATIONS.iter().enumerate() {
        for second in &OPERATIONS[index..] {
            let name = format!("pair-{}-{}", first.name, second.name);
            let about = format!("{} on one CPU, {} on the other", first.name, second.name);
            let entry =
                Entry { name: &name, about: &about, memories: &[Tso], groups: &["pairs"], deep: false };
            list.add_with(&entry, move || pair(first, second));
        }
    }
}

fn pair(first: &Operation, second: &Operation) -> Plan<Plain> {
    let starts = [first.start, second.start];
    let owners = starts.iter().filter(|start| **start == Start::User(0)).count();
    let exits = [first.name, second.name].iter().filter(|name| **name == "exit").count();
    let dies = exits > 0 && exits == owners;
    Plan {
        cpus: vec![(first.start, first.code), (second.start, second.code)],
        spaces: 2,
        sleepers: [u64::from(owners == 0), 2],
        pins: [first.pins + second.pins, 0],
        die: if dies { &[0] } else { &[] },
        tables: 1,
        kernel_pages: 2,
        kernel_table: false,
        acknowledged: false,
        resets: false,
        contested: true,
        context: 0,
        preempted: &[],
        missing: false,
    }
}
