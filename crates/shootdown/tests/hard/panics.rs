//! Platforms that panic in a callback, on hosts where a panic unwinds.
//!
//! The engine promises then: no frame and no root goes early, none twice, interrupts and pins are as before, no lock is
//! held. The CPU on which the callback ran may not have answered others, and its tags may stand for nothing: before it
//! runs user code again, it calls `enter_lazy`, `leave` and `online_cpu`, and switches to a space; until then others
//! may wait for it.

use super::machine::bomb::{Callback, is_explosion};
use super::machine::{page_range, space};
use super::{Host, User, machine, two};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::FlushRequest;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

const CPUS: u32 = 3;
const SPACES: usize = if cfg!(miri) { 2 } else { 4 };
const PAGES: u64 = 5;

#[derive(Clone, Debug)]
enum Act {
    Run(u32, usize),
    Lazy(u32),
    Touch(u32, u64),
    Unmap(u32, usize, u64),
    Split(u32, usize, u64),
    Kernel(u32),
    Trim(u32, usize),
    Cycle(u32),
    Fork(u32),
}

fn act() -> impl Strategy<Value = Act> {
    let (cpu, space, page) = (|| 0..CPUS, || 0..SPACES, || 0..PAGES);
    prop_oneof![
        5 => (cpu(), space()).prop_map(|(cpu, space)| Act::Run(cpu, space)),
        2 => cpu().prop_map(Act::Lazy),
        6 => (cpu(), page()).prop_map(|(cpu, page)| Act::Touch(cpu, page)),
        4 => (cpu(), space(), page()).prop_map(|(cpu, space, page)| Act::Unmap(cpu, space, page)),
        2 => (cpu(), space(), page()).prop_map(|(cpu, space, page)| Act::Split(cpu, space, page)),
        1 => cpu().prop_map(Act::Kernel),
        1 => (cpu(), space()).prop_map(|(cpu, space)| Act::Trim(cpu, space)),
        1 => cpu().prop_map(Act::Cycle),
        1 => cpu().prop_map(Act::Fork),
    ]
}

fn perform(host: &'static Host, users: &[User], act: &Act) {
    let engine = host.engine();
    match *act {
        Act::Run(cpu, space) => host.run(cpu, &users[space]),
        Act::Lazy(cpu) => host.go_lazy(cpu),
        Act::Touch(cpu, page) => host.touch(cpu, page),
        Act::Unmap(cpu, space, page) => host.unmap(cpu, &users[space], page),
        Act::Split(cpu, space, page) => host.on(cpu, || {
            let mut gather = engine.gather::<_, 1>(&users[space]);
            let frame = host.state.clear(users[space].root(), page);
            assert!(gather.unmapped(page_range(page), frame).is_ok());
            gather.send().finish_with(drop);
        }),
        Act::Kernel(cpu) => {
            host.on(cpu, || engine.flush_kernel(FlushRequest::pages(page_range(7))));
        }
        Act::Trim(cpu, space) => host.on(cpu, || engine.trim(&users[space])),
        Act::Cycle(cpu) => {
            host.offline(cpu);
            host.online(cpu);
        }
        Act::Fork(cpu) => {
            let child = space(host, 0x9000 + host.freed_roots.borrow().len() as u64);
            host.run(cpu, &child);
            host.touch(cpu, 1);
            host.go_lazy(cpu);
            host.on(cpu, || child.put().expect("the only user").finish());
        }
    }
}

/// Runs `act`; where a callback panicked, the CPUs that were at work recover. Says whether one did.
fn survives(host: &'static Host, users: &[User], act: &Act) -> bool {
    let begun = match *act {
        Act::Run(cpu, _) | Act::Lazy(cpu) | Act::Touch(cpu, _) | Act::Unmap(cpu, ..) => cpu,
        Act::Split(cpu, ..) | Act::Kernel(cpu) | Act::Trim(cpu, _) | Act::Cycle(cpu) | Act::Fork(cpu) => cpu,
    };
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| perform(host, users, act))) else { return false };
    is_explosion(&*payload);
    // One panic is all: the bomb is spent. A handler of another CPU may have run inside the wait of the first.
    for cpu in BTreeSet::from([begun, host.exploded.get().expect("one panicked")]) {
        host.recover(cpu);
        host.run(cpu, &users[0]);
    }
    true
}

