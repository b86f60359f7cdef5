//! What each allocator promises.

use super::machine::{Everywhere, Host, User, machine, spaces};
use super::random::storage;
use shootdown::tags::{
    AsidFlush, FlushByBroadcast, FlushByIpi, GlobalAsids, GlobalOverLocal, PerCpuSlots, PinError, ShareError,
    Tag, TagPolicy, Vmids,
};
use shootdown::{CpuId, Platform, Shootdown};

type Asids<F> = GlobalAsids<'static, F, 3>;

fn asids<F: AsidFlush>(cpus: u32, tags: u32) -> &'static Shootdown<Host<Asids<F>>> {
    machine(cpus, |_| GlobalAsids::new(tags, storage(cpus as usize, tags)).expect("enough tags"))
}

fn run_all<T: TagPolicy>(host: &Host<T>, cpu: u32, users: &[User<T>]) {
    users.iter().for_each(|user| host.run(cpu, user));
}

#[test]
fn a_switch_between_two_spaces_with_tags_flushes_nothing() {
    let engine = machine(1, |_| PerCpuSlots::<2>);
    let (host, users) = (engine.platform(), spaces(engine, 2));
    run_all(host, 0, &users);
    let before = host.tlbs.partial.get();
    (0..10).for_each(|_| run_all(host, 0, &users));
    assert_eq!(host.tlbs.partial.get(), before);
}

/// The space runs on two CPUs over a rollover, is taken up by a third CPU, and there is another rollover before one of the
/// two goes: the other one's tag must still be the space's, though it was the second that was found reserved.
#[test]
fn all_cpus_that_run_a_space_over_rollovers_keep_its_tag_reserved() {
    let engine = asids::<FlushByBroadcast>(3, 5);
    let (host, users) = (engine.platform(), spaces(engine, 6));
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
    host.unmap(0, &users[0]);
}

/// A space slept since a generation whose number has come again, and its tag of then is reserved for another space that got
/// it in the new one.
#[test]
fn a_tag_reserved_since_generations_wrapped_is_not_taken_for_an_older_one() {
    let tags = GlobalAsids::<FlushByBroadcast, 1>::new(4, storage(2, 4)).expect("enough tags");
    let engine = machine(2, |_| tags);
    let (host, users) = (engine.platform(), spaces(engine, 6));
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
    let engine = asids::<FlushByIpi>(2, 4);
    let (host, users) = (engine.platform(), spaces(engine, 5));
    host.run(1, &users[0]);
    let tag = host.tag(1);
    (0..50).for_each(|_| run_all(host, 0, &users[1..]));
    assert!(host.tags().rollovers() >= 50);
    host.run(1, &users[0]);
    assert_eq!((host.tag(1), host.tlbs.everything.borrow()[1]), (tag, 0));
    host.run(1, &users[1]);
    assert_eq!(host.tlbs.everything.borrow()[1], 1, "it flushes when it takes another tag");
}

#[test]
fn pinned_tags_outlive_rollovers_and_leave_enough_for_cpus() {
    let engine = asids::<FlushByIpi>(2, 6);
    let (host, users) = (engine.platform(), spaces(engine, 8));
    let first = engine.pin_tag(&users[0]).expect("two may be pinned");
    assert_eq!(engine.pin_tag(&users[0]), Ok(first), "pins of one space count as one");
    let second = engine.pin_tag(&users[1]).expect("two may be pinned");
    assert_eq!(engine.pin_tag(&users[2]), Err(PinError::NoneLeft(2)));
    for _ in 0..50 {
        run_all(host, 0, &users[2..]);
        run_all(host, 1, &users[2..]);
    }
    host.run(0, &users[0]);
    host.run(1, &users[1]);
    assert_eq!([host.tag(0), host.tag(1)], [first.number(), second.number()]);
    engine.unpin_tag(&users[0]);
    assert_eq!(engine.pin_tag(&users[2]), Err(PinError::NoneLeft(2)), "the first is pinned twice");
    engine.unpin_tag(&users[0]);
    assert!(engine.pin_tag(&users[2]).is_ok());
}

#[test]
#[should_panic(expected = "unpinned that is not pinned")]
fn unpinning_what_is_not_pinned_stops() {
    let engine = asids::<FlushByIpi>(1, 4);
    let user = spaces(engine, 1).remove(0);
    let _ = engine.pin_tag(&user);
    engine.unpin_tag(&user);
    engine.unpin_tag(&user);
}

#[test]
fn vmids_of_machines_that_do_not_run_are_not_reserved() {
    let engine = machine(2, |tlbs| Vmids::<_, 3>::new(5, storage(2, 5), Everywhere(tlbs)).expect("enough"));
    let (host, users) = (engine.platform(), spaces(engine, 5));
    host.run(1, &users[0]);
    let tag = host.tag(1);
    let put = |cpu| {
        host.on(cpu, || {
            engine.enter_lazy();
            engine.leave();
        });
    };
    put(1);
    run_all(host, 0, &users[1..]);
    assert_eq!((host.tags().rollovers(), host.tlbs.broadcasts.get()), (1, 1));
    assert_eq!(host.tag(0), tag, "the first one's VMID is the first that is free");
}

fn shared(tags: u32) -> &'static Shootdown<Host<GlobalOverLocal<'static, Everywhere, 2>>> {
    let storage = storage(2, tags);
    machine(2, |tlbs| {
        let (taken, freed) = (storage.taken, storage.pinned);
        GlobalOverLocal::new(Tag::new(3), tags, taken, freed, Everywhere(tlbs)).expect("tags above two")
    })
}

#[test]
fn a_shared_space_runs_under_one_tag_everywhere_and_needs_no_ipi() {
    let engine = shared(5);
    let (host, users) = (engine.platform(), spaces(engine, 2));
    (0..2).for_each(|cpu| host.run(cpu, &users[0]));
    assert_eq!([host.tag(0), host.tag(1)], [1, 1]);
    assert_eq!(engine.share_tag(&users[0]), Ok(Tag::new(3)));
    assert_eq!([host.tag(0), host.tag(1)], [3, 3], "both have moved");
    assert_eq!(engine.share_tag(&users[0]), Err(ShareError::AlreadyShared(Tag::new(3))));
    let sent = engine.platform().local(CpuId::new(0)).counters().ipis_sent();
    host.unmap(0, &users[0]);
    host.run(1, &users[1]);
    host.unmap(0, &users[0]);
    host.run(1, &users[0]);
    assert_eq!(engine.platform().local(CpuId::new(0)).counters().ipis_sent(), sent);
}

#[test]
fn freed_shared_tags_are_given_out_after_one_broadcast_for_all_of_them() {
    let engine = shared(6);
    let (host, mut users) = (engine.platform(), spaces(engine, 6));
    for (user, tag) in users.iter().zip(3..6) {
        assert_eq!(engine.share_tag(user), Ok(Tag::new(tag)));
        host.run(1, user);
    }
    assert_eq!(engine.share_tag(&users[3]), Err(ShareError::NoneLeft(3)));
    host.run(1, &users[5]);
    for user in users.drain(..2) {
        user.put().expect("the last user").finish();
    }
    assert_eq!(host.tlbs.broadcasts.get(), 0, "nothing is dropped before it must");
    for tag in [3, 4] {
        let user = users.remove(1);
        assert_eq!(engine.share_tag(&user), Ok(Tag::new(tag)));
        host.run(1, &user);
        host.run(1, users.last().expect("one is left"));
    }
    assert_eq!(host.tlbs.broadcasts.get(), 1);
}
