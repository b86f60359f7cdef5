//! Threads that are moved to another CPU between sending a flush and waiting for it.

use super::catalog::List;
use super::{BOTH, Plain, named, plan};
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::Tso;

const TWO: &[&str] = &["two", "migration"];
const THREE: &[&str] = &["three", "migration"];

pub(super) fn add(list: &mut List) {
    for scenario in
        [to_a_target, masked, table, table_here, kernel, kernel_from_gone, to_an_outsider, from_a_leaver]
    {
        scenario(list);
    }
}

fn to_a_target(list: &mut List) {
    let about =
        "a thread sends an unmap, is moved to a CPU that has yet to flush, and waits for that CPU there";
    list.add(&named("migration-to-target", TWO, BOTH, about), || {
        let sends: Code<Plain> = |cpu| cpu.send_unmap(0, 0, 1);
        let finishes: Code<Plain> = |cpu| cpu.finish_carried(0, 1);
        plan(vec![(Start::User(0), sends), (Start::User(0), finishes)])
    });
}

fn masked(list: &mut List) {
    let about = "the same with interrupts off: the CPU handles its own IPI while it waits for itself";
    list.add(&named("migration-masked", TWO, &[Tso], about), || {
        let sends: Code<Plain> = |cpu| cpu.send_unmap(0, 0, 1);
        let finishes: Code<Plain> = |cpu| cpu.finish_carried_masked(0, 1);
        plan(vec![(Start::User(0), sends), (Start::User(0), finishes)])
    });
}

fn table(list: &mut List) {
    let about =
        "a thread that frees a page table is moved to a CPU that is lazy on the space and may still walk it";
    list.add(&named("migration-table-free", TWO, &[Tso], about), || {
        let sends: Code<Plain> = |cpu| cpu.send_unmap_table(0, 1);
        let finishes: Code<Plain> = |cpu| cpu.finish_carried(0, 1);
        plan(vec![(Start::User(0), sends), (Start::Lazy(0), finishes)])
    });
}

fn kernel(list: &mut List) {
    let about = "a thread sends an unmap of kernel memory and is moved to a CPU that has yet to flush";
    list.add(&named("migration-kernel-memory", TWO, BOTH, about), || {
        let sends: Code<Plain> = |cpu| cpu.send_unmap_kernel(0, 1);
        let finishes: Code<Plain> = |cpu| cpu.finish_carried_kernel(0, 1);
        Plan { kernel_pages: 1, ..plan(vec![(Start::User(0), sends), (Start::Lazy(0), finishes)]) }
    });
}

fn table_here(list: &mut List) {
    let about = "the same where the thread stays, and the lazy CPU is another one";
    list.add(&named("split-table-free", TWO, &[Tso], about), || {
        let frees: Code<Plain> = |cpu| {
            cpu.send_unmap_table(0, 1);
            cpu.finish_carried(0, 1);
        };
        plan(vec![(Start::User(0), frees), (Start::Lazy(0), |_| {})])
    });
}

fn kernel_from_gone(list: &mut List) {
    let about = "the same where the CPU that sent it goes off line, so that the one that waits is the only one on line";
    list.add(&named("migration-kernel-from-gone", TWO, BOTH, about), || {
        let sends: Code<Plain> = |cpu| {
            cpu.send_unmap_kernel(0, 1);
            cpu.go_offline();
        };
        let finishes: Code<Plain> = |cpu| cpu.finish_carried_kernel(0, 1);
        Plan { kernel_pages: 1, ..plan(vec![(Start::Lazy(0), sends), (Start::User(0), finishes)]) }
    });
}

fn to_an_outsider(list: &mut List) {
    let about =
        "a thread sends an unmap and is moved to a CPU without the space, while a third has yet to flush";
    list.add(&named("migration-to-outsider", THREE, &[Tso], about), || {
        let sends: Code<Plain> = |cpu| cpu.send_unmap(0, 0, 1);
        let finishes: Code<Plain> = |cpu| cpu.finish_carried(0, 1);
        let runs: Code<Plain> = |_| {};
        plan(vec![(Start::User(0), sends), (Start::Kernel, finishes), (Start::User(0), runs)])
    });
}

fn from_a_leaver(list: &mut List) {
    let about =
        "a thread sends an unmap and is moved, and the CPU that it came from leaves the space and returns";
    list.add(&named("migration-from-leaver", TWO, &[Tso], about), || {
        let sends: Code<Plain> = |cpu| {
            cpu.send_unmap(0, 0, 1);
            let (a, b) = (cpu.user(0), cpu.user(1));
            cpu.run(&b);
            cpu.run(&a);
            let _ = a.into_handle();
            let _ = b.into_handle();
        };
        let finishes: Code<Plain> = |cpu| cpu.finish_carried(0, 1);
        let cpus = vec![(Start::User(0), sends), (Start::User(0), finishes)];
        Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
    });
}
