//! Masks of several words, which have a summary.

use super::{BOTH, named, plan};
use crate::engine::catalog::List;
use crate::engine::sim::TestMachine;
use crate::engine::world::{Code, Plan, Start};
use shootdown::mask::OnLeave;
use shootdown::tags::Untagged;
use shootdown_explore::Memory::Tso;

const TWO: &[&str] = &["two", "wide"];
const THREE: &[&str] = &["three", "wide"];

/// Each CPU in a mask word of its own.
struct Wide;
impl TestMachine for Wide {
    type Tags = Untagged;
    const CPUS_PER_WORD: u32 = 1;
}

/// The same, where bits stay until they are trimmed.
struct WideKeep;
impl TestMachine for WideKeep {
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
    const CPUS_PER_WORD: u32 = 1;
}

/// Two CPUs to a mask word.
struct Paired;
impl TestMachine for Paired {
    type Tags = Untagged;
    const CPUS_PER_WORD: u32 = 2;
}

pub(super) fn add(list: &mut List) {
    for scenario in [switch_in, hotplug, joiners, leaver, comes_back, final_drop, trim] {
        scenario(list);
    }
}

fn switch_in(list: &mut List) {
    list.add(
        &named(
            "wide-switch-in",
            TWO,
            BOTH,
            "a CPU joins a mask in a word where nobody was, while another unmaps",
        ),
        || {
            let flusher: Code<Wide> = |cpu| {
                cpu.unmap(0, 0);
                cpu.unmap(0, 1);
            };
            let joins: Code<Wide> = |cpu| {
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            Plan { sleepers: [1, 0], ..plan(vec![(Start::User(0), flusher), (Start::Kernel, joins)]) }
        },
    );
}

fn hotplug(list: &mut List) {
    list.add(
        &named(
            "wide-hotplug",
            TWO,
            BOTH,
            "a CPU comes on line in a word of its own while kernel memory goes",
        ),
        || {
            let first: Code<Wide> = |cpu| cpu.unmap_kernel(0);
            let second: Code<Wide> = |cpu| {
                cpu.come_online();
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            Plan {
                kernel_pages: 1,
                sleepers: [1, 0],
                ..plan(vec![(Start::User(0), first), (Start::Offline, second)])
            }
        },
    );
}

fn joiners(list: &mut List) {
    list.add(
        &named(
            "wide-joiners",
            THREE,
            &[Tso],
            "two CPUs join in one word, of which one marks it, while a third unmaps",
        ),
        || {
            let joins: Code<Paired> = |cpu| {
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let flusher: Code<Paired> = |cpu| cpu.unmap(0, 0);
            let cpus = vec![(Start::Kernel, joins), (Start::Kernel, joins), (Start::User(0), flusher)];
            Plan { sleepers: [2, 0], ..plan(cpus) }
        },
    );
}

fn leaver(list: &mut List) {
    list.add(
        &named(
            "wide-leaver",
            THREE,
            &[Tso],
            "the only member in a word leaves, another joins under its mark, while a third unmaps",
        ),
        || {
            let leaves: Code<Paired> = |cpu| {
                let user = cpu.user(1);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let joins: Code<Paired> = |cpu| {
                let user = cpu.user(0);
                cpu.run(&user);
                let _ = user.into_handle();
            };
            let flusher: Code<Paired> = |cpu| cpu.unmap(0, 0);
            let cpus = vec![(Start::User(0), leaves), (Start::Kernel, joins), (Start::User(0), flusher)];
            Plan { spaces: 2, sleepers: [1, 1], ..plan(cpus) }
        },
    );
}

fn comes_back(list: &mut List) {
    list.add(
        &named("wide-return", TWO, BOTH, "a CPU leaves its word empty and comes back while another unmaps"),
        || {
            let flusher: Code<Wide> = |cpu| cpu.unmap(0, 0);
            let switcher: Code<Wide> = |cpu| {
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

fn final_drop(list: &mut List) {
    list.add(
        &named(
            "wide-final-drop",
            THREE,
            &[Tso],
            "a space dies under a lazy CPU, while another borrows it and is first in its word",
        ),
        || {
            let owner: Code<Wide> = |cpu| cpu.exit(0);
            let lazy: Code<Wide> = |_| {};
            let outsider: Code<Wide> = |cpu| {
                let pin = cpu.pinned(0);
                cpu.upgrade_and_borrow(0, &pin);
                cpu.drop_pin(pin);
            };
            let cpus = vec![(Start::User(0), owner), (Start::Lazy(0), lazy), (Start::Kernel, outsider)];
            Plan { pins: [1, 0], die: &[0], ..plan(cpus) }
        },
    );
}

fn trim(list: &mut List) {
    list.add(
        &named("wide-trim", TWO, &[Tso], "a word that trimming empties is joined again while another unmaps"),
        || {
            let owner: Code<WideKeep> = |cpu| {
                cpu.trim(0);
                cpu.unmap(0, 0);
            };
            let switcher: Code<WideKeep> = |cpu| {
                let (a, b) = (cpu.user(0), cpu.user(1));
                cpu.run(&b);
                cpu.run(&a);
                let _ = a.into_handle();
                let _ = b.into_handle();
            };
            let cpus = vec![(Start::User(0), owner), (Start::User(0), switcher)];
            Plan { spaces: 2, sleepers: [0, 1], ..plan(cpus) }
        },
    );
}
