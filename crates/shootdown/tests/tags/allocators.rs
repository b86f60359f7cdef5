//! What each allocator promises.

use super::machine::state::Everywhere;
use super::machine::storage;
use super::{Host, User, machine, spaces};
use shootdown::Platform;
use shootdown::mask::CpuMask;
use shootdown::tags::{
    AsidFlush, FlushByBroadcast, FlushByIpi, FlushMethod, GlobalAsids, GlobalOverLocal, PerCpuSlots, Tag,
    TagPolicy, TagsError, VersionedContexts, Vmids,
};

type Asids<F> = GlobalAsids<'static, F, 3>;

fn asids<F: AsidFlush>(cpus: u32, tags: u32) -> &'static Host<Asids<F>> {
    machine(cpus, |_| GlobalAsids::new(tags, storage(cpus, tags)).expect("enough tags"))
}

fn run_all<T: TagPolicy>(host: &Host<T>, cpu: u32, users: &[User<T>]) {
    users.iter().for_each(|user| host.run(cpu, user));
}

#[test]
fn a_switch_between_two_spaces_with_tags_flushes_nothing() {
    let host = machine(1, |_| PerCpuSlots::<2>);
    let users = spaces(host, 2);
    run_all(host, 0, &users);
    let before = host.partial.get();
    (0..10).for_each(|_| run_all(host, 0, &users));
    assert_eq!(host.partial.get(), before);
}

/// The space runs on two CPUs over a rollover, is taken up by a third CPU, and there is another rollover before one of
/// the two goes: the other one's tag must still be the space's, though it was the second that was found reserved.
#[test]
fn all_cpus_that_run_a_space_over_rollovers_keep_its_tag_reserved() {
    let host = asids::<FlushByBroadcast>(3, 5);
    let users = spaces(host, 6);
    let rollovers = || host.tags().rollovers();
    let roll = |cpu: u32, users: &[User<_>]| {
        let before = rollovers();
        users.iter().cycle().take_while(|_| rollovers() == before).for_each(|user| host.run(cpu, user));
    };
    host.run(1, &users[0]);
    host.run(2, &users[0]);
    let tag = host.tag(2);
    roll(0, &users[1..]);
    host.run(0, &users[0]);
    assert_eq!(host.tag(0), tag, "it runs elsewhere: it keeps its tag");
    roll(0, &users[1..]);
    host.run(1, &users[5]);
    roll(0, &users[1..5]);
    roll(0, &users[1..5]);
    host.run(0, &users[0]);
    assert_eq!((host.tag(0), host.tag(2)), (tag, tag), "CPU 2 has run it all along");
    host.unmap(0, &users[0], 0);
}

/// A space slept since a generation whose number has come again, and its tag of then is reserved for another space that
/// got it in the new one.
#[test]
fn a_tag_reserved_since_generations_wrapped_is_not_taken_for_an_older_one() {
    let tags = GlobalAsids::<FlushByBroadcast, 1>::new(4, storage(2, 4)).expect("enough tags");
    let host = machine(2, |_| tags);
    let users = spaces(host, 6);
    let (old, others) = users.split_first().expect("six");
    host.run(0, old);
    let tag = host.tag(0);
    let mut turn = others.iter().cycle();
    let new = turn.find(|user| {
        host.run(0, user);
        host.tags().rollovers() == 2 && host.tag(0) == tag
    });
    host.run(1, new.expect("an endless turn"));
    while host.tags().rollovers() == 2 {
        host.run(0, turn.next().expect("an endless turn"));
    }
    assert_eq!((host.tags().rollovers(), host.tag(1)), (3, tag));
    host.run(0, old);
    assert_ne!(host.tag(0), tag, "the other CPU runs another space under it");
}

#[test]
fn a_cpu_that_keeps_running_is_not_disturbed_by_rollovers() {
    let host = asids::<FlushByIpi>(2, 4);
    let users = spaces(host, 5);
    host.run(1, &users[0]);
    let tag = host.tag(1);
    (0..50).for_each(|_| run_all(host, 0, &users[1..]));
    assert!(host.tags().rollovers() >= 50);
    host.run(1, &users[0]);
    assert_eq!((host.tag(1), host.hardware_of(1).everything), (tag, 0));
    host.run(1, &users[1]);
    assert_eq!(host.hardware_of(1).everything, 1, "it flushes when it takes another tag");
}