const CALLBACKS: [Callback; 14] = [
    Callback::Pin,
    Callback::IrqSave,
    Callback::FlushLocal,
    Callback::Install,
    Callback::SendIpi,
    Callback::FreeRoot,
    Callback::DeferTeardown,
    Callback::FlushRemote,
    Callback::NeedsAck,
    Callback::PublishTables,
    Callback::Relax,
    Callback::Stalled,
    Callback::BeforeOffline,
    Callback::Event,
];
/// Most calls before the panic, and after it.
const ACTS: usize = if cfg!(miri) { 5 } else { 60 };

proptest! {
    // The same cases in every run.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 1024 },
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_panic_in_any_callback_frees_nothing_early_and_leaves_no_interrupts_off(
        before in prop::collection::vec(act(), 0..ACTS),
        callback in prop::sample::select(&CALLBACKS),
        nth in 0_u64..6,
        after in prop::collection::vec(act(), 1..ACTS),
    ) {
        let host = machine(CPUS);
        let users: Vec<User> = (0..SPACES as u64).map(|number| space(host, 0x1000 + number)).collect();
        before.iter().for_each(|act| perform(host, &users, act));
        host.check();
        host.break_at(callback, nth);
        for act in &after {
            if survives(host, &users, act) {
                prop_assert_eq!(host.open.get(), 0, "after a panic in {:?}", callback);
            }
        }
        host.arm(None);
        // Whatever happened, each CPU may run each space again, and finds nothing old in it.
        for cpu in 0..CPUS {
            for user in &users {
                host.run(cpu, user);
                (0..PAGES).for_each(|page| host.touch(cpu, page));
            }
        }
        let freed = host.freed.borrow().len();
        users.iter().for_each(|user| host.unmap(0, user, 1));
        prop_assert_eq!(host.freed.borrow().len(), freed + users.len(), "flushes go on as before");
        (0..CPUS).for_each(|cpu| host.go_lazy(cpu));
        users.into_iter().for_each(|user| user.put().expect("the only user").finish());
        host.check();
    }
}

/// Sends and finishes a gather of page 1, which panics on the way.
fn unmap_panics(host: &'static Host, user: &User, callback: Callback, nth: u64) {
    host.break_at(callback, nth);
    let caught = catch_unwind(AssertUnwindSafe(|| host.unmap(0, user, 1)));
    assert!(caught.is_err(), "{callback:?} was not called");
    host.check();
}

#[test]
fn frames_of_a_gather_whose_flush_panics_are_never_given_back() {
    let before = [Callback::SendIpi, Callback::FlushLocal, Callback::PublishTables, Callback::IrqSave];
    for callback in before.into_iter().chain([Callback::Relax, Callback::NeedsAck]) {
        let (host, user) = two();
        host.masked.borrow_mut().insert(1, u64::MAX);
        unmap_panics(host, &user, callback, 0);
        assert_eq!(host.freed_pages(), [], "{callback:?}: CPU 1 has not answered");
        let _ = user.into_handle();
    }
}

#[test]
fn frames_of_a_gather_whose_sending_panics_are_never_given_back_though_a_second_flush_would_do() {
    for callback in [Callback::SendIpi, Callback::FlushLocal, Callback::PublishTables, Callback::IrqSave] {
        let (host, user) = two();
        let mut gather = host.engine().gather::<_, 1>(&user);
        assert!(gather.unmapped(page_range(1), host.state.clear(0xa000, 1)).is_ok());
        host.break_at(callback, 0);
        assert!(catch_unwind(AssertUnwindSafe(|| gather.send())).is_err(), "{callback:?} was not called");
        assert_eq!(host.freed_pages(), [], "{callback:?}: who panicked does not know what it flushed");
        host.check();
        let _ = user.into_handle();
    }
}

