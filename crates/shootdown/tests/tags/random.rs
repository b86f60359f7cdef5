//! A million switches, at random from a fixed seed, with each allocator.

use super::machine::state::Everywhere;
use super::machine::storage;
use super::{Host, User, machine, spaces};
use shootdown::Platform;
use shootdown::tags::{
    AsidFlush, FlushByBroadcast, FlushByIpi, GlobalAsids, GlobalOverLocal, PerCpuSlots, Tag, TagPolicy,
    VersionedContexts, Vmids,
};

const SWITCHES: u64 = 1_000_000;

/// A generator of numbers (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What a run has seen.
#[derive(Debug)]
struct Seen {
    /// Flushes of everything, of the CPU that did most.
    everything: u64,
    partial: u64,
    broadcasts: u64,
}

/// Switches at random; unmaps a page of some space after one switch in `unmap_every`, and now and then puts a CPU's
/// space down.
fn run<T: TagPolicy>(host: &'static Host<T>, cpus: u64, count: usize, unmap_every: Option<u64>) -> Seen {
    run_in(host, cpus, &spaces(host, count), unmap_every)
}

/// The same, in these spaces.
fn run_in<T: TagPolicy>(
    host: &'static Host<T>,
    cpus: u64,
    users: &[User<T>],
    unmap_every: Option<u64>,
) -> Seen {
    let count = users.len();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for switch in 0..SWITCHES {
        let cpu = random.below(cpus) as u32;
        host.run(cpu, &users[random.below(count as u64) as usize]);
        if unmap_every.is_some_and(|every| switch % every == 0) {
            host.unmap(random.below(cpus) as u32, &users[random.below(count as u64) as usize], 0);
        }
        if random.below(64) == 0 {
            host.on(cpu, || {
                host.engine().enter_lazy();
                host.engine().leave();
            });
        }
    }
    host.check();
    let everything = host.hardware.borrow().iter().map(|cpu| cpu.everything).max().unwrap_or(0);
    Seen { everything, partial: host.partial.get(), broadcasts: host.broadcasts.get() }
}

fn asids<F: AsidFlush, const G: u32>(tags: u32) -> GlobalAsids<'static, F, G> {
    GlobalAsids::new(tags, storage(4, tags)).expect("enough tags")
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a million switches of code without an unsafe block; `allocators` goes each of its ways"
)]
fn global_asids_flush_once_a_cpu_and_rollover_and_nothing_else() {
    for tags in [6, 16, 100] {
        let host = machine(4, |_| asids::<FlushByIpi, 48>(tags));
        let seen = run(host, 4, 120, None);
        let rollovers = host.tags().rollovers();
        assert!(rollovers > 1_000, "{tags} tags: {rollovers} rollovers");
        assert!(seen.everything <= rollovers, "{tags} tags: {seen:?}, {rollovers} rollovers");
        assert_eq!((seen.partial, seen.broadcasts), (0, 0), "{tags} tags");
    }
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a million switches of code without an unsafe block; `allocators` goes each of its ways"
)]
fn global_asids_stay_right_while_generations_of_three_bits_wrap_and_spaces_are_unmapped() {
    let host = machine(4, |_| asids::<FlushByIpi, 3>(6));
    run(host, 4, 12, Some(3));
    assert!(host.tags().rollovers() > 1_000);
    let host = machine(4, |_| asids::<FlushByBroadcast, 3>(6));
    run(host, 4, 12, Some(3));
    assert!(host.tags().rollovers() > 1_000);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a million switches of code without an unsafe block; `allocators` goes each of its ways"
)]
fn per_cpu_slots_flush_on_reuse_alone() {
    let host = machine(4, |_| PerCpuSlots::<6>);
    let seen = run(host, 4, 5, None);
    assert_eq!((seen.everything, seen.broadcasts), (0, 0));
    assert_eq!(seen.partial, 4 * 5, "five spaces fit six slots: each CPU flushes each once");
    run(machine(4, |_| PerCpuSlots::<6>), 4, 12, Some(3));
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a million switches of code without an unsafe block; `allocators` goes each of its ways"
)]
fn versioned_contexts_flush_on_first_use_alone() {
    let tags = |count| VersionedContexts::<'static, 4>::new(count, storage(4, count)).expect("enough");
    let seen = run(machine(4, |_| tags(32)), 4, 31, None);
    assert_eq!((seen.everything, seen.broadcasts), (0, 0));
    assert_eq!(seen.partial, 4 * 31, "31 spaces fit: each CPU flushes each once");
    let narrow = VersionedContexts::<'static, 4, 3>::new(6, storage(4, 6)).expect("enough");
    let host = machine(4, |_| narrow);
    run(host, 4, 12, Some(3));
    assert!(host.tags().rollovers() > 1_000);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a million switches of code without an unsafe block; `allocators` goes each of its ways"
)]
fn vmids_flush_once_a_rollover_by_broadcast() {
    let host = machine(4, |state| Vmids::<_, 3>::new(6, storage(4, 6), Everywhere(state)).expect("enough"));
    let seen = run(host, 4, 12, Some(3));
    let rollovers = host.tags().rollovers();
    assert!(rollovers > 1_000);
    assert_eq!(seen.broadcasts, rollovers);
    assert_eq!(seen.everything, 0);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a million switches of code without an unsafe block; `allocators` goes each of its ways"
)]
fn shared_tags_are_flushed_by_broadcast_and_local_ones_on_reuse() {
    let storage = storage(4, 8);
    let tags = |state| {
        let (taken, freed) = (storage.taken, storage.pinned);
        GlobalOverLocal::<_, 4>::new(Tag::new(5), 8, taken, freed, Everywhere(state))
            .expect("tags above four")
    };
    let host = machine(4, tags);
    let users = spaces(host, 12);
    for user in &users[..3] {
        host.engine().share_tag(user).expect("three global tags");
    }
    let seen = run_in(host, 4, &users, Some(3));
    assert_eq!((seen.everything, seen.broadcasts), (0, 0));
}
