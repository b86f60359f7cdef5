//! The rows of `docs/hard-life.md` about callbacks that unwind, one test each.

#[path = "threads.rs"]
mod threads;

use super::brittle::{CPUS, Exact, Ipis, Kept, Kind};
use super::{A, B, TestMachine, short_of_tags, usual};
use crate::machine::bomb::{Bomb, Callback, When, is_explosion};
use crate::machine::state::Unwinding;
use shootdown::flush::FlushRequest;
use shootdown::refs::Teardown;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `act`, in which the `nth` call of `callback` unwinds.
fn unwinds<K: Kind>(rig: &TestMachine<K>, callback: Callback, nth: u64, act: impl FnOnce()) {
    unwinds_when(rig, callback, nth, When::Before, act);
}

fn unwinds_when<K: Kind>(rig: &TestMachine<K>, callback: Callback, nth: u64, when: When, act: impl FnOnce()) {
    rig.state.arm(Some(Bomb { callback, nth, when }));
    let panic = catch_unwind(AssertUnwindSafe(act)).expect_err("the callback is called");
    is_explosion(&*panic);
    rig.state.arm(None);
    rig.state.check();
}

fn root<K: Kind>(rig: &TestMachine<K>, cpu: u32) -> Option<u64> {
    rig.state.hardware_of(cpu).root
}

#[test]
fn a_trim_that_unwinds_asks_nobody_any_more() {
    for callback in [Callback::SendIpi, Callback::PinDrop, Callback::Relax, Callback::Stalled] {
        let rig = TestMachine::<Kept>::new();
        rig.run(1, A);
        rig.run(1, B);
        rig.state.masked.borrow_mut().insert(1, u64::MAX);
        let when = if callback == Callback::PinDrop { When::After } else { When::Before };
        unwinds_when(&rig, callback, 0, when, || rig.trim(0, A));
        rig.put(0, A);
        assert_eq!(rig.state.gone.borrow().len(), 1, "the memory of A is gone");
        rig.state.masked.borrow_mut().clear();
        // CPU 1 answers what was asked of it.
        rig.world.interrupt(1);
        rig.trim(0, 0);
        rig.state.check();
    }
}

#[test]
fn a_handler_that_unwinds_while_it_answers_a_trim_empties_its_box() {
    let rig = TestMachine::<Kept>::new();
    rig.run(1, A);
    rig.run(1, B);
    rig.state.arm(None);
    rig.trim(0, A);
    let looks = rig.state.calls.borrow()[&Callback::MaskWords];
    for nth in 0..looks {
        let rig = TestMachine::<Kept>::new();
        rig.run(1, A);
        rig.run(1, B);
        rig.state.arm(Some(Bomb { callback: Callback::MaskWords, nth, when: When::Before }));
        // The wait ends, wherever CPU 1's handler unwinds; so does the next one.
        let _ = catch_unwind(AssertUnwindSafe(|| rig.trim(0, A)));
        rig.state.arm(None);
        rig.trim(0, A);
        rig.state.check();
    }
}

#[test]
fn a_cpu_between_two_roots_stays_in_the_mask_of_the_one_that_it_had() {
    let rig = TestMachine::<Kept>::new();
    rig.run(1, A);
    // A is loaded still, and nobody is told so.
    unwinds(&rig, Callback::Install, 0, || rig.run(1, B));
    assert_eq!(root(&rig, 1), Some(0xa000));
    // CPU 1 answers whatever it is asked, and goes on later.
    rig.trim(0, A);
    rig.put(0, A);
    assert_eq!(root(&rig, 1), None, "A ended when CPU 1 had left it");
    rig.state.check();
}

#[test]
fn a_cpu_between_two_roots_loads_nothing_before_it_does_anything_else() {
    let next: [fn(&TestMachine<Ipis>); 5] = [
        |rig| rig.engine.leave(),
        |rig| rig.engine.enter_lazy(),
        |rig| rig.engine.online_cpu().expect("it fits"),
        |rig| rig.engine.flush(&rig.users.borrow()[A], FlushRequest::all().tables_freed()),
        |rig| rig.engine.trim(&rig.users.borrow()[A]),
    ];
    for next in next {
        let rig = TestMachine::<Ipis>::new();
        usual(&rig);
        rig.run(1, A);
        unwinds(&rig, Callback::TagOnSwitchOut, 0, || rig.run(1, B));
        assert_eq!(root(&rig, 1), Some(0xa000));
        rig.state.on(1, || next(&rig));
        assert_eq!(root(&rig, 1), None);
        assert!(rig.state.hardware_of(1).tlb.is_empty(), "what its tags stand for is unknown");
        rig.run(1, A);
        rig.state.check();
    }
}

