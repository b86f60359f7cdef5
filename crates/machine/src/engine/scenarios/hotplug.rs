//! CPUs that go off line for good, that are reset and lose their interrupts, and that come for the first time.

use super::{BOTH, Keep, Plain, Tagged, named, plan};
use crate::engine::boot::History;
use crate::engine::catalog::List;
use crate::engine::cpu::Cpu;
use crate::engine::sim::TestMachine;
use crate::engine::world::{Code, Plan, Start};
use shootdown::mask::OnLeave;
use shootdown::tags::{FlushByIpi, GlobalAsids, Untagged};
use shootdown_explore::Memory::Tso;

const TWO: &[&str] = &["two", "hotplug"];

/// Global tags, which a CPU takes for empty when it first runs under one.
struct Asids;
impl TestMachine for Asids {
    type Tags = GlobalAsids<'static, FlushByIpi, 3>;
    const TAGS: usize = 3;
}

/// Bits stay until trimmed, and CPU 1 has left one in the mask of A.
struct LeftBit;
impl TestMachine for LeftBit {
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
    fn before(history: &History<'_, Self>) {
        [0, 1].into_iter().for_each(|space| history.run(1, space));
    }
}

pub(super) fn add(list: &mut List) {
    let scenarios = [
        gone_vs_table_free,
        gone_vs_final_drop,
        gone_vs_flush,
        gone_vs_kernel_memory,
        gone_vs_trim,
        trim_then_final_drop,
        reset_vs_kernel_memory,
        reset_vs_kernel_table,
        reset_vs_trim,
        reset_after_wait,
        reset_vs_flush,
        first_boot,
    ];
    for scenario in scenarios {
        scenario(list);
    }
}

fn goes<S: TestMachine>(cpu: &Cpu<'_, S>) {
    cpu.go_offline();
}

fn cycles<S: TestMachine>(cpu: &Cpu<'_, S>) {
    cpu.cycle();
}

fn runs_and<S: TestMachine>(cpu: &Cpu<'_, S>, space: usize, then: impl FnOnce()) {
    let user = cpu.user(space);
    cpu.run(&user);
    then();
    let _ = user.into_handle();
}

fn gone_vs_table_free(list: &mut List) {
    let about = "a lazy CPU goes off line for good while a page table of its space is freed";
    list.add(&named("gone-vs-table-free", TWO, BOTH, about), || {
        let frees: Code<Plain> = |cpu| cpu.unmap_table(0);
        plan(vec![(Start::User(0), frees), (Start::Lazy(0), goes)])
    });
}

fn gone_vs_final_drop(list: &mut List) {
    let about = "a lazy CPU goes off line for good while its space dies";
    list.add(&named("gone-vs-final-drop", TWO, BOTH, about), || {
        let owner: Code<Plain> = |cpu| cpu.exit(0);
        Plan { die: &[0], ..plan(vec![(Start::User(0), owner), (Start::Lazy(0), goes)]) }
    });
}

fn gone_vs_flush(list: &mut List) {
    let about =
        "a CPU that runs a space goes off line for good while pages and the table of that space are unmapped";
    list.add(&named("gone-vs-flush", TWO, &[Tso], about), || {
        let unmaps: Code<Plain> = |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_table(0);
        };
        plan(vec![(Start::User(0), unmaps), (Start::User(0), goes)])
    });
}

fn gone_vs_kernel_memory(list: &mut List) {
    let about = "a CPU goes off line for good while kernel memory goes, and nobody waits for it";
    list.add(&named("gone-vs-kernel-memory", TWO, BOTH, about), || {
        let unmaps: Code<Plain> = |cpu| {
            cpu.unmap_kernel(0);
            cpu.unmap_kernel(1);
        };
        Plan { kernel_pages: 2, ..plan(vec![(Start::User(0), unmaps), (Start::Lazy(0), goes)]) }
    });
}

fn gone_vs_trim(list: &mut List) {
    let about = "a CPU that left its bit behind goes off line for good with a trim request in its box";
    list.add(&named("gone-vs-trim", TWO, BOTH, about), || {
        let owner: Code<Keep> = |cpu| {
            cpu.trim(0);
            cpu.unmap(0, 0);
        };
        let goes: Code<Keep> = |cpu| runs_and(cpu, 1, || cpu.go_offline());
        let cpus = vec![(Start::User(0), owner), (Start::User(0), goes)];
        Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
    });
}

