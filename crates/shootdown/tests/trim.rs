//! `trim` asks, and does not wait for ever, on a platform whose CPUs keep their bits.

#[path = "machine/mod.rs"]
mod machine;

use machine::state::{IpiFate, State};
use machine::{Kind, Leaked, Machine, space};
use shootdown::flush::FlushRequest;
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::tags::Untagged;
use std::mem;

struct Kept;

impl Kind for Kept {
    type Mask = CpuMask<1>;
    type Handle = Leaked<Self>;
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;

    fn mask(_: &'static State) -> CpuMask<1> {
        CpuMask::new()
    }
}

type User = machine::User<Kept>;

/// A machine of two CPUs, of which CPU 1 has been in three spaces and runs the last, and CPU 0 runs that one.
fn machine(fate: IpiFate) -> (&'static Machine<Kept>, [User; 3]) {
    let host = machine::machine(State::new(2), CpuMask::new(), Untagged);
    host.afterwards.set(fate);
    let users: [User; 3] = [1, 2, 3].map(|root| space(host, root << 12));
    users.iter().for_each(|user| host.run(1, user));
    host.run(0, &users[2]);
    (host, users)
}

#[test]
fn a_cpu_that_does_not_answer_is_told_of_once_and_asked_no_longer() {
    let (host, users) = machine(IpiFate::Lost);
    host.engine().trim(&users[0]);
    assert_eq!(*host.stalled.borrow(), [(1, Kept::STALL_POLLS)]);
    assert_eq!(host.ipis_sent.get(), 2, "once more, as the first may be lost");
    // Its box is empty again, or there would be no place for this request, and nobody to wait for.
    host.engine().trim(&users[1]);
    assert_eq!(host.stalled.borrow().len(), 2);
    mem::forget(users);
}

#[test]
fn a_cpu_that_answers_is_no_member_any_more() {
    let (host, users) = machine(IpiFate::Arrives);
    let counters = host.counters(0);
    let looked_at = |user| {
        let before = counters.ipis_avoided();
        host.engine().flush(user, FlushRequest::all());
        counters.ipis_avoided() - before
    };
    assert_eq!((looked_at(&users[0]), looked_at(&users[1])), (1, 1), "CPU 1 has been there");
    host.engine().trim(&users[0]);
    assert_eq!((looked_at(&users[0]), looked_at(&users[1])), (0, 1));
    assert_eq!(*host.stalled.borrow(), []);
    mem::forget(users);
}

#[test]
fn a_cpu_that_is_off_line_is_not_waited_for() {
    let (host, users) = machine(IpiFate::Lost);
    host.offline(1);
    host.engine().trim(&users[0]);
    assert_eq!(*host.stalled.borrow(), []);
    mem::forget(users);
}
