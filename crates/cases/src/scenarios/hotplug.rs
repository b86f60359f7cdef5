//! CPUs that go off line and come back, that never come back, that are reset and lose their interrupts, and that come
//! for the first time.

use super::list::{List, THREE, TWO};
use super::machines::{ByIpis, Keep, Plain, Tagged, machines};
use crate::engine::Start::{Lazy, Offline, User};
use crate::engine::{Cpu, History, TestMachine};
use shootdown::mask::OnLeave;
use shootdown::tags::{FlushByIpi, GlobalAsids, Untagged};

const HOTPLUG: &[&str] = &["two", "hotplug"];

/// Global tags, which a CPU takes for empty when it first runs under one.
type Asids = ByIpis<GlobalAsids<'static, FlushByIpi, 3>>;

machines! {
    /// Bits stay until trimmed, and CPU 1 has left one in the mask of A.
    LeftBit: Untagged {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
        fn before(history: &History<'_, Self>) {
            [0, 1].into_iter().for_each(|space| history.run(1, space));
        }
    }
}

pub(super) fn add(list: &mut List) {
    comes_back(list);
    gone(list);
    gone_with_a_bit(list);
    reset(list);
    reset_in_a_space(list);
    first_boot(list);
}

fn cycles_and_runs<S: TestMachine>(cpu: &Cpu<'_, S>) {
    cpu.cycle();
    cpu.run_in_turn(&[0]);
}

fn comes_back(list: &mut List) {
    list.scenario::<Plain>("kernel-memory-hotplug", TWO)
        .about("a CPU goes off and on line while kernel memory goes")
        .cpu(User(0), |cpu| cpu.unmap_kernel(0))
        .cpu(Lazy(0), cycles_and_runs)
        .spaces(1, [1, 0])
        .kernel_pages(1)
        .pso()
        .add();
    list.scenario::<Plain>("offline-vs-flush", THREE)
        .about("a CPU goes off and on line while another unmaps")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap(0, 1);
        })
        .cpu(User(0), cycles_and_runs)
        .cpu(User(0), |_| {})
        .add();
    list.scenario::<Plain>("hotplug-under-load", &["hard"])
        .about("two CPUs go off and on line while user and kernel memory is unmapped")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_kernel(0);
        })
        .cpu(User(0), cycles_and_runs)
        .cpu(Lazy(0), |cpu| cpu.cycle())
        .kernel_pages(1)
        .add();
}

fn gone(list: &mut List) {
    list.scenario::<Plain>("gone-vs-table-free", HOTPLUG)
        .about("a lazy CPU goes off line for good while a page table of its space is freed")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(Lazy(0), |cpu| cpu.go_offline())
        .pso()
        .add();
    list.scenario::<Plain>("gone-vs-final-drop", HOTPLUG)
        .about("a lazy CPU goes off line for good while its space dies")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Lazy(0), |cpu| cpu.go_offline())
        .dies(true)
        .pso()
        .add();
    list.scenario::<Plain>("gone-vs-flush", HOTPLUG)
        .about("a CPU that runs a space goes off line for good while pages and the table of that space are unmapped")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_table(0);
        })
        .cpu(User(0), |cpu| cpu.go_offline())
        .add();
    list.scenario::<Plain>("gone-vs-kernel-memory", HOTPLUG)
        .about("a CPU goes off line for good while kernel memory goes, and nobody waits for it")
        .cpu(User(0), |cpu| {
            cpu.unmap_kernel(0);
            cpu.unmap_kernel(1);
        })
        .cpu(Lazy(0), |cpu| cpu.go_offline())
        .kernel_pages(2)
        .pso()
        .add();
}

fn gone_with_a_bit(list: &mut List) {
    list.scenario::<Keep>("gone-vs-trim", HOTPLUG)
        .about("a CPU that left its bit behind goes off line for good with a trim request in its box")
        .cpu(User(0), |cpu| {
            cpu.trim(0);
            cpu.unmap(0, 0);
        })
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1]);
            cpu.go_offline();
        })
        .spaces(2, [0, 1])
        .pso()
        .add();
    list.scenario::<LeftBit>("trim-then-final-drop", HOTPLUG)
        .about(
            "a trim request is taken back from a CPU that is off line, the space dies, and the CPU is back and looks \
             into its box",
        )
        .cpu(User(0), |cpu| {
            cpu.trim(0);
            cpu.exit(0);
        })
        .cpu(User(1), |cpu| cpu.cycle())
        .spaces(2, [0, 0])
        .dies(true)
        .pso()
        .add();
}

fn reset(list: &mut List) {
    list.scenario::<Plain>("reset-vs-kernel-memory", HOTPLUG)
        .about(
            "a CPU goes off line with an IPI that it has not handled and that its reset loses, comes back, and is sent \
             another again",
        )
        .cpu(User(0), |cpu| {
            cpu.unmap_kernel(0);
            cpu.unmap_kernel(1);
        })
        .cpu(Lazy(0), |cpu| cpu.cycle())
        .kernel_pages(2)
        .resets()
        .acknowledged()
        .pso()
        .add();
    list.scenario::<Plain>("reset-vs-kernel-table", HOTPLUG)
        .about(
            "a page table of the kernel's is freed while a CPU goes off line and is reset, and it comes back to user \
             memory",
        )
        .cpu(User(0), |cpu| cpu.unmap_kernel_table())
        .cpu(Lazy(0), cycles_and_runs)
        .spaces(1, [1, 0])
        .kernel_table()
        .resets()
        .acknowledged()
        .pso()
        .add();
    list.scenario::<Plain>("reset-after-wait", HOTPLUG)
        .about("a CPU that waited has answered before the interrupt came, and is reset before it comes")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_kernel(0);
        })
        .cpu(User(0), |cpu| {
            cpu.flush_page(0, 0);
            cpu.cycle();
        })
        .kernel_pages(1)
        .resets()
        .add();
}

fn reset_in_a_space(list: &mut List) {
    list.scenario::<Keep>("reset-vs-trim", HOTPLUG)
        .about("a CPU is reset with a trim request in its box, and returns to the space that it was to leave")
        .cpu(User(0), |cpu| {
            cpu.trim(0);
            cpu.unmap(0, 0);
        })
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1]);
            cycles_and_runs(cpu);
        })
        .spaces(2, [0, 1])
        .resets()
        .add();
    list.scenario::<Tagged>("reset-vs-flush", HOTPLUG)
        .about("a CPU with a warm tag is reset, and returns to the space under that tag while another unmaps")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_table(0);
        })
        .cpu(User(0), cycles_and_runs)
        .resets()
        .add();
}

fn first_boot(list: &mut List) {
    list.scenario::<Asids>("first-boot", HOTPLUG)
        .about(
            "a CPU comes on line for the first time with entries of anybody in its TLB, under every tag, and runs a \
             space",
        )
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_kernel(0);
        })
        .cpu(Offline, |cpu| {
            cpu.come_online();
            cpu.run_in_turn(&[1]);
        })
        .spaces(2, [0, 1])
        .kernel_pages(1)
        .acknowledged()
        .add();
}
