//! IPIs that are lost, late, duplicate or spurious.

use super::machine::state::IpiFate;
use super::machine::{FOR_EVER, page_range, space};
use super::{STALL_POLLS, STUCK, User, machine, two};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::FlushRequest;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Polls after which a late IPI arrives.
const FLUSHED_LATE: u64 = if cfg!(miri) { 20 } else { 100 };

#[test]
fn a_lost_ipi_is_sent_again_until_it_is_handled() {
    let (host, user) = two();
    host.fate.borrow_mut().extend([IpiFate::Lost; 3]);
    host.unmap(0, &user, 1);
    assert_eq!(host.freed_pages(), [1]);
    assert_eq!(host.ipis_sent.get(), 4, "once, and once after each of three stalls");
    let stalls: Vec<_> = (1..=3).map(|stall| (1, stall * STALL_POLLS)).collect();
    assert_eq!(*host.stalled.borrow(), stalls);
    host.check();
    let _ = user.into_handle();
}

#[test]
fn where_every_ipi_is_lost_the_wait_goes_on_and_names_the_cpu_each_time() {
    let (host, user) = two();
    host.afterwards.set(IpiFate::Lost);
    let flush = || host.engine().flush(&user, FlushRequest::pages(page_range(1)));
    assert!(catch_unwind(AssertUnwindSafe(flush)).is_err(), "the machine gives up after many polls");
    let stalled = host.stalled.borrow();
    assert!(stalled.len() as u64 > FOR_EVER / 10 && stalled.iter().all(|&(cpu, _)| cpu == 1));
    assert_eq!(host.ipis_sent.get(), 1 + stalled.len() as u64);
    host.check();
    let _ = user.into_handle();
}

#[test]
fn an_ipi_that_is_lost_after_its_cpu_polled_the_request_costs_the_next_sender_one_stall() {
    let (host, user) = two();
    host.fate.borrow_mut().push_back(IpiFate::Lost);
    let flush = |page| host.engine().send(&user, FlushRequest::pages(page_range(page)));
    let pending = host.on(0, || flush(1));
    // CPU 1 waits for CPU 0 and polls: it handles the request, and expects an interrupt that never comes.
    host.on(1, || flush(2).finish());
    host.on(0, || pending.finish());
    assert_eq!((host.ipis_sent.get(), host.stalled.borrow().len()), (2, 0));
    host.touch(1, 3);
    host.unmap(0, &user, 3);
    assert_eq!(*host.stalled.borrow(), [(1, STALL_POLLS)]);
    assert_eq!(host.ipis_sent.get(), 3, "after the stall alone");
    // From then on it is as ever.
    host.touch(1, 4);
    host.unmap(0, &user, 4);
    assert_eq!((host.ipis_sent.get(), host.stalled.borrow().len()), (4, 1));
    host.check();
    let _ = user.into_handle();
}

#[test]
fn a_late_ipi_is_waited_for() {
    let (host, user) = two();
    host.afterwards.set(IpiFate::Delayed(FLUSHED_LATE));
    host.unmap(0, &user, 1);
    assert_eq!(host.freed_pages(), [1]);
    assert!(host.stalled.borrow().len() as u64 >= FLUSHED_LATE / STALL_POLLS - 1);
    // The IPIs sent after stalls arrive after the first, and find nothing to do.
    (0..2 * FLUSHED_LATE).for_each(|_| host.poll());
    assert_eq!(host.counters(1).ipis_handled(), 1);
    host.check();
    let _ = user.into_handle();
}

#[test]
fn a_duplicate_ipi_is_handled_once() {
    let (host, user) = two();
    host.afterwards.set(IpiFate::Twice(3));
    let flushes = host.counters(1).selective_flushes();
    host.unmap(0, &user, 1);
    (0..8).for_each(|_| host.poll());
    assert_eq!(host.counters(1).ipis_handled(), 1);
    assert_eq!(host.counters(1).selective_flushes(), flushes + 1);
    host.check();
    let _ = user.into_handle();
}

#[test]
fn what_a_cpu_finds_by_polling_is_no_ipi_that_it_has_handled() {
    let (host, user) = two();
    let flush = |page| host.engine().send(&user, FlushRequest::pages(page_range(page))).detach();
    // CPU 1 is asked twice before its interrupt arrives.
    let mut tickets = [1, 2].map(|page| host.on(0, || flush(page)));
    host.poll();
    let is_complete = |ticket: &mut _| host.on(0, || host.engine().is_complete(ticket)) == Ok(true);
    assert!(tickets.iter_mut().all(is_complete));
    assert_eq!((host.ipis_sent.get(), host.counters(1).ipis_handled()), (1, 1));
    // It answers while it waits for CPU 0, and the interrupt finds nothing to do.
    let mut ticket = host.on(0, || flush(3));
    host.on(1, || host.engine().flush(&user, FlushRequest::pages(page_range(4))));
    host.poll();
    assert!(is_complete(&mut ticket));
    assert_eq!(host.counters(1).ipis_handled(), 1);
    host.check();
    let _ = user.into_handle();
}

