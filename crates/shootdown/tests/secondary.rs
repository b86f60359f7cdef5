//! Secondary TLBs are told once a flush and waited for by every kind of completion (SD-22), on a machine with a device
//! that shares the first space.

#[path = "machine/mod.rs"]
mod machine;

use machine::state::State;
use machine::{FOR_EVER, Kind, Leaked, Machine, User, page_range, space};
use shootdown::flush::{Deferral, FlushRequest, Retired};
use shootdown::mask::CpuMask;
use shootdown::tags::Untagged;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// CPUs that flush when they run again, if so `ON_ENTRY`, and a device that shares page tables.
struct Shared<const ON_ENTRY: bool = false>;

impl<const ON_ENTRY: bool> Kind for Shared<ON_ENTRY> {
    type Mask = CpuMask<1>;
    type Handle = Leaked<Self>;
    type Tags = Untagged;
    const FLUSHES_ON_ENTRY: bool = ON_ENTRY;
    const SECONDARY_TLBS: bool = true;

    fn mask(_: &'static State) -> CpuMask<1> {
        CpuMask::new()
    }
}

type Host = &'static Machine<Shared>;

/// A machine of two CPUs, of which the first `running` run the space that the device shares.
fn machine(running: u32) -> (Host, User<Shared>) {
    let host = machine::machine(State::new(2), CpuMask::new(), Untagged);
    let user = space(host, 0x1000);
    host.device.shares.set(Some(0x1000));
    (0..running).for_each(|cpu| host.switch(cpu, &user));
    (host, user)
}

fn page() -> FlushRequest {
    FlushRequest::pages(page_range(4))
}

#[test]
fn a_flush_is_posted_before_cpus_are_told_and_waited_for_whichever_cpus_it_concerns() {
    for running in [0, 1, 2] {
        let (host, user) = machine(running);
        host.device.answers_at.set(3);
        host.engine().flush(&user, page());
        assert_eq!(*host.device.posted.borrow(), [(page(), 0)], "once, and no IPI was sent");
        assert_eq!(host.device.done.get(), 1, "{running} CPUs run the space");
        mem::forget(user);
    }
}

#[test]
fn a_flush_is_posted_when_page_tables_are_published_and_its_generation_is_announced() {
    let (host, user) = machine(2);
    host.records.set(true);
    let before = user.generation().number();
    host.device.answers_at.set(1);
    host.engine().flush(&user, page());
    let mut queue = Retired::<_, u64, 1>::new(host.engine());
    let mut gather = host.engine().gather::<u64, 1>(&user);
    assert!(gather.unmapped(page_range(4), 7).is_ok());
    assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok());
    assert_eq!(host.log.borrow().posts, [(1, Some(before + 1)), (2, Some(before + 2))]);
    queue.finish_with(drop);
    mem::forget(user);
}

#[test]
fn a_device_that_has_answered_is_not_waited_for() {
    let (host, user) = machine(1);
    host.device.done.set(1);
    let polls = host.polls();
    host.engine().flush(&user, page());
    assert_eq!(host.polls(), polls);
    mem::forget(user);
}

#[test]
fn nobody_waits_for_a_device_that_does_not_share_the_space_or_of_a_request_for_contexts() {
    let (host, user) = machine(2);
    let other = space(host, 0x2000);
    let open = host.engine().send(&user, page());
    host.engine().flush(&other, page());
    host.engine().flush(&user, FlushRequest::contexts());
    let mut ticket = host.engine().send(&other, page()).detach();
    assert_eq!(host.engine().is_complete(&mut ticket), Ok(true));
    assert_eq!((host.device.posted.borrow().len(), host.device.done.get()), (1, 0));
    host.device.work_off();
    open.finish();
    mem::forget((user, other));
}

#[test]
fn kernel_memory_is_posted_too() {
    let (host, user) = machine(1);
    host.device.answers_at.set(2);
    host.engine().flush_kernel(page());
    assert_eq!((host.device.posted.borrow().len(), host.device.done.get()), (1, 1));
    mem::forget(user);
}

