//! Flushes that CPUs are told of late: batches of several spaces (SD-17), and what waits for switches and ticks
//! (SD-18).

use super::list::List;
use super::machines::{Broadcast, Keep, Plain, Tagged};
use crate::engine::Start::{Kernel, Lazy, User};

const TWO: &[&str] = &["two", "batches"];
const THREE: &[&str] = &["three", "batches"];
const KERNEL: &[&str] = &["two", "kernel", "batches"];

pub(super) fn add(list: &mut List) {
    batches(list);
    batches_of_tables_and_pages(list);
    deferred(list);
    deferred_in_the_kernel(list);
}

fn batches(list: &mut List) {
    list.scenario::<Plain>("batch-of-spaces", THREE)
        .about("a CPU unmaps pages of two spaces in a batch, and each of them runs on another CPU")
        .cpu(Kernel, |cpu| cpu.unmap_batch([0, 1]))
        .cpu(User(0), |_| {})
        .cpu(User(1), |_| {})
        .spaces(2, [0, 0])
        .add();
    list.scenario::<Plain>("batch-vs-switch", TWO)
        .about("a CPU unmaps pages of two spaces in a batch, while another goes from one to the other")
        .cpu(User(0), |cpu| cpu.unmap_batch([0, 1]))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .pso()
        .add();
    list.scenario::<Tagged>("batch-vs-return", TWO)
        .about("the same where it keeps entries under tags, and comes back")
        .cpu(User(0), |cpu| cpu.unmap_batch([0, 1]))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Keep>("batch-kept-bits", TWO)
        .about("the same where masks keep the bits of CPUs that left")
        .cpu(User(0), |cpu| cpu.unmap_batch([1, 0]))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Broadcast>("batch-broadcast", TWO)
        .about("each part of a batch is carried out by a broadcast, or left to IPIs")
        .cpu(User(0), |cpu| cpu.unmap_batch([0, 1]))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Plain>("batch-retired", TWO)
        .about("the frames of a batch wait in a queue for the flushes of both spaces")
        .cpu(User(0), |cpu| cpu.retire_batch([0, 1]))
        .cpu(User(1), |cpu| cpu.run_in_turn(&[0]))
        .spaces(2, [1, 0])
        .add();
    list.scenario::<Plain>("batch-deferred", TWO)
        .about("the frames of a batch wait in a queue for a tick, or for the IPIs after two looks")
        .cpu(User(0), |cpu| cpu.defer_batch([0, 1]))
        .cpu(User(1), |cpu| cpu.tick())
        .spaces(2, [0, 0])
        .add();
}

fn batches_of_tables_and_pages(list: &mut List) {
    list.scenario::<Plain>("batch-table", TWO)
        .about(
            "a batch frees a page table of a space on which a CPU is lazy, and then unmaps a page of another",
        )
        .cpu(User(1), |cpu| cpu.unmap_table_in_a_batch_with(0, 1))
        .cpu(Lazy(0), |cpu| cpu.run_in_turn(&[0]))
        .spaces(2, [1, 0])
        .add();
    list.scenario::<Plain>("nested-gathers-batch", TWO)
        .about("a gather finds the page cleared that a batch has cleared, of which CPUs were not told yet")
        .cpu(User(0), |cpu| cpu.batch_unmap_and_tell(0, 0, 1))
        .cpu(User(0), |cpu| cpu.await_and_unmap_pages(1, 0, 0..1, &[0]))
        .contested()
        .add();
}

fn deferred(list: &mut List) {
    list.scenario::<Plain>("deferred-tick", TWO)
        .about("the frame of an unmapped page waits for the tick of another CPU, and nobody is interrupted before that")
        .cpu(User(0), |cpu| cpu.defer_unmap(0, 0))
        .cpu(User(0), |cpu| cpu.tick())
        .pso()
        .add();
    list.scenario::<Plain>("deferred-waited", TWO)
        .about(
            "the frame of an unmapped page is waited for while another CPU runs user code and takes no tick",
        )
        .cpu(User(0), |cpu| cpu.defer_unmap(0, 0))
        .cpu(User(0), |_| {})
        .add();
    list.scenario::<Tagged>("deferred-vs-switch", TWO)
        .about("the frame of an unmapped page waits for a CPU that leaves the space and comes back, or for IPIs after one look")
        .cpu(User(0), |cpu| cpu.defer_unmap_once(0, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Plain>("deferred-by-two", TWO)
        .about("two threads defer unmaps, and each waits for the other's CPU")
        .cpu(User(0), |cpu| cpu.defer_unmap(0, 0))
        .cpu(User(0), |cpu| cpu.defer_unmap_once(0, 1))
        .add();
    list.scenario::<Plain>("deferred-table", TWO)
        .about("a page table waits for the tick of a CPU that is lazy on its space, and returns to it")
        .cpu(User(0), |cpu| cpu.defer_table(0))
        .cpu(Lazy(0), |cpu| {
            cpu.tick();
            cpu.run_in_turn(&[0]);
        })
        .spaces(1, [1, 0])
        .add();
    list.scenario::<Plain>("nested-gathers-deferred", TWO)
        .about("a gather finds the page cleared that another has cleared and deferred")
        .cpu(User(0), |cpu| cpu.defer_unmap_and_tell(0, 0, 1))
        .cpu(User(0), |cpu| cpu.await_and_unmap_pages(1, 0, 0..1, &[0]))
        .contested()
        .add();
}

fn deferred_in_the_kernel(list: &mut List) {
    list.scenario::<Plain>("deferred-kernel-tick", KERNEL)
        .about("a kernel page waits for a CPU to catch up as it comes into the kernel, and nobody is interrupted")
        .cpu(User(0), |cpu| cpu.defer_kernel(0))
        .cpu(User(0), |cpu| cpu.tick())
        .kernel_pages(1)
        .pso()
        .add();
    list.scenario::<Plain>("deferred-kernel-waited", KERNEL)
        .about("a kernel page is waited for while another CPU takes no tick")
        .cpu(User(0), |cpu| cpu.defer_kernel(0))
        .cpu(Lazy(0), |_| {})
        .kernel_pages(1)
        .add();
    list.scenario::<Plain>("deferred-kernel-hotplug", KERNEL)
        .about("a kernel page waits for a CPU that goes off line and comes back")
        .cpu(User(0), |cpu| cpu.defer_kernel(0))
        .cpu(Lazy(0), |cpu| cpu.cycle())
        .kernel_pages(1)
        .add();
}
