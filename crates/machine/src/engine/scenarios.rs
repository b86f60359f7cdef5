//! Named scenarios on 2, 3 and 4 CPUs.

use super::catalog::{Entry, List};
use super::sim::Setup;
use super::world::{Code, Plan, Start};
use shootdown::fault::STALLS;
use shootdown::{OnLeave, PerCpuSlots, Untagged};
use shootdown_explore::Memory::{self, Pso, Tso};

/// No tags, exact masks.
pub(crate) struct Plain;
impl Setup for Plain {
    type Tags = Untagged;
}

/// No tags, bits stay until trimmed.
pub(crate) struct Keep;
impl Setup for Keep {
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
}

/// Two tags a CPU.
pub(crate) struct Tagged;
impl Setup for Tagged {
    type Tags = PerCpuSlots<2>;
    const TAGS: usize = 2;
}

/// One tag a CPU: every switch reuses it.
pub(crate) struct OneTag;
impl Setup for OneTag {
    type Tags = PerCpuSlots<1>;
    const TAGS: usize = 1;
}

/// A broadcast that may answer "done" or not.
pub(crate) struct Broadcast;
impl Setup for Broadcast {
    type Tags = Untagged;
    const BROADCAST: bool = true;
}

/// A ceiling of one page: two pages are a full flush.
pub(crate) struct LowCeiling;
impl Setup for LowCeiling {
    type Tags = PerCpuSlots<2>;
    const TAGS: usize = 2;
    const CEILING: u64 = 1;
}

const BOTH: &[Memory] = &[Tso, Pso];

fn plan<S: Setup>(cpus: Vec<(Start, Code<S>)>) -> Plan<S> {
    Plan {
        cpus,
        spaces: 1,
        sleepers: [0; 2],
        pins: [0; 2],
        die: &[],
        kernel_pages: 0,
        contested: false,
        context: 0,
    }
}

fn named<'a>(
    name: &'a str,
    groups: &'static [&'static str],
    memories: &'a [Memory],
    about: &'a str,
) -> Entry<'a> {
    Entry { name, about, memories, groups, deep: false }
}

pub(crate) fn add(list: &mut List) {
    two(list);
    three(list);
    three_more(list);
    four(list);
}

