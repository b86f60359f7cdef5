//! Three CPUs: masks, laziness and lifetime.

use super::catalog::List;
use super::{Keep, Plain, named, plan};
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::Tso;

const THREE: &[&str] = &["three"];

pub(super) fn add(list: &mut List) {
    let scenarios = [
        borrow_vs_unmap,
        upgrade_vs_last_drop,
        lazy_vs_table_free,
        lazy_vs_final_drop,
        trim_vs_borrow,
        trim_kept_bits,
        trim_vs_hotplug,
        switch_vs_flush,
    ];
    for scenario in scenarios {
        scenario(list);
    }
}

fn borrow_vs_unmap(list: &mut List) {
    list.add(
        &named(
            "borrow-vs-unmap",
            THREE,
            &[Tso],
            "a kernel thread borrows while one thread of the space unmaps and another goes lazy",
        ),
        || {
            let first: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let second: Code<Plain> = |cpu| cpu.run_kernel_thread();
            let outsider: Code<Plain> = |cpu| {
                let pin = cpu.pinned(0);
                cpu.upgrade_and_borrow(0, &pin);
                cpu.drop_pin(pin);
            };
            let cpus = vec![(Start::User(0), first), (Start::User(0), second), (Start::Kernel, outsider)];
            Plan { pins: [1, 0], ..plan(cpus) }
        },
    );
}

fn upgrade_vs_last_drop(list: &mut List) {
    list.add(
        &named(
            "upgrade-vs-last-drop",
            THREE,
            &[Tso],
            "two outsiders upgrade and borrow while the last user exits",
        ),
        || {
            let owner: Code<Plain> = |cpu| cpu.exit(0);
            let outsider: Code<Plain> = |cpu| {
                let pin = cpu.pinned(0);
                cpu.upgrade_and_borrow(0, &pin);
                cpu.drop_pin(pin);
            };
            let cpus = vec![(Start::User(0), owner), (Start::Kernel, outsider), (Start::Kernel, outsider)];
            Plan { pins: [2, 0], die: &[0], ..plan(cpus) }
        },
    );
}

fn lazy_vs_table_free(list: &mut List) {
    list.add(
        &named(
            "lazy-vs-table-free",
            THREE,
            &[Tso],
            "a page table is freed under a lazy CPU and an active one",
        ),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap_table(0);
            let comes_and_goes: Code<Plain> = |cpu| {
                cpu.run_kernel_thread();
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let lazy: Code<Plain> = |_| {};
            plan(vec![(Start::User(0), flusher), (Start::User(0), comes_and_goes), (Start::Lazy(0), lazy)])
        },
    );
}

fn lazy_vs_final_drop(list: &mut List) {
    list.add(
        &named("lazy-vs-final-drop", THREE, &[Tso], "a space dies under lazy CPUs, one of which is leaving"),
        || {
            let owner: Code<Plain> = |cpu| cpu.exit(0);
            let lazy: Code<Plain> = |_| {};
            let leaving: Code<Plain> = |cpu| {
                let other = cpu.user(1);
                cpu.run(&other);
                let _ = other.into_handle();
            };
            let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), lazy), (Start::Lazy(0), leaving)];
            Plan { spaces: 2, sleepers: [0, 1], die: &[0], ..plan(cpus) }
        },
    );
}

fn trim_vs_borrow(list: &mut List) {
    list.add(
        &named(
            "trim-vs-borrow",
            THREE,
            &[Tso],
            "the seed's exercise: trimming while a kernel thread borrows",
        ),
        || {
            let owner: Code<Plain> = |cpu| {
                cpu.trim(0);
                cpu.unmap(0, 0);
            };
            let outsider: Code<Plain> = |cpu| {
                let pin = cpu.pinned(0);
                cpu.upgrade_and_borrow(0, &pin);
                cpu.drop_pin(pin);
            };
            let lazy: Code<Plain> = |_| {};
            let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), outsider), (Start::Lazy(0), lazy)];
            Plan { pins: [1, 0], ..plan(cpus) }
        },
    );
}

fn trim_kept_bits(list: &mut List) {
    list.add(
        &named(
            "trim-kept-bits",
            THREE,
            &[Tso],
            "bits that switching CPUs left behind are trimmed on request",
        ),
        || {
            let owner: Code<Keep> = |cpu| {
                cpu.trim(0);
                cpu.unmap(0, 0);
            };
            let switcher: Code<Keep> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                let _ = a.into_handle();
                let _ = b.into_handle();
            };
            let other: Code<Keep> = |cpu| cpu.trim(0);
            let cpus = vec![(Start::User(0), owner), (Start::User(0), switcher), (Start::Kernel, other)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
}

fn trim_vs_hotplug(list: &mut List) {
    list.add(
        &named("trim-vs-hotplug", THREE, &[Tso], "a CPU that is asked to trim goes off and on line"),
        || {
            let owner: Code<Keep> = |cpu| cpu.trim(0);
            let cycles: Code<Keep> = |cpu| {
                let b = cpu.user(1);
                cpu.run(&b);
                let _ = b.into_handle();
                cpu.cycle();
            };
            let runs: Code<Keep> = |cpu| cpu.unmap(0, 0);
            let cpus = vec![(Start::User(0), owner), (Start::User(0), cycles), (Start::User(0), runs)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
}

fn switch_vs_flush(list: &mut List) {
    list.add(
        &named("switch-vs-flush", THREE, &[Tso], "two CPUs switch between two spaces while a third unmaps"),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let comes: Code<Plain> = |cpu| {
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let goes: Code<Plain> = |cpu| {
                let user = cpu.user(1);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(1), comes), (Start::User(0), goes)];
            Plan { spaces: 2, sleepers: [1, 1], ..plan(cpus) }
        },
    );
}
