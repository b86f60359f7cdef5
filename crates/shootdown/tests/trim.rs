//! `trim` asks, and does not wait for ever, on a platform whose CPUs keep their bits.

#[path = "machine/mod.rs"]
mod machine;

use machine::state::{IpiFate, State};
use machine::{Kind, Leaked, Machine, space};
use shootdown::Platform;
use shootdown::flush::FlushRequest;
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::tags::Untagged;
use std::mem;

/// CPUs keep their bits; every fourth flush of a space trims. `VIRTUAL` ones may flush on entry.
struct Kept<const VIRTUAL: bool = false>;

impl<const VIRTUAL: bool> Kind for Kept<VIRTUAL> {
    type Mask = CpuMask<1>;
    type Handle = Leaked<Self>;
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
    const TRIM_EVERY: u64 = 4;
    const FLUSHES_ON_ENTRY: bool = VIRTUAL;

    fn mask(_: &'static State) -> CpuMask<1> {
        CpuMask::new()
    }
}

type Host<const VIRTUAL: bool> = &'static Machine<Kept<VIRTUAL>>;
type Users<const VIRTUAL: bool> = [machine::User<Kept<VIRTUAL>>; 3];

/// A machine of two CPUs, of which CPU 1 has been in three spaces and runs the last, and CPU 0 runs that one.
fn machine<const VIRTUAL: bool>(fate: IpiFate) -> (Host<VIRTUAL>, Users<VIRTUAL>) {
    let host = machine::machine(State::new(2), CpuMask::new(), Untagged);
    host.afterwards.set(fate);
    let users: Users<VIRTUAL> = [1, 2, 3].map(|root| space(host, root << 12));
    users.iter().for_each(|user| host.run(1, user));
    host.run(0, &users[2]);
    (host, users)
}

/// At how many members each of so many flushes looks in vain.
fn looks<const VIRTUAL: bool>(
    host: Host<VIRTUAL>,
    user: &machine::User<Kept<VIRTUAL>>,
    flushes: usize,
) -> Vec<u64> {
    looks_of(host, flushes, || host.engine().flush(user, FlushRequest::all()))
}

/// The same of flushes of any kind.
fn looks_of<const VIRTUAL: bool>(host: Host<VIRTUAL>, flushes: usize, flush: impl Fn()) -> Vec<u64> {
    let look = |_| {
        let before = host.counters(0).ipis_avoided();
        flush();
        host.counters(0).ipis_avoided() - before
    };
    (0..flushes).map(look).collect()
}

#[test]
fn every_fourth_flush_asks_a_cpu_that_runs_elsewhere_and_none_that_is_idle() {
    let (host, users) = machine::<false>(IpiFate::Arrives);
    host.go_lazy(1);
    assert_eq!((looks(host, &users[0], 4), host.ipis_sent.get()), (vec![1; 4], 0), "CPU 1 sleeps");
    host.run(1, &users[2]);
    assert_eq!((looks(host, &users[0], 4), host.ipis_sent.get()), (vec![1, 1, 1, 0], 1));
    assert_eq!(
        (looks(host, &users[1], 2), host.ipis_sent.get()),
        (vec![1; 2], 1),
        "another space, other flushes"
    );
    mem::forget(users);
}

#[test]
fn a_flush_that_is_sent_asks_when_it_is_waited_for_and_where_nobody_waits_it_asks_nobody() {
    let (host, users) = machine::<false>(IpiFate::Arrives);
    let send = |user| host.engine().send(user, FlushRequest::all());
    assert_eq!(looks_of(host, 4, || send(&users[0]).finish()), [1, 1, 1, 0]);
    let gather = |user| host.engine().gather::<u64, 1>(user);
    let sends_a_gather = || {
        let mut gather = gather(&users[1]);
        gather.changed_all();
        gather.send().finish();
    };
    assert_eq!(looks_of(host, 4, sends_a_gather), [1, 1, 1, 0]);
    host.run(1, &users[0]);
    host.run(1, &users[2]);
    let leaves_it_to_a_ticket = || assert!(host.engine().is_complete(&mut send(&users[0]).detach()).is_ok());
    assert_eq!(looks_of(host, 4, leaves_it_to_a_ticket), [1; 4]);
    mem::forget(users);
}

#[test]
fn an_idle_cpu_that_flushes_keeps_its_root() {
    let (host, users) = machine::<false>(IpiFate::Arrives);
    host.go_lazy(0);
    looks(host, &users[2], 4);
    assert_eq!(host.here().root, Some(3 << 12));
    host.engine().trim(&users[2]);
    assert_eq!(host.here().root, None);
    mem::forget(users);
}

#[test]
fn no_flush_asks_virtual_cpus_which_may_not_run() {
    let (host, users) = machine::<true>(IpiFate::Arrives);
    assert_eq!((looks(host, &users[0], 8), host.ipis_sent.get()), (vec![1; 8], 0));
    mem::forget(users);
}

#[test]
fn a_cpu_that_does_not_answer_is_told_of_once_and_asked_no_longer() {
    let (host, users) = machine::<false>(IpiFate::Lost);
    host.engine().trim(&users[0]);
    assert_eq!(*host.stalled.borrow(), [(1, <Kept>::STALL_POLLS)]);
    assert_eq!(host.ipis_sent.get(), 2, "once more, as the first may be lost");
    // Its box is empty again, or there would be no place for this request, and nobody to wait for.
    host.engine().trim(&users[1]);
    assert_eq!(host.stalled.borrow().len(), 2);
    mem::forget(users);
}

#[test]
fn a_cpu_that_answers_is_no_member_any_more() {
    let (host, users) = machine::<false>(IpiFate::Arrives);
    let looked_at = |user| looks(host, user, 1)[0];
    assert_eq!((looked_at(&users[0]), looked_at(&users[1])), (1, 1), "CPU 1 has been there");
    host.engine().trim(&users[0]);
    assert_eq!((looked_at(&users[0]), looked_at(&users[1])), (0, 1));
    assert_eq!(*host.stalled.borrow(), []);
    mem::forget(users);
}

#[test]
fn a_cpu_that_is_off_line_is_not_waited_for() {
    let (host, users) = machine::<false>(IpiFate::Lost);
    host.offline(1);
    host.engine().trim(&users[0]);
    assert_eq!(*host.stalled.borrow(), []);
    mem::forget(users);
}

#[test]
fn a_cpu_that_is_asked_on_its_way_into_the_space_stays_in_its_mask() {
    let (host, users) = machine::<false>(IpiFate::Arrives);
    let [_, other, user]: &'static Users<false> = Box::leak(Box::new(users));
    host.run(1, other);
    host.go_lazy(0);
    host.run(0, user);
    let enters = || {
        host.on(1, || {
            let entry = host.engine().enter(user);
            host.handle_ipi(1);
            // SAFETY: 1. there are no interrupts; 2. spaces are leaked; 3. as the entry says.
            unsafe { host.engine().platform().install(Some(user.root()), entry.tag(), entry.how()) };
            // SAFETY: 1. and 2. that was just done; 3. spaces are leaked; 4. the handler came as an interrupt does.
            unsafe { entry.loaded() };
        });
    };
    *host.device.meanwhile.borrow_mut() = Some(Box::new(enters));
    host.engine().trim(user);
    let open = host.engine().send(user, FlushRequest::all());
    assert_eq!(host.pending_ipis(), [1]);
    open.finish();
}