#[test]
fn a_spurious_ipi_changes_nothing_whatever_its_cpu_does() {
    let host = machine(4);
    let user = space(host, 0xa000);
    host.run(0, &user);
    host.run(1, &user);
    host.go_lazy(1);
    // CPU 2 has nothing loaded, CPU 3 is off line.
    host.on(3, || host.engine().offline_cpu());
    let counted = || (0..4).map(|cpu| format!("{:?}", host.counters(cpu))).collect::<Vec<_>>();
    let before = counted();
    (0..4).for_each(|cpu| host.handle_ipi(cpu));
    assert_eq!(counted(), before);
    assert_eq!(host.counters(1).evictions(), 0, "a lazy CPU stays where it is");
    host.check();
    let _ = user.into_handle();
}

#[test]
fn spurious_ipis_at_others_do_not_stand_in_for_the_answer_that_is_missing() {
    let host = machine(3);
    let user = space(host, 0xa000);
    (0..3).for_each(|cpu| host.run(cpu, &user));
    host.touch(1, 1);
    // CPU 1 takes no interrupts for a while, and CPU 2 answers as many times as there are CPUs, and more.
    host.masked.borrow_mut().insert(1, STUCK);
    host.afterwards.set(IpiFate::Twice(1));
    host.on(0, || {
        let mut gather = host.engine().gather(&user);
        let frame = host.state.clear(0xa000, 1);
        assert!(gather.unmapped(page_range(1), frame).is_ok());
        let pending: shootdown::flush::PendingFrames<'_, _, _, 2> = gather.send();
        for _ in 0..8 {
            host.handle_ipi(2);
            host.poll();
        }
        assert!(host.freed.borrow().is_empty());
        pending.finish();
    });
    assert_eq!(host.freed_pages(), [1]);
    assert!(host.stalled.borrow().iter().all(|&(cpu, _)| cpu == 1), "CPU 2 is not late");
    host.check();
    let _ = user.into_handle();
}

/// What happens next.
#[derive(Clone, Debug)]
enum Act {
    Run(u32, usize),
    Lazy(u32),
    Touch(u32, u64),
    Unmap(u32, usize, u64),
    False(u32),
    Mask(u32, u64),
    Cycle(u32),
    Poll,
}

const CPUS: u32 = 4;
const SPACES: usize = 3;
const PAGES: u64 = 6;
/// Most calls of a case.
const ACTS: usize = if cfg!(miri) { 16 } else { 120 };

fn act() -> impl Strategy<Value = Act> {
    let (cpu, page) = (|| 0..CPUS, || 0..PAGES);
    prop_oneof![
        4 => (cpu(), 0..SPACES).prop_map(|(cpu, space)| Act::Run(cpu, space)),
        2 => cpu().prop_map(Act::Lazy),
        6 => (cpu(), page()).prop_map(|(cpu, page)| Act::Touch(cpu, page)),
        4 => (cpu(), 0..SPACES, page()).prop_map(|(cpu, space, page)| Act::Unmap(cpu, space, page)),
        2 => cpu().prop_map(Act::False),
        1 => (cpu(), 1_u64..40).prop_map(|(cpu, polls)| Act::Mask(cpu, polls)),
        1 => cpu().prop_map(Act::Cycle),
        1 => Just(Act::Poll),
    ]
}

fn fate() -> impl Strategy<Value = IpiFate> {
    prop_oneof![
        3 => Just(IpiFate::Arrives),
        2 => Just(IpiFate::Lost),
        1 => (0_u64..20).prop_map(IpiFate::Delayed),
        1 => (0_u64..20).prop_map(IpiFate::Twice),
    ]
}

proptest! {
    // The same cases in every run.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 512 },
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_mix_of_lost_late_duplicate_and_spurious_ipis_lets_a_frame_go_early_or_a_wait_go_on(
        acts in prop::collection::vec(act(), 1..ACTS),
        fate in prop::collection::vec(fate(), 0..ACTS / 2),
    ) {
        let host = machine(CPUS);
        host.fate.borrow_mut().extend(fate);
        let users: Vec<User> = (0..SPACES as u64).map(|number| space(host, 0x1000 + number)).collect();
        let mut unmapped = 0;
        for act in acts {
            match act {
                Act::Run(cpu, space) => host.run(cpu, &users[space]),
                Act::Lazy(cpu) => host.go_lazy(cpu),
                Act::Touch(cpu, page) => host.touch(cpu, page),
                Act::Unmap(cpu, space, page) => {
                    host.unmap(cpu, &users[space], page);
                    unmapped += 1;
                    prop_assert_eq!(host.freed.borrow().len(), unmapped, "each frame goes with its gather");
                }
                Act::False(cpu) => host.handle_ipi(cpu),
                Act::Mask(cpu, polls) => {
                    // Its interrupts come on again: until then it answers nothing.
                    host.masked.borrow_mut().insert(cpu, host.polls() + polls);
                }
                Act::Cycle(cpu) => {
                    host.offline(cpu);
                    host.online(cpu);
                }
                Act::Poll => host.poll(),
            }
        }
        host.check();
        for user in users {
            let _ = user.into_handle();
        }
    }
}
