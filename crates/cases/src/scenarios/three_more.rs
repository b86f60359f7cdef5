//! Three CPUs: flushes, tags, hotplug and transports.

use super::catalog::List;
use super::{Broadcast, LowCeiling, OneTag, Plain, named, plan};
use crate::engine::world::{Code, Plan, Start};
use shootdown::fault::STALLS;
use shootdown_explore::Memory::Tso;

const THREE: &[&str] = &["three"];

pub(super) fn add(list: &mut List) {
    let scenarios = [
        two_flushers,
        nested_gathers,
        nested_table_gathers,
        offline_vs_flush,
        stalled_target,
        tag_reuse,
        warm_tags,
        broadcast_fallback,
        temporary_vs_exit,
    ];
    for scenario in scenarios {
        scenario(list);
    }
}

fn two_flushers(list: &mut List) {
    list.add(&named("two-flushers", THREE, &[Tso], "two threads unmap at once while a third runs"), || {
        let first: Code<Plain> = |cpu| cpu.unmap(0, 0);
        let second: Code<Plain> = |cpu| cpu.unmap_split(0, 1);
        let runs: Code<Plain> = |_| {};
        plan(vec![(Start::User(0), first), (Start::User(0), second), (Start::User(0), runs)])
    });
}

fn nested_gathers(list: &mut List) {
    list.add(
        &named("nested-gathers", THREE, &[Tso], "two gathers clear the same page while a third CPU uses it"),
        || {
            let unmap: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let runs: Code<Plain> = |_| {};
            let cpus = vec![(Start::User(0), unmap), (Start::User(0), unmap), (Start::User(0), runs)];
            Plan { contested: true, ..plan(cpus) }
        },
    );
}

fn nested_table_gathers(list: &mut List) {
    list.add(
        &named(
            "nested-table-gathers",
            THREE,
            &[Tso],
            "one gather unmaps a page whose table another unhooks, while a third CPU uses it",
        ),
        || {
            let table: Code<Plain> = |cpu| cpu.unmap_table(0);
            let page: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let runs: Code<Plain> = |_| {};
            let cpus = vec![(Start::User(0), table), (Start::User(0), page), (Start::User(0), runs)];
            Plan { contested: true, ..plan(cpus) }
        },
    );
}

fn offline_vs_flush(list: &mut List) {
    list.add(
        &named("offline-vs-flush", THREE, &[Tso], "a CPU goes off and on line while another unmaps"),
        || {
            let flusher: Code<Plain> = |cpu| {
                cpu.unmap(0, 0);
                cpu.unmap(0, 1);
            };
            let cycles: Code<Plain> = |cpu| {
                cpu.cycle();
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let runs: Code<Plain> = |_| {};
            plan(vec![(Start::User(0), flusher), (Start::User(0), cycles), (Start::User(0), runs)])
        },
    );
}

fn stalled_target(list: &mut List) {
    list.add(
        &named(
            "stalled-target",
            THREE,
            &[Tso],
            "a target answers late: it is reported, sent another IPI, and waited for",
        ),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let masked: Code<Plain> = |cpu| {
                let were_on = shootdown_explore::sync::irq_save();
                cpu.forget(1);
                shootdown_explore::sync::irq_restore(were_on);
                cpu.forget(2);
            };
            let runs: Code<Plain> = |cpu| cpu.run_kernel_thread();
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), masked), (Start::User(0), runs)];
            Plan { context: STALLS, ..plan(cpus) }
        },
    );
}

fn tag_reuse(list: &mut List) {
    list.add(
        &named(
            "tag-reuse",
            &["three", "tags"],
            &[Tso],
            "spaces take turns on one tag while one of them is unmapped",
        ),
        || {
            let flusher: Code<OneTag> = |cpu| cpu.unmap(0, 0);
            let switcher: Code<OneTag> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                let _ = a.into_handle();
                let _ = b.into_handle();
            };
            let goes: Code<OneTag> = |cpu| {
                let user = cpu.user(1);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), switcher), (Start::User(0), goes)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
}

fn warm_tags(list: &mut List) {
    list.add(
        &named(
            "warm-tags",
            &["three", "tags"],
            &[Tso],
            "a CPU returns to a warm tag after unmaps of which it was not told",
        ),
        || {
            let flusher: Code<LowCeiling> = |cpu| {
                cpu.unmap(0, 0);
                cpu.unmap_table(0);
            };
            let switcher: Code<LowCeiling> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                let _ = a.into_handle();
                let _ = b.into_handle();
            };
            let runs: Code<LowCeiling> = |_| {};
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), switcher), (Start::User(0), runs)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
}

fn broadcast_fallback(list: &mut List) {
    list.add(
        &named(
            "broadcast-fallback",
            THREE,
            &[Tso],
            "a broadcast transport answers done, or not, as it pleases",
        ),
        || {
            let first: Code<Broadcast> = |cpu| cpu.unmap(0, 0);
            let second: Code<Broadcast> = |cpu| cpu.unmap(0, 1);
            let runs: Code<Broadcast> = |_| {};
            plan(vec![(Start::User(0), first), (Start::User(0), second), (Start::User(0), runs)])
        },
    );
}

fn temporary_vs_exit(list: &mut List) {
    list.add(
        &named(
            "temporary-vs-exit",
            THREE,
            &[Tso],
            "a lazy CPU patches through a temporary space while its own dies",
        ),
        || {
            let owner: Code<Plain> = |cpu| cpu.exit(0);
            let patches: Code<Plain> = |cpu| {
                let temporary = cpu.user(1);
                cpu.patch(&temporary, false);
                let _ = temporary.into_handle();
            };
            let unmaps: Code<Plain> = |cpu| cpu.unmap(1, 0);
            let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), patches), (Start::User(1), unmaps)];
            Plan { spaces: 2, sleepers: [0, 1], die: &[0], ..plan(cpus) }
        },
    );
}
