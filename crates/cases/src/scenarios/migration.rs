//! Threads that are moved to another CPU between sending a flush and waiting for it.

use super::list::List;
use super::machines::{Plain, Tagged};
use crate::engine::Start::{Kernel, Lazy, User};

const TWO: &[&str] = &["two", "migration"];
const THREE: &[&str] = &["three", "migration"];

pub(super) fn add(list: &mut List) {
    page(list);
    table(list);
    kernel_memory(list);
}

fn page(list: &mut List) {
    list.scenario::<Plain>("migration-to-target", TWO)
        .about(
            "a thread sends an unmap, is moved to a CPU that has yet to flush, and waits for that CPU there",
        )
        .cpu(User(0), |cpu| cpu.send_unmap(0, 0, 1))
        .cpu(User(0), |cpu| cpu.finish_carried(0, 1))
        .pso()
        .add();
    list.scenario::<Plain>("migration-masked", TWO)
        .about("the same with interrupts off: the CPU handles its own IPI while it waits for itself")
        .cpu(User(0), |cpu| cpu.send_unmap(0, 0, 1))
        .cpu(User(0), |cpu| cpu.finish_carried_masked(0, 1))
        .add();
    list.scenario::<Plain>("migration-to-outsider", THREE)
        .about(
            "a thread sends an unmap and is moved to a CPU without the space, while a third has yet to flush",
        )
        .cpu(User(0), |cpu| cpu.send_unmap(0, 0, 1))
        .cpu(Kernel, |cpu| cpu.finish_carried(0, 1))
        .cpu(User(0), |_| {})
        .add();
    list.scenario::<Plain>("migration-from-leaver", TWO)
        .about("a thread sends an unmap and is moved, and the CPU that it came from leaves the space and returns")
        .cpu(User(0), |cpu| {
            cpu.send_unmap(0, 0, 1);
            cpu.run_in_turn(&[1, 0]);
        })
        .cpu(User(0), |cpu| cpu.finish_carried(0, 1))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Tagged>("migration-to-kept-tag", TWO)
        .about(
            "a thread sends an unmap, is moved to a CPU that left the space and kept its tag, and runs there once it is done",
        )
        .cpu(User(0), |cpu| cpu.send_unmap(0, 0, 1))
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1]);
            cpu.finish_carried(0, 1);
            cpu.run_in_turn(&[0]);
        })
        .spaces(2, [0, 1])
        .pso()
        .add();
}

fn table(list: &mut List) {
    list.scenario::<Plain>("migration-table-free", TWO)
        .about("a thread that frees a page table is moved to a CPU that is lazy on the space and may still walk it")
        .cpu(User(0), |cpu| cpu.send_unmap_table(0, 1))
        .cpu(Lazy(0), |cpu| cpu.finish_carried(0, 1))
        .add();
    list.scenario::<Plain>("split-table-free", TWO)
        .about("the same where the thread stays, and the lazy CPU is another one")
        .cpu(User(0), |cpu| {
            cpu.send_unmap_table(0, 1);
            cpu.finish_carried(0, 1);
        })
        .cpu(Lazy(0), |_| {})
        .add();
}

fn kernel_memory(list: &mut List) {
    list.scenario::<Plain>("migration-kernel-memory", TWO)
        .about("a thread sends an unmap of kernel memory and is moved to a CPU that has yet to flush")
        .cpu(User(0), |cpu| cpu.send_unmap_kernel(0, 1))
        .cpu(Lazy(0), |cpu| cpu.finish_carried_kernel(0, 1))
        .kernel_pages(1)
        .pso()
        .add();
    list.scenario::<Plain>("migration-kernel-from-gone", TWO)
        .about(
            "the same where the CPU that sent it goes off line, so that the one that waits is the only one on line",
        )
        .cpu(Lazy(0), |cpu| {
            cpu.send_unmap_kernel(0, 1);
            cpu.go_offline();
        })
        .cpu(User(0), |cpu| cpu.finish_carried_kernel(0, 1))
        .kernel_pages(1)
        .pso()
        .add();
}