#[test]
fn pinned_tags_outlive_rollovers_and_leave_enough_for_cpus() {
    let host = asids::<FlushByIpi>(2, 6);
    let users = spaces(host, 8);
    let first = host.engine().pin_tag(&users[0]).expect("two may be pinned");
    assert_eq!(host.engine().pin_tag(&users[0]), Ok(first), "pins of one space count as one");
    let second = host.engine().pin_tag(&users[1]).expect("two may be pinned");
    assert_eq!(host.engine().pin_tag(&users[2]), Err(TagsError::NoneToPin(2)));
    for _ in 0..if cfg!(miri) { 10 } else { 50 } {
        run_all(host, 0, &users[2..]);
        run_all(host, 1, &users[2..]);
    }
    host.run(0, &users[0]);
    host.run(1, &users[1]);
    assert_eq!([host.tag(0), host.tag(1)], [first.number(), second.number()]);
    host.engine().unpin_tag(&users[0]);
    assert_eq!(host.engine().pin_tag(&users[2]), Err(TagsError::NoneToPin(2)), "the first is pinned twice");
    host.engine().unpin_tag(&users[0]);
    assert!(host.engine().pin_tag(&users[2]).is_ok());
}

#[test]
#[should_panic(expected = "unpinned that is not pinned")]
fn unpinning_what_is_not_pinned_stops() {
    let host = asids::<FlushByIpi>(1, 4);
    let user = spaces(host, 1).remove(0);
    let _ = host.engine().pin_tag(&user);
    host.engine().unpin_tag(&user);
    host.engine().unpin_tag(&user);
}

#[test]
fn vmids_of_machines_that_do_not_run_are_not_reserved() {
    let host = machine(2, |state| Vmids::<_, 3>::new(5, storage(2, 5), Everywhere(state)).expect("enough"));
    let users = spaces(host, 5);
    host.run(1, &users[0]);
    let tag = host.tag(1);
    let put = |cpu| {
        host.on(cpu, || {
            host.engine().enter_lazy();
            host.engine().leave();
        });
    };
    put(1);
    run_all(host, 0, &users[1..]);
    assert_eq!((host.tags().rollovers(), host.broadcasts.get()), (1, 1));
    assert_eq!(host.tag(0), tag, "the first one's VMID is the first that is free");
}

#[test]
fn numbers_of_cpus_that_run_nothing_are_not_reserved() {
    let host = machine(2, |_| VersionedContexts::<2, 3>::new(5, storage(2, 5)).expect("enough tags"));
    let users = spaces(host, 5);
    host.run(1, &users[0]);
    let number = host.tag(1);
    host.on(1, || {
        host.engine().enter_lazy();
        host.engine().leave();
    });
    run_all(host, 0, &users[1..]);
    assert_eq!((host.tags().rollovers(), host.tag(0)), (1, number), "it is the first that is free");
}

#[test]
fn flushes_by_ipis_name_the_asid_and_broadcasts_rest_on_it() {
    fn reach<F: AsidFlush + 'static>() -> [FlushMethod; 2] {
        let host = asids::<F>(1, 3);
        let user = spaces(host, 1).remove(0);
        let before = host.tags().flush_method(user.tags());
        host.run(0, &user);
        [before, host.tags().flush_method(user.tags())]
    }
    let tag = Tag::new(1);
    assert_eq!(reach::<FlushByIpi>(), [FlushMethod::Ipis(None), FlushMethod::Ipis(Some(tag))]);
    assert_eq!(reach::<FlushByBroadcast>(), [FlushMethod::Nobody, FlushMethod::Broadcast(tag)]);
}

#[test]
fn tags_that_were_pinned_for_a_while_are_given_out_again() {
    let host = asids::<FlushByIpi>(2, 6);
    let users = spaces(host, 12);
    for user in &users {
        assert!(host.engine().pin_tag(user).is_ok(), "nothing else is pinned");
        host.engine().unpin_tag(user);
    }
    for _ in 0..2 {
        run_all(host, 0, &users);
        run_all(host, 1, &users);
    }
    host.unmap(0, &users[11], 0);
}

#[test]
fn a_pin_that_is_undone_leaves_the_pins_of_others() {
    let host = asids::<FlushByIpi>(2, 6);
    let users = spaces(host, 8);
    let [first, second] =
        [0, 1].map(|space: usize| host.engine().pin_tag(&users[space]).expect("two may be pinned"));
    host.engine().unpin_tag(&users[0]);
    let mut given = Vec::new();
    for user in users[2..].iter().chain(&users[2..]) {
        host.run(0, user);
        given.push(host.tag(0));
    }
    assert!(given.contains(&first.number()) && !given.contains(&second.number()), "{given:?}");
}