#[test]
fn a_ticket_waits_for_what_was_posted_when_cpus_were_done_and_is_then_complete_for_good() {
    for running in [1, 2] {
        let (host, user) = machine(running);
        let mut ticket = host.engine().send(&user, page()).detach();
        host.poll();
        assert_eq!(host.engine().is_complete(&mut ticket), Ok(false), "{running}");
        // Later posts are no matter of this ticket.
        let later = host.engine().send(&user, page());
        assert_eq!(host.engine().is_complete(&mut ticket), Ok(false), "{running}");
        host.device.done.set(1);
        assert_eq!(host.engine().is_complete(&mut ticket), Ok(true), "{running}");
        host.device.done.set(0); // a device that takes it back, to show that nobody asks
        assert_eq!(host.engine().is_complete(&mut ticket), Ok(true), "{running}");
        host.device.work_off();
        later.finish();
        mem::forget(user);
    }
}

#[test]
fn a_ticket_that_is_waited_for_waits_for_the_device() {
    for running in [0, 1, 2] {
        let (host, user) = machine(running);
        host.device.answers_at.set(2);
        let ticket = host.engine().send(&user, page()).detach();
        assert_eq!(host.engine().wait(ticket), Ok(()));
        assert_eq!(host.device.done.get(), 1);
        mem::forget(user);
    }
}

#[test]
fn a_cpu_that_was_skipped_is_asked_for_a_ticket_that_waits_for_the_device_too() {
    let host = machine::machine(State::new(3), CpuMask::new(), Untagged);
    let user = space::<Shared<true>>(host, 0x1000);
    host.device.shares.set(Some(0x1000));
    (0..3).for_each(|cpu| host.switch(cpu, &user));
    host.answered_for.set(Some(1));
    let mut ticket = host.engine().send(&user, page()).detach();
    assert_eq!((host.device.posted.borrow().len(), host.pending_ipis()), (1, vec![2]));
    host.poll();
    host.answered_for.set(None);
    assert_eq!(host.engine().is_complete(&mut ticket), Ok(false));
    assert_eq!(
        host.pending_ipis(),
        [1],
        "CPUs were told of the flush, so that one that was skipped is asked"
    );
    host.poll();
    host.device.work_off();
    assert_eq!(host.engine().is_complete(&mut ticket), Ok(true));
    mem::forget(user);
}

#[test]
fn frames_of_a_queue_wait_for_the_device_whether_cpus_were_told_at_once_or_later() {
    for deferred in [false, true] {
        for running in [1, 2] {
            let (host, user) = machine(running);
            let mut queue = Retired::<_, u64, 4>::new(host.engine());
            let mut gather = host.engine().gather::<u64, 1>(&user);
            assert!(gather.unmapped(page_range(4), 7).is_ok());
            if deferred {
                assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok());
                host.on(1, || host.engine().catch_up());
            } else {
                assert!(gather.send().retire_into(&mut queue).is_ok());
                host.poll();
            }
            assert_eq!(queue.reclaim(drop), 0, "deferred: {deferred}, {running} CPUs");
            host.device.work_off();
            assert_eq!(queue.reclaim(drop), 1, "deferred: {deferred}, {running} CPUs");
            mem::forget(user);
        }
    }
}

#[test]
fn a_batch_waits_for_the_device_of_each_of_its_spaces() {
    let (host, user) = machine(0);
    let other = space(host, 0x2000);
    host.switch(1, &other);
    host.device.answers_at.set(3);
    let mut batch = host.engine().batch::<u64, 2, 2>();
    for (space, frame) in [(&user, 7), (&other, 8)] {
        assert!(batch.gather(space).unwrap().unmapped(page_range(frame), frame).is_ok());
    }
    let mut done = Vec::new();
    batch.finish_with(|_| done.push(host.device.done.get()));
    assert_eq!(done, [1, 1]);
    mem::forget((user, other));
}

