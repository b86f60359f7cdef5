//! Tag allocators when a broadcast panics, and when there are no tags left.

use super::machine::bomb::Callback;
use super::machine::state::{Everywhere, State};
use super::machine::{Machine, Plain, User, machine, space, storage};
use shootdown::mask::CpuMask;
use shootdown::tags::{FlushByIpi, GlobalAsids, GlobalOverLocal, Tag, TagPolicy, TagsError, Vmids};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Guests = Plain<Vmids<'static, Everywhere, 3>>;

/// Two CPUs, tags 1 to 5.
fn guests(count: u64) -> (&'static Machine<Guests>, Vec<User<Guests>>) {
    let state = State::new(2);
    with_tags(state, Vmids::new(6, storage(2, 6), Everywhere(state)).expect("enough tags"), count)
}

/// A machine with tags of a policy, and so many spaces.
fn with_tags<T: TagPolicy + 'static>(
    state: &'static State,
    tags: T,
    count: u64,
) -> (&'static Machine<Plain<T>>, Vec<User<Plain<T>>>) {
    let host = machine(state, CpuMask::new(), tags);
    (host, (0..count).map(|root| space(host, root)).collect())
}

#[test]
fn a_rollover_whose_broadcast_panics_is_made_again_before_any_tag_changes_hands() {
    let (host, users) = guests(6);
    let [a, others @ ..] = &users[..] else { unreachable!("six") };
    // Tags 1 to 4 on CPU 0, and 5 on CPU 1, which keeps it over the first rollover, and uses it.
    others[..4].iter().for_each(|other| host.run(0, other));
    host.run(1, a);
    host.run(0, &others[4]);
    host.run(1, a);
    assert_eq!((host.tag(1), host.broadcasts.get()), (5, 1));
    // CPU 1 leaves that space, so that the second rollover frees tag 5, which is beyond what was given out since.
    host.run(0, &others[0]);
    host.run(1, &others[0]);
    host.run(0, &others[1]);
    host.break_at(Callback::Broadcast, 0);
    assert!(catch_unwind(AssertUnwindSafe(|| host.run(0, &others[2]))).is_err());
    host.recover(0);
    // The space that gets tag 5 now must find nothing of its former owner on CPU 1.
    for other in others {
        host.run(0, other);
        host.run(1, other);
    }
    assert!(host.broadcasts.get() >= 2, "the broadcast was made up for");
}

#[test]
fn the_lock_of_the_tables_is_free_after_a_panic() {
    let (host, users) = guests(7);
    (0..5).for_each(|space| host.run(0, &users[space]));
    host.break_at(Callback::Broadcast, 0);
    assert!(catch_unwind(AssertUnwindSafe(|| host.run(0, &users[5]))).is_err());
    // This spins for ever if the lock is held.
    host.run(1, &users[6]);
    assert_eq!(host.broadcasts.get(), 1);
}

#[test]
fn a_shared_tag_that_is_refused_leaves_the_space_as_it_was() {
    let state = State::new(2);
    let storage = storage(2, 5);
    let tags = GlobalOverLocal::<_, 2>::new(Tag::new(3), 5, storage.taken, storage.pinned, Everywhere(state));
    let (host, users) = with_tags(state, tags.expect("two"), 3);
    let engine = host.engine();
    users.iter().for_each(|user| host.run(1, user));
    for user in &users[..2] {
        assert!(engine.share_tag(user).is_ok());
    }
    assert_eq!(engine.share_tag(&users[2]), Err(TagsError::NoneToShare(2)));
    assert_eq!(engine.share_tag(&users[0]), Err(TagsError::AlreadyShared(Tag::new(3))));
    // A space that was refused a tag runs and is flushed as before, and gets one when one is free.
    host.run(0, &users[2]);
    host.unmap(1, &users[2], 0);
    let mut users = users.into_iter();
    let first = users.next().expect("three");
    first.put().expect("the only user").finish();
    let last = users.nth(1).expect("three");
    assert_eq!(engine.share_tag(&last), Ok(Tag::new(3)));
    host.run(0, &last);
}

#[test]
fn a_pin_that_is_refused_changes_nothing() {
    let tags = GlobalAsids::<FlushByIpi>::new(6, storage(2, 6)).expect("enough tags");
    let (host, users) = with_tags(State::new(2), tags, 12);
    let engine = host.engine();
    // Six tags, less 0, one for each CPU, and one to give out: two may be pinned.
    let pinned: Vec<_> = users[..2].iter().map(|user| engine.pin_tag(user).expect("room")).collect();
    assert_eq!(engine.pin_tag(&users[2]), Err(TagsError::NoneToPin(2)));
    for round in 0..if cfg!(miri) { 2 } else { 8 } {
        users.iter().for_each(|user| host.run(round % 2, user));
        host.unmap(round % 2, &users[2], 0);
    }
    assert_eq!(
        users[..2].iter().map(|user| engine.pin_tag(user).expect("pinned")).collect::<Vec<_>>(),
        pinned
    );
}

#[test]
fn a_space_of_another_engine_is_neither_pinned_nor_given_a_shared_tag() {
    let asids = || GlobalAsids::<FlushByIpi>::new(6, storage(2, 6)).expect("enough tags");
    let [(first, users), (second, _)] = [(); 2].map(|()| with_tags(State::new(2), asids(), 1));
    let tag = first.engine().pin_tag(&users[0]).expect("room");
    assert_refused(|| _ = second.engine().pin_tag(&users[0]));
    assert_refused(|| second.engine().unpin_tag(&users[0]));
    assert_eq!(first.engine().pin_tag(&users[0]), Ok(tag), "it is pinned as before");

    let [(_, users), (second, _)] = [(); 2].map(|()| {
        let (state, storage) = (State::new(2), storage(2, 5));
        let everywhere = Everywhere(state);
        let tags = GlobalOverLocal::<_, 2>::new(Tag::new(3), 5, storage.taken, storage.pinned, everywhere);
        with_tags(state, tags.expect("two"), 1)
    });
    assert_refused(|| _ = second.engine().share_tag(&users[0]));
}

/// Asserts that a call refuses a space.
fn assert_refused(call: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("another engine made the space");
    let reason = panic.downcast_ref::<String>().expect("a message");
    assert!(reason.contains("made by another engine"), "{reason}");
}
