//! Tag allocators when a broadcast panics, and when there are no tags left.

#[path = "../tags/machine.rs"]
#[allow(dead_code, reason = "tests of allocators use more of it")]
mod machine;

use machine::{Everywhere, Host, Tlbs, User, machine, spaces};
use shootdown::Shootdown;
use shootdown::tags::{
    CpuTags, FlushByIpi, GlobalAsids, GlobalOverLocal, PinError, ShareError, Tag, TagBroadcast, TagStorage,
    TagWord, Vmids, tag_words,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A broadcast that panics once, when told to.
struct Brittle {
    whole: Everywhere,
    breaks: Cell<bool>,
}

// SAFETY: each test's machine is used by one thread.
unsafe impl Sync for Brittle {}

// SAFETY: 1. the model's broadcast, or it does not return.
unsafe impl TagBroadcast for &'static Brittle {
    fn flush_all_tags(&self) {
        assert!(!self.breaks.take(), "the platform panics in a broadcast");
        self.whole.flush_all_tags();
    }
}

fn brittle(tlbs: &'static Tlbs) -> &'static Brittle {
    Box::leak(Box::new(Brittle { whole: Everywhere(tlbs), breaks: Cell::new(false) }))
}

fn storage(cpus: usize, tags: u32) -> TagStorage<'static> {
    let words = |count| Vec::leak((0..count).map(|_| TagWord::new()).collect());
    TagStorage {
        taken: words(tag_words(tags)),
        pinned: words(tag_words(tags)),
        cpus: Vec::leak((0..cpus).map(|_| CpuTags::new()).collect()),
        caught: words(cpus * tags as usize),
    }
}

type Guests = Vmids<'static, &'static Brittle, 3>;

/// Two CPUs, tags 1 to 5.
fn guests(count: usize) -> (&'static Shootdown<Host<Guests>>, &'static Brittle, Vec<User<Guests>>) {
    let mut broadcast = None;
    let engine = machine(2, |tlbs| {
        let brittle = brittle(tlbs);
        broadcast = Some(brittle);
        Vmids::<_, 3>::new(6, storage(2, 6), brittle).expect("enough tags")
    });
    let users = spaces(engine, count);
    (engine, broadcast.expect("made above"), users)
}

#[test]
fn a_rollover_whose_broadcast_panics_is_made_again_before_any_tag_changes_hands() {
    let (engine, broadcast, users) = guests(6);
    let host = engine.platform();
    let [a, others @ ..] = &users[..] else { unreachable!("six") };
    // Tags 1 to 4 on CPU 0, and 5 on CPU 1, which keeps it over the first rollover, and uses it.
    others[..4].iter().for_each(|other| host.run(0, other));
    host.run(1, a);
    host.run(0, &others[4]);
    host.run(1, a);
    assert_eq!((host.tag(1), host.tlbs.broadcasts.get()), (5, 1));
    // CPU 1 leaves that space, so that the second rollover frees tag 5, which is beyond what was given out since.
    host.run(0, &others[0]);
    host.run(1, &others[0]);
    host.run(0, &others[1]);
    broadcast.breaks.set(true);
    assert!(catch_unwind(AssertUnwindSafe(|| host.run(0, &others[2]))).is_err());
    host.on(0, || {
        engine.enter_lazy();
        engine.leave();
        engine.online_cpu().expect("it fits");
    });
    // Whoever gets tag 5 now must find nothing of its former owner on CPU 1.
    for other in others {
        host.run(0, other);
        host.run(1, other);
    }
    assert!(host.tlbs.broadcasts.get() >= 2, "the broadcast was made up for");
}

#[test]
fn the_lock_of_the_tables_is_free_after_a_panic() {
    let (engine, broadcast, users) = guests(7);
    let host = engine.platform();
    (0..5).for_each(|space| host.run(0, &users[space]));
    broadcast.breaks.set(true);
    assert!(catch_unwind(AssertUnwindSafe(|| host.run(0, &users[5]))).is_err());
    // This spins for ever if the lock is held.
    host.run(1, &users[6]);
    assert_eq!(host.tlbs.broadcasts.get(), 1);
}

#[test]
fn a_shared_tag_that_is_refused_leaves_the_space_as_it_was() {
    let engine = machine(2, |tlbs| {
        let storage = storage(2, 5);
        GlobalOverLocal::<_, 2>::new(Tag::new(3), 5, storage.taken, storage.pinned, Everywhere(tlbs))
            .expect("two")
    });
    let (host, users) = (engine.platform(), spaces(engine, 3));
    users.iter().for_each(|user| host.run(1, user));
    for user in &users[..2] {
        assert!(engine.share_tag(user).is_ok());
    }
    assert_eq!(engine.share_tag(&users[2]), Err(ShareError::NoneLeft(2)));
    assert_eq!(engine.share_tag(&users[0]), Err(ShareError::AlreadyShared(Tag::new(3))));
    // Refused, the space runs and is flushed as before, and gets a tag when one is free.
    host.run(0, &users[2]);
    host.unmap(1, &users[2]);
    let mut users = users.into_iter();
    let first = users.next().expect("three");
    first.put().expect("the only user").finish();
    let last = users.nth(1).expect("three");
    assert_eq!(engine.share_tag(&last), Ok(Tag::new(3)));
    host.run(0, &last);
}

#[test]
fn a_pin_that_is_refused_changes_nothing() {
    let engine = machine(2, |_| GlobalAsids::<FlushByIpi>::new(6, storage(2, 6)).expect("enough tags"));
    let (host, users) = (engine.platform(), spaces(engine, 12));
    // Six tags, less 0, one for each CPU, and one to give out: two may be pinned.
    let pinned: Vec<_> = users[..2].iter().map(|user| engine.pin_tag(user).expect("room")).collect();
    assert_eq!(engine.pin_tag(&users[2]), Err(PinError::NoneLeft(2)));
    for round in 0..8 {
        users.iter().for_each(|user| host.run(round % 2, user));
        host.unmap(round % 2, &users[2]);
    }
    assert_eq!(
        users[..2].iter().map(|user| engine.pin_tag(user).expect("pinned")).collect::<Vec<_>>(),
        pinned
    );
}