#[test]
fn frames_whose_wait_panics_are_never_given_back() {
    for callback in [Callback::Relax, Callback::NeedsAck, Callback::Stalled] {
        for hands_over in [false, true] {
            let (host, user) = two();
            host.masked.borrow_mut().insert(1, u64::MAX);
            let mut gather = host.engine().gather::<_, 1>(&user);
            assert!(gather.unmapped(page_range(1), host.state.clear(0xa000, 1)).is_ok());
            let pending = gather.send();
            host.break_at(callback, 0);
            let finish = || if hands_over { pending.finish_with(drop) } else { pending.finish() };
            assert!(catch_unwind(AssertUnwindSafe(finish)).is_err(), "{callback:?}");
            assert_eq!(host.freed_pages(), [], "{callback:?}: CPU 1 has not answered");
            host.check();
            let _ = user.into_handle();
        }
    }
}

#[test]
fn frames_of_a_gather_that_is_dropped_and_panics_are_never_given_back() {
    let (host, user) = two();
    host.masked.borrow_mut().insert(1, u64::MAX);
    host.break_at(Callback::PublishTables, 0);
    let dropped = || {
        let mut gather = host.engine().gather::<_, 1>(&user);
        assert!(gather.unmapped(page_range(1), host.state.clear(0xa000, 1)).is_ok());
    };
    assert!(catch_unwind(AssertUnwindSafe(dropped)).is_err());
    assert_eq!(host.freed_pages(), []);
    host.check();
    let _ = user.into_handle();
}

#[test]
fn frames_of_a_batch_are_never_given_back_where_a_callback_panics() {
    let sending = [Callback::SendIpi, Callback::FlushLocal, Callback::PublishTables, Callback::IrqSave];
    for callback in sending.into_iter().chain([Callback::Relax, Callback::NeedsAck]) {
        for hands_over in [false, true] {
            let (host, user) = two();
            host.masked.borrow_mut().insert(1, u64::MAX);
            host.break_at(callback, 0);
            let unmaps = || {
                let mut batch = host.engine().batch::<_, 1, 1>();
                let mut part = batch.gather(&user).expect("one fits");
                assert!(part.unmapped(page_range(1), host.state.clear(0xa000, 1)).is_ok());
                part.announce();
                if hands_over { batch.finish_with(drop) } else { batch.finish() }
            };
            assert!(catch_unwind(AssertUnwindSafe(unmaps)).is_err(), "{callback:?} was not called");
            assert_eq!(host.freed_pages(), [], "{callback:?}: CPU 1 has not answered");
            host.check();
            let _ = user.into_handle();
        }
    }
}

#[test]
fn who_waits_for_a_cpu_whose_handler_panicked_is_answered_when_that_cpu_leaves() {
    let host = machine(3);
    let user = space(host, 0xa000);
    (0..3).for_each(|cpu| host.run(cpu, &user));
    host.touch(1, 1);
    let engine = host.engine();
    let pending = host.on(0, || engine.send(&user, FlushRequest::pages(page_range(1))));
    host.break_at(Callback::FlushLocal, 0);
    let handler = || host.handle_ipi(1);
    assert!(catch_unwind(AssertUnwindSafe(handler)).is_err());
    host.recover(1);
    host.run(1, &user);
    host.on(0, || pending.finish());
    host.check();
    let _ = user.into_handle();
}

#[test]
fn a_space_whose_root_cannot_be_freed_is_not_freed_twice() {
    let host = machine(1);
    let user = space(host, 0xa000);
    let teardown = user.put().expect("the only user");
    host.break_at(Callback::FreeRoot, 0);
    assert!(catch_unwind(AssertUnwindSafe(|| teardown.finish())).is_err());
    assert_eq!(*host.freed_roots.borrow(), [], "it is lost, which is the callback's doing");
    host.check();
}
