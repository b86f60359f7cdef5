//! Kernel memory: its page tables, and the history of its recent flushes.

use super::catalog::List;
use super::{BOTH, Broadcast, Plain, Tagged, named, plan};
use crate::engine::cpu::Cpu;
use crate::engine::sim::TestMachine;
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::Tso;

const TWO: &[&str] = &["two", "kernel"];

pub(super) fn add(list: &mut List) {
    let scenarios = [table_free, table_missed, table_tags, table_broadcast, history_race, table_history_race];
    for scenario in scenarios {
        scenario(list);
    }
}

fn with_table<S: TestMachine>(first: Code<S>, second: (Start, Code<S>)) -> Plan<S> {
    Plan { kernel_pages: 2, kernel_table: true, ..plan(vec![(Start::User(0), first), second]) }
}

fn idles<S: TestMachine>(_: &Cpu<'_, S>) {}

fn table_free(list: &mut List) {
    let about = "a page table of the kernel's is freed while another CPU, which is lazy, may still walk it";
    list.add(&named("kernel-table-free", TWO, BOTH, about), || {
        with_table::<Plain>(|cpu| cpu.unmap_kernel_table(), (Start::Lazy(0), idles))
    });
}

fn table_missed(list: &mut List) {
    let about = "a CPU that has missed several kernel flushes, of which the first freed a table, catches up with all of them";
    list.add(&named("kernel-table-missed", TWO, &[Tso], about), || {
        with_table::<Plain>(|cpu| cpu.unmap_kernel_table_in_batch(), (Start::User(0), idles))
    });
}

fn table_tags(list: &mut List) {
    let about = "a page table of the kernel's is freed while a CPU changes between tags, under each of which it may have it cached";
    list.add(&named("kernel-table-tags", TWO, &[Tso], about), || {
        let switches: Code<Tagged> = |cpu| {
            let (a, b) = (cpu.user(0), cpu.user(1));
            cpu.run(&b);
            cpu.run(&a);
            let _ = a.into_handle();
            let _ = b.into_handle();
        };
        let plan = with_table(|cpu| cpu.unmap_kernel_table(), (Start::User(0), switches));
        Plan { spaces: 2, sleepers: [0, 1], ..plan }
    });
}

fn table_broadcast(list: &mut List) {
    let about = "a page table of the kernel's is freed by a broadcast, or by IPIs, as the platform pleases";
    list.add(&named("kernel-table-broadcast", TWO, &[Tso], about), || {
        with_table::<Broadcast>(|cpu| cpu.unmap_kernel_table_in_batch(), (Start::Lazy(0), idles))
    });
}

fn history_race(list: &mut List) {
    let about = "kernel flushes overtake a CPU that catches up: the history loses what it has planned and not yet flushed";
    list.add(&named("kernel-history-race", TWO, &[Tso], about), || {
        let first: Code<Tagged> = |cpu| cpu.unmap_kernel_in_batch();
        Plan { kernel_pages: 2, ..plan(vec![(Start::User(0), first), (Start::User(0), idles)]) }
    });
}

fn table_history_race(list: &mut List) {
    let about = "the same, and what the history loses is the freeing of a kernel table";
    list.add(&named("kernel-table-history-race", TWO, &[Tso], about), || {
        with_table::<Tagged>(|cpu| cpu.unmap_kernel_table_in_batch(), (Start::Lazy(0), idles))
    });
}