#[test]
fn a_cpu_between_two_roots_does_not_wait_for_itself() {
    let rig = TestMachine::<Exact>::new();
    rig.run(2, A);
    let users = rig.users.borrow();
    let pending = rig.state.on(0, || rig.engine.send(&users[A], FlushRequest::all()));
    // CPU 1 joins the mask after it could be asked, and goes on with the thread that waits.
    unwinds(&rig, Callback::Install, 0, || rig.run(1, A));
    rig.state.on(1, || pending.finish());
    assert_eq!(root(&rig, 1), None);
    rig.state.check();
}

#[test]
fn a_lazy_cpu_whose_return_unwinds_catches_up_when_it_returns_again() {
    let rig = TestMachine::<Exact>::new();
    rig.run(0, A);
    rig.run(1, A);
    rig.lazy(1);
    rig.unmap(0, A, 1);
    assert_eq!(rig.state.freed.borrow().len(), 1, "a lazy CPU is not waited for");
    unwinds(&rig, Callback::FlushLocal, 0, || rig.run(1, A));
    // Not by `leave`: as if nothing had happened.
    rig.run(1, A);
    rig.state.check();
}

#[test]
fn a_rollover_whose_flush_unwinds_is_flushed_for_when_the_cpu_goes_on() {
    let rig = TestMachine::<Ipis>::new();
    short_of_tags(&rig);
    rig.state.arm(None);
    rig.run(1, 4);
    rig.run(1, 5);
    let flushes = rig.state.calls.borrow().get(&Callback::FlushLocal).copied().unwrap_or(0);
    assert!(flushes > 0, "tags ran out");
    for nth in 0..flushes {
        let rig = TestMachine::<Ipis>::new();
        short_of_tags(&rig);
        unwinds(&rig, Callback::FlushLocal, nth, || {
            rig.run(1, 4);
            rig.run(1, 5);
        });
        (0..6).chain(0..6).for_each(|space| rig.run(1, space));
        rig.state.check();
    }
}

#[test]
fn a_cpu_between_two_roots_forgets_how_far_the_former_owner_of_a_tag_was() {
    let rig = TestMachine::<Ipis>::new();
    // CPU 1 leaves A, of which it has seen more flushes than space 4 has had.
    rig.run(1, A);
    (0..9).for_each(|_| rig.unmap(1, A, 1));
    rig.run(1, B);
    // Tags 3 and 4 go to the next two; then generations roll over, and space 4 gets A's.
    [2, 3, 4].into_iter().for_each(|space| rig.run(0, space));
    unwinds(&rig, Callback::FlushLocal, 0, || rig.run(1, 4));
    rig.run(1, 4);
    assert_eq!(rig.state.hardware_of(1).tag, 1, "the tag that A had");
    rig.state.check();
}

#[test]
fn a_space_whose_end_unwinds_is_leaked_while_a_cpu_has_it_loaded() {
    for callback in [Callback::Pin, Callback::IrqSave, Callback::SendIpi, Callback::Relax, Callback::Stalled]
    {
        let rig = TestMachine::<Exact>::new();
        rig.run(1, A);
        rig.lazy(1);
        rig.state.masked.borrow_mut().insert(1, u64::MAX);
        unwinds(&rig, callback, 0, || rig.put(0, A));
        assert_eq!(root(&rig, 1), Some(0xa000), "{callback:?}");
        assert!(rig.state.gone.borrow().is_empty() && rig.state.freed_roots.borrow().is_empty());
        rig.state.masked.borrow_mut().clear();
        // CPU 1 reads what it has loaded.
        rig.world.interrupt(1);
        rig.state.on(1, || rig.engine.leave());
        rig.state.check();
    }
}

#[test]
fn a_handle_that_unwinds_leaves_no_count_wrong_and_no_space_without_its_memory() {
    for callback in [Callback::HandleClone, Callback::HandleSpace] {
        // Looks at the space: put, and each step of taking and giving up references.
        for nth in 0..12 {
            let rig = TestMachine::<Exact>::new();
            rig.run(1, A);
            rig.lazy(1);
            let user = rig.users.borrow_mut().remove(A);
            rig.state.arm(Some(Bomb { callback, nth, when: When::Before }));
            let steps = AssertUnwindSafe(|| {
                let (other, pin) = (user.clone(), user.grab());
                drop((pin.upgrade(), pin.clone()));
                drop(other);
                user.put().into_iter().for_each(Teardown::finish);
                drop(pin);
            });
            let unwound = catch_unwind(steps).is_err();
            rig.state.arm(None);
            if !unwound {
                assert_eq!(rig.state.gone.borrow().len(), 1);
            }
            rig.world.interrupt(1);
            rig.state.on(1, || rig.engine.leave());
            rig.state.check();
        }
    }
}

