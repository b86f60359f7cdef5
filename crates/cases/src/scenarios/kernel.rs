//! Kernel memory: its page tables, and the history of its recent flushes.

use super::list::{List, TWO};
use super::machines::{Broadcast, Plain, Tagged};
use crate::engine::Start::{Lazy, User};

const KERNEL: &[&str] = &["two", "kernel"];

pub(super) fn add(list: &mut List) {
    list.scenario::<Plain>("kernel-memory", TWO)
        .about("two CPUs unmap kernel pages")
        .cpu(User(0), |cpu| cpu.unmap_kernel(0))
        .cpu(Lazy(0), |cpu| cpu.unmap_kernel(1))
        .kernel_pages(2)
        .pso()
        .add();
    tables(list);
    list.scenario::<Tagged>("kernel-history-race", KERNEL)
        .about(
            "kernel flushes overtake a CPU that catches up: the history loses what it has planned and not yet flushed",
        )
        .cpu(User(0), |cpu| cpu.unmap_kernel_in_batch())
        .cpu(User(0), |_| {})
        .kernel_pages(2)
        .add();
    list.scenario::<Tagged>("kernel-table-history-race", KERNEL)
        .about("the same, and what the history loses is the freeing of a kernel table")
        .cpu(User(0), |cpu| cpu.unmap_kernel_table_in_batch())
        .cpu(Lazy(0), |_| {})
        .kernel_table()
        .add();
}

fn tables(list: &mut List) {
    list.scenario::<Plain>("kernel-table-free", KERNEL)
        .about("a page table of the kernel's is freed while another CPU, which is lazy, may still walk it")
        .cpu(User(0), |cpu| cpu.unmap_kernel_table())
        .cpu(Lazy(0), |_| {})
        .kernel_table()
        .pso()
        .add();
    list.scenario::<Plain>("kernel-table-missed", KERNEL)
        .about(
            "a CPU that has missed several kernel flushes, of which the first freed a table, catches up with all of them",
        )
        .cpu(User(0), |cpu| cpu.unmap_kernel_table_in_batch())
        .cpu(User(0), |_| {})
        .kernel_table()
        .add();
    list.scenario::<Tagged>("kernel-table-tags", KERNEL)
        .about(
            "a page table of the kernel's is freed while a CPU changes between tags, under each of which it may have \
             it cached",
        )
        .cpu(User(0), |cpu| cpu.unmap_kernel_table())
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .kernel_table()
        .add();
    list.scenario::<Broadcast>("kernel-table-broadcast", KERNEL)
        .about("a page table of the kernel's is freed by a broadcast, or by IPIs, as the platform pleases")
        .cpu(User(0), |cpu| cpu.unmap_kernel_table_in_batch())
        .cpu(Lazy(0), |_| {})
        .kernel_table()
        .add();
}