#[test]
fn a_tag_is_found_behind_a_word_of_the_bitmap_that_has_none_left() {
    let host = asids::<FlushByIpi>(1, 100);
    let users = spaces(host, 100);
    let (pinned, others) = users.split_at(63);
    for (user, tag) in pinned.iter().zip(1..) {
        assert_eq!(host.engine().pin_tag(user), Ok(Tag::new(tag)));
    }
    run_all(host, 0, others);
    assert_eq!((host.tags().rollovers(), host.tag(0)), (1, 64), "1 to 63 are pinned, and 99 was the last");
}

fn shared(tags: u32) -> &'static Host<GlobalOverLocal<'static, Everywhere, 2>> {
    let storage = storage(2, tags);
    machine(2, |state| {
        let (taken, freed) = (storage.taken, storage.pinned);
        GlobalOverLocal::new(Tag::new(3), tags, taken, freed, Everywhere(state)).expect("tags above two")
    })
}

#[test]
fn a_shared_space_runs_under_one_tag_everywhere_and_needs_no_ipi() {
    let host = shared(5);
    let users = spaces(host, 2);
    (0..2).for_each(|cpu| host.run(cpu, &users[0]));
    assert_eq!([host.tag(0), host.tag(1)], [1, 1]);
    assert_eq!(host.engine().share_tag(&users[0]), Ok(Tag::new(3)));
    assert_eq!([host.tag(0), host.tag(1)], [3, 3], "both have moved");
    assert_eq!(host.tags().flush_method(users[0].tags()), FlushMethod::Broadcast(Tag::new(3)));
    assert_eq!(host.engine().share_tag(&users[0]), Err(TagsError::AlreadyShared(Tag::new(3))));
    let sent = host.counters(0).ipis_sent();
    host.unmap(0, &users[0], 0);
    host.run(1, &users[1]);
    host.unmap(0, &users[0], 0);
    host.run(1, &users[0]);
    assert_eq!(host.counters(0).ipis_sent(), sent);
}

#[test]
fn freed_shared_tags_are_given_out_after_one_broadcast_for_all_of_them() {
    let host = shared(6);
    let mut users = spaces(host, 6);
    for (user, tag) in users.iter().zip(3..6) {
        assert_eq!(host.engine().share_tag(user), Ok(Tag::new(tag)));
        host.run(1, user);
    }
    assert_eq!(host.engine().share_tag(&users[3]), Err(TagsError::NoneToShare(3)));
    host.run(1, &users[5]);
    for user in users.drain(..2) {
        user.put().expect("the last user").finish();
    }
    assert_eq!(host.broadcasts.get(), 0, "nothing is dropped before it must");
    for tag in [3, 4] {
        let user = users.remove(1);
        assert_eq!(host.engine().share_tag(&user), Ok(Tag::new(tag)));
        host.run(1, &user);
        host.run(1, users.last().expect("one is left"));
    }
    assert_eq!(host.broadcasts.get(), 1);
    // Three live spaces have all three, and what was freed once was free once.
    let last = users.last().expect("one is left");
    assert_eq!(host.engine().share_tag(last), Err(TagsError::NoneToShare(3)));
    assert_eq!(host.broadcasts.get(), 1);
}

#[test]
fn a_space_that_is_retired_gives_its_shared_tag_back_once() {
    let host = shared(5);
    let engine = host.engine();
    let space = |root| engine.new_space(root, CpuMask::new()).expect("large enough");
    let (a, b, c, d) = (space(1), space(2), space(3), space(4));
    assert_eq!([&a, &b].map(|space| engine.share_tag(space)), [Ok(Tag::new(3)), Ok(Tag::new(4))]);
    engine.retire(&a);
    assert_eq!(engine.share_tag(&c), Ok(Tag::new(3)));
    engine.retire(&a);
    assert_eq!(engine.share_tag(&d), Err(TagsError::NoneToShare(2)));
}

/// A platform that answers a broadcast with IPIs would leave entries on CPUs that have left the space.
#[test]
#[should_panic(expected = "tag 3 rests on broadcasts")]
fn a_flush_of_a_shared_space_stops_where_the_platform_does_not_finish_its_broadcast() {
    let host = shared(5);
    let users = spaces(host, 2);
    host.run(0, &users[0]);
    assert_eq!(host.engine().share_tag(&users[0]), Ok(Tag::new(3)));
    host.run(1, &users[0]);
    host.run(1, &users[1]);
    host.refuses.set(true);
    host.unmap(0, &users[0], 0);
    host.run(1, &users[0]);
}