#[test]
fn a_clone_that_unwinds_raises_no_count() {
    let rig = TestMachine::<Exact>::new();
    unwinds(&rig, Callback::HandleClone, 0, || drop(rig.users.borrow()[A].clone()));
    let pin = rig.users.borrow()[A].grab();
    unwinds(&rig, Callback::HandleClone, 0, || drop(pin.upgrade()));
    unwinds(&rig, Callback::HandleClone, 0, || drop(pin.clone()));
    drop(pin);
    assert_eq!(rig.users.borrow()[A].users(), 1);
    rig.put(0, A);
    assert!(rig.state.freed_roots.borrow().contains(&0xa000), "the last user is the last");
    rig.state.check();
}

#[test]
fn an_answer_that_unwinds_is_made_up_for_after_a_stall() {
    let rig = TestMachine::<Exact>::new();
    rig.state.unwinding.set(Unwinding::StaysAway);
    (0..CPUS).for_each(|cpu| rig.run(cpu, A));
    rig.state.arm(Some(Bomb { callback: Callback::FlushLocal, nth: 1, when: When::Before }));
    rig.unmap(0, A, 1);
    assert_eq!(rig.state.exploded.take(), Some(1), "in the handler of CPU 1");
    assert_eq!(rig.state.freed.borrow().len(), 1, "the flush is complete, and CPU 1 did not recover");
    rig.state.check();
}

#[test]
fn a_waiter_whose_answer_unwinds_is_asked_again() {
    let rig = TestMachine::<Exact>::new();
    (0..CPUS).for_each(|cpu| rig.run(cpu, A));
    let users = rig.users.borrow();
    let first = rig.state.on(0, || rig.engine.send(&users[B], FlushRequest::all()));
    let pending = rig.state.on(0, || rig.engine.send(&users[A], FlushRequest::all()));
    first.finish();
    // CPU 1 begins to wait, finds a request pending and handles it.
    unwinds(&rig, Callback::FlushLocal, 0, || rig.unmap(1, A, 1));
    rig.state.lose_pending_ipis();
    rig.state.exploded.set(None);
    rig.state.on(0, || pending.finish());
    rig.state.check();
}

#[test]
fn interrupts_go_on_again_where_the_number_of_the_cpu_unwinds() {
    for callback in [Callback::Cpu, Callback::Local] {
        let rig = TestMachine::<Exact>::new();
        unwinds(&rig, callback, 0, || rig.run(1, A));
    }
}

#[test]
fn a_closure_that_unwinds_leaves_what_was_loaded_before() {
    let rig = TestMachine::<Exact>::new();
    for lazy in [false, true] {
        rig.run(1, A);
        if lazy {
            rig.lazy(1);
        }
        unwinds(&rig, Callback::Closure, 0, || {
            let users = rig.users.borrow();
            let body = || rig.state.calls(Callback::Closure, When::Before);
            // SAFETY: 1. the body puts nothing.
            rig.state.on(1, || unsafe { rig.engine.with_temporary_space(&users[B], body) });
        });
        assert_eq!(root(&rig, 1), (!lazy).then_some(0xa000));
    }
    rig.put(0, B);
    assert!(rig.state.freed_roots.borrow().contains(&0xa001), "nobody has it loaded");
    rig.state.check();
}

#[test]
fn a_cpu_whose_way_on_line_unwinds_is_off_line_as_before() {
    for callback in [Callback::FlushLocal, Callback::TagFlushed] {
        let rig = TestMachine::<Exact>::new();
        rig.world.offline(1);
        unwinds(&rig, callback, 0, || rig.world.online(1));
        rig.state.masked.borrow_mut().insert(1, u64::MAX);
        rig.unmap_kernel(0);
        assert_eq!(rig.state.pending_ipis(), [], "it is sent no IPI, and not waited for");
        rig.world.online(1);
        rig.state.touch_all(1);
        rig.state.check();
        // Where it was on line, it is so still.
        unwinds(&rig, callback, 0, || rig.world.online(1));
        rig.state.masked.borrow_mut().clear();
        rig.unmap_kernel(0);
        rig.state.touch_all(1);
        rig.state.check();
    }
}

#[test]
fn frames_are_given_back_where_the_closure_that_takes_them_unwinds() {
    let rig = TestMachine::<Exact>::new();
    rig.run(0, A);
    rig.run(1, A);
    unwinds(&rig, Callback::Closure, 0, || rig.send_unmap(0, A, 1));
    assert_eq!(rig.state.freed.borrow().len(), 2, "the flush was complete");
    unwinds_when(&rig, Callback::FrameDrop, 0, When::After, || rig.send_unmap(0, A, 1));
    assert_eq!(rig.state.freed.borrow().len(), 4);
    unwinds(&rig, Callback::Released, 0, || rig.unmap(0, A, 1));
    assert_eq!(rig.state.freed.borrow().len(), 4, "the frame is lost, and nothing else");
    rig.unmap(1, A, 0);
    assert_eq!(rig.state.freed.borrow().len(), 5);
    rig.state.check();
}

#[test]
fn a_trim_that_unwinds_waits_for_an_answer_that_has_begun() {
    threads::a_trim_unwinds_while_its_target_answers();
}
