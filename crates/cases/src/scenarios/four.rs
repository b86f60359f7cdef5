//! Four CPUs, and the deep scenario on three.

use super::catalog::Entry;
use super::catalog::List;
use super::{Plain, named, plan};
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::Tso;

const FOUR: &[&str] = &["four"];

pub(super) fn add(list: &mut List) {
    let scenarios = [four_borrow, four_exit, four_two_spaces, deep_three];
    for scenario in scenarios {
        scenario(list);
    }
}

fn four_borrow(list: &mut List) {
    list.add(
        &named(
            "four-borrow",
            FOUR,
            &[Tso],
            "an unmap meets a borrower, a thread that goes lazy and one that runs",
        ),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let outsider: Code<Plain> = |cpu| {
                let user = cpu.user(0);
                cpu.borrow(&user);
                let _ = user.into_handle();
            };
            let lazy: Code<Plain> = |cpu| cpu.run_kernel_thread();
            let runs: Code<Plain> = |_| {};
            let cpus = vec![
                (Start::User(0), flusher),
                (Start::Kernel, outsider),
                (Start::User(0), lazy),
                (Start::User(0), runs),
            ];
            Plan { sleepers: [1, 0], ..plan(cpus) }
        },
    );
}

fn four_exit(list: &mut List) {
    list.add(&named("four-exit", FOUR, &[Tso], "a space dies under three lazy CPUs"), || {
        let owner: Code<Plain> = |cpu| cpu.exit(0);
        let lazy: Code<Plain> = |_| {};
        let leaving: Code<Plain> = |cpu| {
            let other = cpu.user(1);
            cpu.run(&other);
            let _ = other.into_handle();
        };
        let cpus = vec![
            (Start::User(0), owner),
            (Start::Lazy(0), lazy),
            (Start::Lazy(0), lazy),
            (Start::Lazy(0), leaving),
        ];
        Plan { spaces: 2, sleepers: [0, 1], die: &[0], ..plan(cpus) }
    });
}

fn four_two_spaces(list: &mut List) {
    list.add(
        &Entry {
            deep: true,
            ..named(
                "four-two-spaces",
                FOUR,
                &[Tso],
                "two spaces are unmapped while two CPUs change between them",
            )
        },
        || {
            let first: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let second: Code<Plain> = |cpu| cpu.unmap(1, 0);
            let comes: Code<Plain> = |cpu| {
                let user = cpu.user(1);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let goes: Code<Plain> = |cpu| {
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let cpus = vec![
                (Start::User(0), first),
                (Start::User(1), second),
                (Start::User(0), comes),
                (Start::User(1), goes),
            ];
            Plan { spaces: 2, sleepers: [1, 1], ..plan(cpus) }
        },
    );
}

fn deep_three(list: &mut List) {
    let deep = Entry {
        name: "deep-three",
        about: "3 CPUs, 2 spaces, 2 pages, 8 calls: an unmap of each space while everybody changes sides and goes lazy",
        memories: &[Tso],
        groups: &["three", "deep"],
        deep: true,
    };
    list.add(&deep, || {
        let first: Code<Plain> = |cpu| {
            let b = cpu.user(1);
            cpu.unmap(0, 0);
            cpu.run(&b);
            cpu.unmap(1, 1);
            let _ = b.into_handle();
        };
        let second: Code<Plain> = |cpu| {
            let a = cpu.user(0);
            cpu.run(&a);
            cpu.run_kernel_thread();
            let _ = a.into_handle();
        };
        let third: Code<Plain> = |cpu| {
            let (a, b) = (cpu.user(0), cpu.user(1));
            cpu.run(&b);
            cpu.run_kernel_thread();
            cpu.run(&a);
            let _ = a.into_handle();
            let _ = b.into_handle();
        };
        let cpus = vec![(Start::User(0), first), (Start::User(1), second), (Start::User(0), third)];
        Plan { spaces: 2, sleepers: [1, 2], ..plan(cpus) }
    });
}