#[test]
fn a_gather_widens_beside_one_whose_flush_the_device_has_not_carried_out() {
    let (host, user) = machine(1);
    let mut queue = Retired::<_, u64, 4>::new(host.engine());
    let mut first = host.engine().gather::<u64, 1>(&user);
    assert!(first.unmapped(page_range(4), 7).is_ok());
    assert!(first.send().retire_into(&mut queue).is_ok());
    host.device.answers_at.set(2);
    // It finds the entry cleared, and records nothing.
    host.engine().gather_within::<u64, 1>(&user, page_range(4)).finish();
    assert_eq!((host.device.posted.borrow().len(), host.device.done.get()), (2, 2));
    host.engine().gather_within::<u64, 1>(&user, page_range(4)).finish();
    assert_eq!(host.device.posted.borrow().len(), 2, "by now it has");
    assert_eq!(queue.reclaim(drop), 1);
    mem::forget(user);
}

#[test]
fn a_device_that_is_late_is_reported_and_no_cpu_is_interrupted_for_it() {
    let (host, user) = machine(1);
    host.device.answers_at.set(9);
    host.engine().flush(&user, page());
    assert_eq!(*host.device.late.borrow(), [(1, 4), (1, 8)]);
    assert_eq!((host.ipis_sent.get(), host.counters(0).stalls()), (0, 2));
    assert!(host.stalled.borrow().is_empty(), "no CPU is late");
    mem::forget(user);
}

#[test]
fn a_cpu_that_waits_for_the_device_handles_what_another_asks_of_it_without_an_interrupt() {
    let (host, user) = machine(1);
    host.device.answers_at.set(2);
    let space: &'static _ = Box::leak(Box::new(user));
    let ask = || host.on(1, || mem::forget(host.engine().send(space, page())));
    *host.device.meanwhile.borrow_mut() = Some(Box::new(ask));
    host.engine().flush(space, page());
    assert_eq!((host.counters(1).ipis_polled(), host.ipis_sent.get()), (1, 0));
    assert_eq!(host.counters(0).selective_flushes(), 2, "its own, and CPU 1's");
}

#[test]
fn frames_stay_where_a_wait_for_the_device_unwinds() {
    let (host, user) = machine(1);
    host.device.answers_at.set(FOR_EVER);
    let frame = Rc::new(7);
    let mut gather = host.engine().gather::<Rc<i32>, 1>(&user);
    assert!(gather.unmapped(page_range(4), frame.clone()).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| gather.send().finish())).is_err());
    assert_eq!(Rc::strong_count(&frame), 2);
    mem::forget(user);
}

#[test]
fn a_flush_that_interrupts_nobody_waits_for_the_device() {
    let (host, user) = machine(2);
    host.go_lazy(1);
    let mut ticket = host.engine().send(&user, page()).detach();
    assert_eq!((host.ipis_sent.get(), host.engine().is_complete(&mut ticket)), (0, Ok(false)));
    host.device.work_off();
    assert_eq!(host.engine().is_complete(&mut ticket), Ok(true));
    mem::forget(user);
}

#[test]
fn a_ticket_waits_for_no_device_that_was_asked_nothing() {
    let (host, user) = machine(0);
    let other = space(host, 0x2000);
    (0..2).for_each(|cpu| host.switch(cpu, &other));
    let open = host.engine().send(&user, page()).detach();
    let mut ticket = host.engine().send(&other, page()).detach();
    host.poll();
    assert_eq!(host.engine().is_complete(&mut ticket), Ok(true));
    host.device.work_off();
    assert_eq!(host.engine().wait(open), Ok(()));
    mem::forget((user, other));
}

#[test]
fn freed_tables_wait_for_a_lazy_cpu_and_for_the_device() {
    let (host, user) = machine(2);
    host.go_lazy(1);
    let mut ticket = host.engine().send(&user, page().tables_freed()).detach();
    host.device.work_off();
    assert_eq!(host.engine().is_complete(&mut ticket), Ok(false), "CPU 1 has the root loaded");
    host.poll();
    assert_eq!(host.engine().is_complete(&mut ticket), Ok(true));
    mem::forget(user);
}