fn trim_then_final_drop(list: &mut List) {
    let about = "a trim request is taken back from a CPU that is off line, the space dies, and the CPU is back and looks into its box";
    list.add(&named("trim-then-final-drop", TWO, BOTH, about), || {
        let owner: Code<LeftBit> = |cpu| {
            cpu.trim(0);
            cpu.exit(0);
        };
        let cpus = vec![(Start::User(0), owner), (Start::User(1), cycles)];
        Plan { spaces: 2, die: &[0], ..plan(cpus) }
    });
}

fn reset_vs_kernel_memory(list: &mut List) {
    let about = "a CPU goes off line with an IPI that it has not handled and that its reset loses, comes \
                 back, and is sent another again";
    list.add(&named("reset-vs-kernel-memory", TWO, BOTH, about), || {
        let unmaps: Code<Plain> = |cpu| {
            cpu.unmap_kernel(0);
            cpu.unmap_kernel(1);
        };
        let plan = plan(vec![(Start::User(0), unmaps), (Start::Lazy(0), cycles)]);
        Plan { kernel_pages: 2, resets: true, acknowledged: true, ..plan }
    });
}

fn reset_vs_kernel_table(list: &mut List) {
    let about = "a page table of the kernel's is freed while a CPU goes off line and is reset, and it comes back to user memory";
    list.add(&named("reset-vs-kernel-table", TWO, BOTH, about), || {
        let frees: Code<Plain> = |cpu| cpu.unmap_kernel_table();
        let returns: Code<Plain> = |cpu| {
            cpu.cycle();
            runs_and(cpu, 0, || {});
        };
        let plan = plan(vec![(Start::User(0), frees), (Start::Lazy(0), returns)]);
        Plan {
            sleepers: [1, 0],
            kernel_pages: 2,
            kernel_table: true,
            resets: true,
            acknowledged: true,
            ..plan
        }
    });
}

fn reset_vs_trim(list: &mut List) {
    let about =
        "a CPU is reset with a trim request in its box, and returns to the space that it was to leave";
    list.add(&named("reset-vs-trim", TWO, &[Tso], about), || {
        let owner: Code<Keep> = |cpu| {
            cpu.trim(0);
            cpu.unmap(0, 0);
        };
        let returns: Code<Keep> = |cpu| {
            runs_and(cpu, 1, || cpu.cycle());
            runs_and(cpu, 0, || {});
        };
        let cpus = vec![(Start::User(0), owner), (Start::User(0), returns)];
        Plan { spaces: 2, sleepers: [0, 1], resets: true, ..plan(cpus) }
    });
}

fn reset_after_wait(list: &mut List) {
    let about = "a CPU that waited has answered before the interrupt came, and is reset before it comes";
    list.add(&named("reset-after-wait", TWO, &[Tso], about), || {
        let unmaps: Code<Plain> = |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_kernel(0);
        };
        let waits: Code<Plain> = |cpu| {
            cpu.flush_page(0, 0);
            cpu.cycle();
        };
        let plan = plan(vec![(Start::User(0), unmaps), (Start::User(0), waits)]);
        Plan { kernel_pages: 1, resets: true, ..plan }
    });
}

fn reset_vs_flush(list: &mut List) {
    let about =
        "a CPU with a warm tag is reset, and returns to the space under that tag while another unmaps";
    list.add(&named("reset-vs-flush", TWO, &[Tso], about), || {
        let unmaps: Code<Tagged> = |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_table(0);
        };
        let returns: Code<Tagged> = |cpu| {
            cpu.cycle();
            runs_and(cpu, 0, || {});
        };
        Plan { resets: true, ..plan(vec![(Start::User(0), unmaps), (Start::User(0), returns)]) }
    });
}

fn first_boot(list: &mut List) {
    let about = "a CPU comes on line for the first time with entries of anybody in its TLB, under every tag, and runs a space";
    list.add(&named("first-boot", TWO, &[Tso], about), || {
        let unmaps: Code<Asids> = |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap_kernel(0);
        };
        let comes: Code<Asids> = |cpu| {
            cpu.come_online();
            runs_and(cpu, 1, || {});
        };
        let cpus = vec![(Start::User(0), unmaps), (Start::Offline, comes)];
        Plan { spaces: 2, sleepers: [0, 1], kernel_pages: 1, acknowledged: true, ..plan(cpus) }
    });
}
