//! The seed's machine, the store-buffering pairs, and what two CPUs suffice to show.

use super::catalog::List;
use super::{BOTH, Keep, Plain, Tagged, named, plan};
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::Tso;

const TWO: &[&str] = &["two"];

pub(super) fn add(list: &mut List) {
    let scenarios = [
        seed,
        lazy_return,
        switch_in,
        kernel_memory,
        kernel_memory_hotplug,
        deferred_teardown,
        history_overflow,
        masked_flushers,
        ipi_in_flight,
        trim_that_unwinds,
    ];
    for scenario in scenarios {
        scenario(list);
    }
}

fn seed(list: &mut List) {
    list.add(
        &named(
            "seed",
            TWO,
            BOTH,
            "the 2020 sparc64 machine: an outsider upgrades and borrows while the one user unmaps",
        ),
        || {
            let owner: Code<Plain> = |cpu| {
                cpu.unmap(0, 0);
                cpu.unmap(0, 1);
            };
            let outsider: Code<Plain> = |cpu| {
                let pin = cpu.pinned(0);
                cpu.upgrade_and_borrow(0, &pin);
                cpu.upgrade_and_borrow(0, &pin);
                cpu.drop_pin(pin);
            };
            Plan { pins: [1, 0], ..plan(vec![(Start::User(0), owner), (Start::Kernel, outsider)]) }
        },
    );
}

fn lazy_return(list: &mut List) {
    list.add(
        &named("lazy-return", TWO, BOTH, "a lazy CPU returns to its space while another unmaps"),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let sleeper: Code<Plain> = |cpu| {
                cpu.run_kernel_thread();
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            plan(vec![(Start::User(0), flusher), (Start::User(0), sleeper)])
        },
    );
}

fn switch_in(list: &mut List) {
    list.add(
        &named("switch-in", TWO, BOTH, "a CPU switches into a space while another unmaps from it"),
        || {
            let flusher: Code<Tagged> = |cpu| cpu.unmap(0, 0);
            let switcher: Code<Tagged> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                let _ = a.into_handle();
                let _ = b.into_handle();
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), switcher)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
}

fn kernel_memory(list: &mut List) {
    list.add(&named("kernel-memory", TWO, BOTH, "two CPUs unmap kernel pages"), || {
        let first: Code<Plain> = |cpu| cpu.unmap_kernel(0);
        let second: Code<Plain> = |cpu| cpu.unmap_kernel(1);
        Plan { kernel_pages: 2, ..plan(vec![(Start::User(0), first), (Start::Lazy(0), second)]) }
    });
}

fn kernel_memory_hotplug(list: &mut List) {
    list.add(
        &named("kernel-memory-hotplug", TWO, BOTH, "a CPU goes off and on line while kernel memory goes"),
        || {
            let first: Code<Plain> = |cpu| cpu.unmap_kernel(0);
            let second: Code<Plain> = |cpu| {
                cpu.cycle();
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            Plan {
                kernel_pages: 1,
                sleepers: [1, 0],
                ..plan(vec![(Start::User(0), first), (Start::Lazy(0), second)])
            }
        },
    );
}

fn deferred_teardown(list: &mut List) {
    list.add(
        &named("deferred-teardown", TWO, &[Tso], "the last user reference is dropped where nothing may run"),
        || {
            let owner: Code<Plain> = |cpu| {
                cpu.run_kernel_thread();
                drop(cpu.user(0));
                cpu.forget(0);
            };
            let reaper: Code<Plain> = |cpu| {
                let pin = cpu.pinned(0);
                let upgraded = pin.upgrade();
                cpu.forget(u64::from(upgraded.is_ok()));
                drop(upgraded);
                cpu.forget(0);
                cpu.drop_pin(pin);
                shootdown_explore::sync::wait_until(|| {
                    cpu.engine().platform().deferred[0].load(std::sync::atomic::Ordering::Acquire) == 1
                });
                cpu.forget(0);
                cpu.reap(0);
            };
            Plan { pins: [1, 0], die: &[0], ..plan(vec![(Start::User(0), owner), (Start::Kernel, reaper)]) }
        },
    );
}

fn history_overflow(list: &mut List) {
    list.add(
        &named("history-overflow", TWO, &[Tso], "more flushes than the history holds while a CPU is away"),
        || {
            let flusher: Code<Tagged> = |cpu| {
                cpu.unmap(0, 0);
                cpu.unmap(0, 1);
                cpu.flush_page(0, 1);
            };
            let away: Code<Tagged> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                let _ = a.into_handle();
                let _ = b.into_handle();
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), away)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
}

fn masked_flushers(list: &mut List) {
    list.add(
        &named("masked-flushers", TWO, &[Tso], "two CPUs flush each other's space with interrupts off"),
        || {
            let first: Code<Plain> = |cpu| cpu.unmap_masked(1, 0);
            let second: Code<Plain> = |cpu| cpu.unmap_masked(0, 0);
            Plan { spaces: 2, ..plan(vec![(Start::User(0), first), (Start::User(1), second)]) }
        },
    );
}

fn ipi_in_flight(list: &mut List) {
    list.add(
        &named(
            "ipi-in-flight",
            TWO,
            &[Tso],
            "a CPU that waits handles a request before its interrupt comes, and is sent another request",
        ),
        || {
            let waits: Code<Plain> = |cpu| cpu.flush_page(0, 0);
            let sends: Code<Plain> = |cpu| {
                cpu.unmap(0, 0);
                cpu.unmap(0, 1);
            };
            plan(vec![(Start::User(0), waits), (Start::User(0), sends)])
        },
    );
}

fn trim_that_unwinds(list: &mut List) {
    list.add(
        &named(
            "trim-that-unwinds",
            TWO,
            BOTH,
            "a trim unwinds when it has asked, the space dies, and the CPU that was asked answers",
        ),
        || {
            let owner: Code<Keep> = |cpu| {
                cpu.trim_that_unwinds(0);
                cpu.exit(0);
            };
            let switcher: Code<Keep> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.put(0, a);
                let _ = b.into_handle();
            };
            let cpus = vec![(Start::User(0), owner), (Start::User(0), switcher)];
            Plan { spaces: 2, sleepers: [0, 1], die: &[0], ..plan(cpus) }
        },
    );
}
