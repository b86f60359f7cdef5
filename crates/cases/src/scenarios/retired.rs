//! Flushes that nobody waits for: tickets, and frames behind them.

use super::list::{List, THREE};
use super::machines::{Broadcast, Plain, Tagged};
use crate::engine::Start::{Kernel, Lazy, User};

const TWO: &[&str] = &["two", "retired"];
const KERNEL: &[&str] = &["two", "kernel", "retired"];

pub(super) fn add(list: &mut List) {
    tickets(list);
    queues(list);
    gathers(list);
    kernel_memory(list);
}

fn tickets(list: &mut List) {
    list.scenario::<Plain>("ticket-vs-switch", TWO)
        .about(
            "a thread asks twice whether a flush is complete, while a CPU leaves the space and loads another",
        )
        .cpu(User(0), |cpu| cpu.ask_twice(0, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .pso()
        .add();
    list.scenario::<Plain>("ticket-vs-hotplug", TWO)
        .about("the same while a CPU goes off line and comes back to the space")
        .cpu(User(0), |cpu| cpu.ask_twice(0, 0))
        .cpu(Lazy(0), |cpu| {
            cpu.cycle();
            cpu.run_in_turn(&[0]);
        })
        .spaces(1, [1, 0])
        .add();
}

fn queues(list: &mut List) {
    list.scenario::<Plain>("retired-masked", TWO)
        .about("a thread with interrupts off retires an unmapped page, and gives it back when its ticket says so")
        .cpu(User(0), |cpu| cpu.retire_unmap_masked(0, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .pso()
        .add();
    list.scenario::<Plain>("retired-by-two", TWO)
        .about("two threads retire unmapped pages, and each is interrupted by the other's flush at any step")
        .cpu(User(0), |cpu| cpu.retire_unmap(0, 0))
        .cpu(User(0), |cpu| cpu.retire_unmap(0, 1))
        .add();
    list.scenario::<Plain>("retired-table", TWO)
        .about("a page table is retired while another CPU is lazy on the space, or returns to it")
        .cpu(User(0), |cpu| cpu.retire_table(0))
        .cpu(Lazy(0), |cpu| cpu.run_in_turn(&[0]))
        .spaces(1, [1, 0])
        .add();
    list.scenario::<Tagged>("retired-by-another", THREE)
        .about("a thread sends an unmap and is moved to a CPU without the space, where it retires the page")
        .cpu(User(0), |cpu| cpu.send_unmap(0, 0, 1))
        .cpu(Kernel, |cpu| cpu.retire_carried(0, 1))
        .cpu(User(0), |_| {})
        .add();
}

fn gathers(list: &mut List) {
    list.scenario::<Plain>("nested-gathers-retired", TWO)
        .about(
            "a gather finds the page cleared that another has cleared and retired, with its flush under way",
        )
        .cpu(User(0), |cpu| cpu.retire_unmap_and_tell(0, 0, 1))
        .cpu(User(0), |cpu| cpu.await_and_unmap_pages(1, 0, 0..1, &[0]))
        .contested()
        .add();
}

fn kernel_memory(list: &mut List) {
    list.scenario::<Plain>("kernel-gather", KERNEL)
        .about("two CPUs unmap kernel pages in gathers")
        .cpu(User(0), |cpu| cpu.gather_kernel(0))
        .cpu(Lazy(0), |cpu| cpu.gather_kernel(1))
        .kernel_pages(2)
        .pso()
        .add();
    list.scenario::<Broadcast>("kernel-gather-table", KERNEL)
        .about("a page table of the kernel's is freed in a gather, by a broadcast or by IPIs")
        .cpu(User(0), |cpu| cpu.gather_kernel_table())
        .cpu(Lazy(0), |_| {})
        .kernel_table()
        .add();
    list.scenario::<Plain>("kernel-retired", KERNEL)
        .about("a kernel page is retired while another CPU goes off line and comes back")
        .cpu(User(0), |cpu| cpu.retire_kernel(0))
        .cpu(Lazy(0), |cpu| cpu.cycle())
        .kernel_pages(1)
        .add();
}