/// The seed's machine and the store-buffering pairs.
fn two(list: &mut List) {
    let two = &["two"];
    list.add(
        &named(
            "seed",
            two,
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
    list.add(
        &named("lazy-return", two, BOTH, "a lazy CPU returns to its space while another unmaps"),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let sleeper: Code<Plain> = |cpu| {
                cpu.run_kernel_thread();
                let user = cpu.user(0);
                cpu.run(&user);
                user.into_handle();
            };
            plan(vec![(Start::User(0), flusher), (Start::User(0), sleeper)])
        },
    );
    list.add(
        &named("switch-in", two, BOTH, "a CPU switches into a space while another unmaps from it"),
        || {
            let flusher: Code<Tagged> = |cpu| cpu.unmap(0, 0);
            let switcher: Code<Tagged> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                (a.into_handle(), b.into_handle());
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), switcher)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
    list.add(&named("kernel-memory", two, BOTH, "two CPUs unmap kernel pages"), || {
        let first: Code<Plain> = |cpu| cpu.unmap_kernel(0);
        let second: Code<Plain> = |cpu| cpu.unmap_kernel(1);
        Plan { kernel_pages: 2, ..plan(vec![(Start::User(0), first), (Start::Lazy(0), second)]) }
    });
    list.add(
        &named("kernel-memory-hotplug", two, BOTH, "a CPU goes off and on line while kernel memory goes"),
        || {
            let first: Code<Plain> = |cpu| cpu.unmap_kernel(0);
            let second: Code<Plain> = |cpu| cpu.cycle();
            Plan { kernel_pages: 1, ..plan(vec![(Start::User(0), first), (Start::Lazy(0), second)]) }
        },
    );
    list.add(
        &named("deferred-teardown", two, &[Tso], "the last user reference is dropped where nothing may run"),
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
    list.add(
        &named("ring-overflow", two, &[Tso], "more flushes than the ring remembers while a CPU is away"),
        || {
            let flusher: Code<Tagged> = |cpu| {
                cpu.unmap(0, 0);
                cpu.flush_all(0);
                cpu.unmap(0, 1);
            };
            let away: Code<Tagged> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                (a.into_handle(), b.into_handle());
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), away)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
    list.add(&named("masked-flushers", two, &[Tso], "two CPUs flush each other with interrupts off"), || {
        let first: Code<Plain> = |cpu| cpu.unmap_masked(0, 0);
        let second: Code<Plain> = |cpu| cpu.unmap_masked(0, 1);
        plan(vec![(Start::User(0), first), (Start::User(0), second)])
    });
}

fn three(list: &mut List) {
    let three = &["three"];
    list.add(
        &named(
            "borrow-vs-unmap",
            three,
            &[Tso],
            "a kernel thread borrows while two threads of the space unmap",
        ),
        || {
            let first: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let second: Code<Plain> = |cpu| cpu.unmap(0, 1);
            let outsider: Code<Plain> = |cpu| {
                let pin = cpu.pinned(0);
                cpu.upgrade_and_borrow(0, &pin);
                cpu.drop_pin(pin);
            };
            let cpus = vec![(Start::User(0), first), (Start::User(0), second), (Start::Kernel, outsider)];
            Plan { pins: [1, 0], ..plan(cpus) }
        },
    );
    list.add(
        &named(
            "upgrade-vs-last-drop",
            three,
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
    list.add(
        &named(
            "lazy-vs-table-free",
            three,
            &[Tso],
            "a page table is freed under a lazy CPU and an active one",
        ),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap_table(0);
            let comes_and_goes: Code<Plain> = |cpu| {
                cpu.run_kernel_thread();
                let user = cpu.user(0);
                cpu.run(&user);
                user.into_handle();
            };
            let lazy: Code<Plain> = |_| {};
            plan(vec![(Start::User(0), flusher), (Start::User(0), comes_and_goes), (Start::Lazy(0), lazy)])
        },
    );
    list.add(
        &named("lazy-vs-final-drop", three, &[Tso], "a space dies under lazy CPUs, one of which is leaving"),
        || {
            let owner: Code<Plain> = |cpu| cpu.exit(0);
            let lazy: Code<Plain> = |_| {};
            let leaving: Code<Plain> = |cpu| {
                let other = cpu.user(1);
                cpu.run(&other);
                other.into_handle();
            };
            let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), lazy), (Start::Lazy(0), leaving)];
            Plan { spaces: 2, sleepers: [0, 1], die: &[0], ..plan(cpus) }
        },
    );
    list.add(
        &named(
            "trim-vs-borrow",
            three,
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
    list.add(
        &named(
            "trim-kept-bits",
            three,
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
                (a.into_handle(), b.into_handle());
            };
            let other: Code<Keep> = |cpu| cpu.trim(0);
            let cpus = vec![(Start::User(0), owner), (Start::User(0), switcher), (Start::Kernel, other)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
    list.add(
        &named("trim-vs-hotplug", three, &[Tso], "a CPU that is asked to trim goes off and on line"),
        || {
            let owner: Code<Keep> = |cpu| cpu.trim(0);
            let cycles: Code<Keep> = |cpu| {
                let b = cpu.user(1);
                cpu.run(&b);
                b.into_handle();
                cpu.cycle();
            };
            let runs: Code<Keep> = |cpu| cpu.unmap(0, 0);
            let cpus = vec![(Start::User(0), owner), (Start::User(0), cycles), (Start::User(0), runs)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
    list.add(
        &named("switch-vs-flush", three, &[Tso], "two CPUs switch between two spaces while a third unmaps"),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let comes: Code<Plain> = |cpu| {
                let user = cpu.user(0);
                cpu.run(&user);
                user.into_handle();
            };
            let goes: Code<Plain> = |cpu| {
                let user = cpu.user(1);
                cpu.run(&user);
                user.into_handle();
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(1), comes), (Start::User(0), goes)];
            Plan { spaces: 2, sleepers: [1, 1], ..plan(cpus) }
        },
    );
}

fn three_more(list: &mut List) {
    let three = &["three"];
    list.add(&named("two-flushers", three, &[Tso], "two threads unmap at once while a third runs"), || {
        let first: Code<Plain> = |cpu| cpu.unmap(0, 0);
        let second: Code<Plain> = |cpu| cpu.unmap_split(0, 1);
        let runs: Code<Plain> = |cpu| cpu.run_kernel_thread();
        plan(vec![(Start::User(0), first), (Start::User(0), second), (Start::User(0), runs)])
    });
    list.add(
        &named("nested-gathers", three, &[Tso], "two gathers clear the same page while a third CPU uses it"),
        || {
            let unmap: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let runs: Code<Plain> = |_| {};
            let cpus = vec![(Start::User(0), unmap), (Start::User(0), unmap), (Start::User(0), runs)];
            Plan { contested: true, ..plan(cpus) }
        },
    );
    list.add(
        &named("offline-vs-flush", three, &[Tso], "a CPU goes off and on line while another unmaps"),
        || {
            let flusher: Code<Plain> = |cpu| {
                cpu.unmap(0, 0);
                cpu.unmap(0, 1);
            };
            let cycles: Code<Plain> = |cpu| {
                cpu.cycle();
                let user = cpu.user(0);
                cpu.run(&user);
                user.into_handle();
            };
            let runs: Code<Plain> = |_| {};
            plan(vec![(Start::User(0), flusher), (Start::User(0), cycles), (Start::User(0), runs)])
        },
    );
    list.add(
        &named(
            "stalled-target",
            three,
            &[Tso],
            "a target answers late: it is reported, rung again, and waited for",
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
                (a.into_handle(), b.into_handle());
            };
            let goes: Code<OneTag> = |cpu| {
                let user = cpu.user(1);
                cpu.run(&user);
                user.into_handle();
            };
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), switcher), (Start::User(0), goes)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
    list.add(
        &named(
            "warm-tags",
            &["three", "tags"],
            &[Tso],
            "a CPU returns to a warm tag after unmaps it did not hear of",
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
                (a.into_handle(), b.into_handle());
            };
            let runs: Code<LowCeiling> = |_| {};
            let cpus = vec![(Start::User(0), flusher), (Start::User(0), switcher), (Start::User(0), runs)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
    list.add(
        &named(
            "broadcast-fallback",
            three,
            &[Tso],
            "a broadcast transport answers done, or not, as it pleases",
        ),
        || {
            let first: Code<Broadcast> = |cpu| cpu.unmap(0, 0);
            let second: Code<Broadcast> = |cpu| cpu.unmap(0, 1);
            let comes_and_goes: Code<Broadcast> = |cpu| {
                cpu.run_kernel_thread();
                let user = cpu.user(0);
                cpu.run(&user);
                user.into_handle();
            };
            plan(vec![(Start::User(0), first), (Start::User(0), second), (Start::User(0), comes_and_goes)])
        },
    );
    list.add(
        &named(
            "temporary-vs-exit",
            three,
            &[Tso],
            "a lazy CPU patches through a temporary space while its own dies",
        ),
        || {
            let owner: Code<Plain> = |cpu| cpu.exit(0);
            let patches: Code<Plain> = |cpu| {
                let temporary = cpu.user(1);
                cpu.patch(&temporary, false);
                temporary.into_handle();
            };
            let unmaps: Code<Plain> = |cpu| cpu.unmap(1, 0);
            let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), patches), (Start::User(1), unmaps)];
            Plan { spaces: 2, sleepers: [0, 1], die: &[0], ..plan(cpus) }
        },
    );
}

fn four(list: &mut List) {
    let four = &["four"];
    list.add(
        &named(
            "four-borrow",
            four,
            &[Tso],
            "an unmap meets a borrower, a thread that goes lazy and one that runs",
        ),
        || {
            let flusher: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let outsider: Code<Plain> = |cpu| {
                let user = cpu.user(0);
                cpu.borrow(&user);
                user.into_handle();
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
    list.add(&named("four-exit", four, &[Tso], "a space dies under three lazy CPUs"), || {
        let owner: Code<Plain> = |cpu| cpu.exit(0);
        let lazy: Code<Plain> = |_| {};
        let leaving: Code<Plain> = |cpu| {
            let other = cpu.user(1);
            cpu.run(&other);
            other.into_handle();
        };
        let cpus = vec![
            (Start::User(0), owner),
            (Start::Lazy(0), lazy),
            (Start::Lazy(0), lazy),
            (Start::Lazy(0), leaving),
        ];
        Plan { spaces: 2, sleepers: [0, 1], die: &[0], ..plan(cpus) }
    });
    list.add(
        &named("four-two-spaces", four, &[Tso], "two spaces are unmapped while two CPUs change between them"),
        || {
            let first: Code<Plain> = |cpu| cpu.unmap(0, 0);
            let second: Code<Plain> = |cpu| cpu.unmap(1, 0);
            let comes: Code<Plain> = |cpu| {
                let user = cpu.user(1);
                cpu.run(&user);
                user.into_handle();
            };
            let goes: Code<Plain> = |cpu| {
                let user = cpu.user(0);
                cpu.run(&user);
                user.into_handle();
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
    let deep = Entry {
        name: "deep-three",
        about: "3 CPUs, 2 spaces, 2 pages, 8 calls: unmaps and switches of both",
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
            b.into_handle();
        };
        let second: Code<Plain> = |cpu| {
            let a = cpu.user(0);
            cpu.unmap(1, 0);
            cpu.run(&a);
            cpu.unmap(0, 1);
            a.into_handle();
        };
        let third: Code<Plain> = |cpu| {
            let (a, b) = (cpu.user(0), cpu.user(1));
            cpu.run(&b);
            cpu.run(&a);
            (a.into_handle(), b.into_handle());
        };
        let cpus = vec![(Start::User(0), first), (Start::User(1), second), (Start::User(0), third)];
        Plan { spaces: 2, sleepers: [1, 2], ..plan(cpus) }
    });
}
