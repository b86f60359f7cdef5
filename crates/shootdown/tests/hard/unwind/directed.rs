//! The rows of `docs/hard-life.md` about callbacks that unwind, one test each.

#[path = "threads.rs"]
mod threads;

use super::brittle::{CPUS, Devices, Exact, Ipis, Kept, Kind};
use super::{A, B, TestMachine, short_of_tags, usual};
use crate::machine::bomb::{Bomb, Callback, When, is_explosion};
use crate::machine::state::Unwinding;
use shootdown::flush::{Deferral, FlushRequest, Retired};
use shootdown::refs::Teardown;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `act`, in which the `nth` call of `callback` unwinds.
fn unwinds<K: Kind>(machine: &TestMachine<K>, callback: Callback, nth: u64, act: impl FnOnce()) {
    unwinds_when(machine, callback, nth, When::Before, act);
}

fn unwinds_when<K: Kind>(
    machine: &TestMachine<K>,
    callback: Callback,
    nth: u64,
    when: When,
    act: impl FnOnce(),
) {
    machine.state.arm(Some(Bomb { callback, nth, when }));
    let panic = catch_unwind(AssertUnwindSafe(act)).expect_err("the callback is called");
    is_explosion(&*panic);
    machine.state.arm(None);
    machine.state.check();
}

fn root<K: Kind>(machine: &TestMachine<K>, cpu: u32) -> Option<u64> {
    machine.state.hardware_of(cpu).root
}

#[test]
fn a_trim_that_unwinds_asks_nobody_any_more() {
    for callback in [Callback::SendIpi, Callback::PinDrop, Callback::Relax, Callback::Stalled] {
        let machine = TestMachine::<Kept>::new();
        machine.run(1, A);
        machine.run(1, B);
        machine.state.masked.borrow_mut().insert(1, u64::MAX);
        let when = if callback == Callback::PinDrop { When::After } else { When::Before };
        unwinds_when(&machine, callback, 0, when, || machine.trim(0, A));
        machine.put(0, A);
        assert_eq!(machine.state.gone.borrow().len(), 1, "the memory of A is gone");
        machine.state.masked.borrow_mut().clear();
        // CPU 1 answers what was asked of it.
        machine.world.interrupt(1);
        machine.trim(0, 0);
        machine.state.check();
    }
}

#[test]
fn a_handler_that_unwinds_while_it_answers_a_trim_empties_its_box() {
    let machine = TestMachine::<Kept>::new();
    machine.run(1, A);
    machine.run(1, B);
    machine.state.arm(None);
    machine.trim(0, A);
    let looks = machine.state.calls.borrow()[&Callback::MaskWords];
    for nth in 0..looks {
        let machine = TestMachine::<Kept>::new();
        machine.run(1, A);
        machine.run(1, B);
        machine.state.arm(Some(Bomb { callback: Callback::MaskWords, nth, when: When::Before }));
        // The wait ends, wherever CPU 1's handler unwinds; so does the next one.
        let _ = catch_unwind(AssertUnwindSafe(|| machine.trim(0, A)));
        machine.state.arm(None);
        machine.trim(0, A);
        machine.state.check();
    }
}

#[test]
fn a_cpu_between_two_roots_stays_in_the_mask_of_the_one_that_it_had() {
    let machine = TestMachine::<Kept>::new();
    machine.run(1, A);
    // A is loaded still, and nobody is told so.
    unwinds(&machine, Callback::Install, 0, || machine.run(1, B));
    assert_eq!(root(&machine, 1), Some(0xa000));
    // CPU 1 answers whatever it is asked, and goes on later.
    machine.trim(0, A);
    machine.put(0, A);
    assert_eq!(root(&machine, 1), None, "A ended when CPU 1 had left it");
    machine.state.check();
}

#[test]
fn a_cpu_between_two_roots_loads_nothing_before_it_does_anything_else() {
    let next: [fn(&TestMachine<Ipis>); 5] = [
        |machine| machine.engine.leave(),
        |machine| machine.engine.enter_lazy(),
        |machine| machine.engine.online_cpu().expect("it fits"),
        |machine| machine.engine.flush(&machine.users.borrow()[A], FlushRequest::all().tables_freed()),
        |machine| machine.engine.trim(&machine.users.borrow()[A]),
    ];
    for next in next {
        let machine = TestMachine::<Ipis>::new();
        usual(&machine);
        machine.run(1, A);
        unwinds(&machine, Callback::TagOnSwitchOut, 0, || machine.run(1, B));
        assert_eq!(root(&machine, 1), Some(0xa000));
        machine.state.on(1, || next(&machine));
        assert_eq!(root(&machine, 1), None);
        assert!(machine.state.hardware_of(1).tlb.is_empty(), "what its tags stand for is unknown");
        machine.run(1, A);
        machine.state.check();
    }
}

#[test]
fn a_cpu_between_two_roots_does_not_wait_for_itself() {
    let machine = TestMachine::<Exact>::new();
    machine.run(2, A);
    let users = machine.users.borrow();
    let pending = machine.state.on(0, || machine.engine.send(&users[A], FlushRequest::all()));
    // CPU 1 joins the mask after it could be asked, and goes on with the thread that waits.
    unwinds(&machine, Callback::Install, 0, || machine.run(1, A));
    machine.state.on(1, || pending.finish());
    assert_eq!(root(&machine, 1), None);
    machine.state.check();
}

#[test]
fn a_lazy_cpu_whose_return_unwinds_catches_up_when_it_returns_again() {
    let machine = TestMachine::<Exact>::new();
    machine.run(0, A);
    machine.run(1, A);
    machine.lazy(1);
    machine.unmap(0, A, 1);
    assert_eq!(machine.state.freed.borrow().len(), 1, "a lazy CPU is not waited for");
    unwinds(&machine, Callback::FlushLocal, 0, || machine.run(1, A));
    // Not by `leave`: as if nothing had happened.
    machine.run(1, A);
    machine.state.check();
}

#[test]
fn a_rollover_whose_flush_unwinds_is_flushed_for_when_the_cpu_goes_on() {
    let machine = TestMachine::<Ipis>::new();
    short_of_tags(&machine);
    machine.state.arm(None);
    machine.run(1, 4);
    machine.run(1, 5);
    let flushes = machine.state.calls.borrow().get(&Callback::FlushLocal).copied().unwrap_or(0);
    assert!(flushes > 0, "tags ran out");
    for nth in 0..flushes {
        let machine = TestMachine::<Ipis>::new();
        short_of_tags(&machine);
        unwinds(&machine, Callback::FlushLocal, nth, || {
            machine.run(1, 4);
            machine.run(1, 5);
        });
        (0..6).chain(0..6).for_each(|space| machine.run(1, space));
        machine.state.check();
    }
}

#[test]
fn a_cpu_between_two_roots_forgets_how_far_the_former_owner_of_a_tag_was() {
    let machine = TestMachine::<Ipis>::new();
    // CPU 1 leaves A, of which it has seen more flushes than space 4 has had.
    machine.run(1, A);
    (0..9).for_each(|_| machine.unmap(1, A, 1));
    machine.run(1, B);
    // Tags 3 and 4 go to the next two; then generations roll over, and space 4 gets A's.
    [2, 3, 4].into_iter().for_each(|space| machine.run(0, space));
    unwinds(&machine, Callback::FlushLocal, 0, || machine.run(1, 4));
    machine.run(1, 4);
    assert_eq!(machine.state.hardware_of(1).tag, 1, "the tag that A had");
    machine.state.check();
}

#[test]
fn cpus_are_told_of_a_deferred_flush_again_where_telling_them_unwinds() {
    for callback in [Callback::Pin, Callback::IrqSave, Callback::Cpu, Callback::Local] {
        let machine = TestMachine::<Exact>::new();
        (0..CPUS).for_each(|cpu| machine.run(cpu, A));
        let mut queue = ManuallyDrop::new(Retired::new(machine.engine));
        machine.retire(1, &mut queue, |gather, queue| {
            assert!(gather.defer_into(queue, Deferral::polls(1)).is_ok());
        });
        // Asking whether CPUs are behind looks at their memory too: the call that unwinds is the last.
        let looks = if callback == Callback::Local { 1 } else { 0 };
        unwinds(&machine, callback, looks, || _ = queue.reclaim(drop));
        queue.reclaim(drop);
        machine.world.poll();
        assert_eq!(queue.reclaim(drop), 1, "{callback:?}: no CPU was told");
        machine.state.check();
    }
}

#[test]
fn frames_are_lost_where_a_callback_of_secondary_tlbs_unwinds_in_a_flush_and_kept_where_a_queue_asks() {
    for callback in [Callback::InvalidateSecondary, Callback::SecondaryIsDone, Callback::SecondaryStalled] {
        let unmaps: [fn(&TestMachine<Devices>); 2] =
            [|machine| machine.unmap(1, A, 1), |machine| machine.send_unmap(1, A, 1)];
        for unmaps in unmaps {
            let machine = TestMachine::<Devices>::new();
            (0..CPUS).for_each(|cpu| machine.run(cpu, A));
            unwinds(&machine, callback, 0, || unmaps(&machine));
            machine.unmap(0, A, 0);
            assert_eq!(machine.state.freed.borrow().len(), 1, "{callback:?}");
            machine.state.check();
        }
    }
    let machine = TestMachine::<Devices>::new();
    (0..CPUS).for_each(|cpu| machine.run(cpu, A));
    let mut queue = Retired::new(machine.engine);
    machine.retire(1, &mut queue, |gather, queue| assert!(gather.send().retire_into(queue).is_ok()));
    machine.world.poll();
    unwinds(&machine, Callback::SecondaryIsDone, 0, || _ = queue.reclaim(drop));
    assert_eq!(queue.reclaim(drop), 0, "the device has not answered");
    machine.state.device.work_off();
    assert_eq!(queue.reclaim(drop), 1);
    machine.state.check();
}

#[test]
fn a_space_whose_end_unwinds_is_leaked_while_a_cpu_has_it_loaded() {
    for callback in [Callback::Pin, Callback::IrqSave, Callback::SendIpi, Callback::Relax, Callback::Stalled]
    {
        let machine = TestMachine::<Exact>::new();
        machine.run(1, A);
        machine.lazy(1);
        machine.state.masked.borrow_mut().insert(1, u64::MAX);
        unwinds(&machine, callback, 0, || machine.put(0, A));
        assert_eq!(root(&machine, 1), Some(0xa000), "{callback:?}");
        assert!(machine.state.gone.borrow().is_empty() && machine.state.freed_roots.borrow().is_empty());
        machine.state.masked.borrow_mut().clear();
        // CPU 1 reads what it has loaded.
        machine.world.interrupt(1);
        machine.state.on(1, || machine.engine.leave());
        machine.state.check();
    }
}

#[test]
fn a_handle_that_unwinds_leaves_no_count_wrong_and_no_space_without_its_memory() {
    for callback in [Callback::HandleClone, Callback::HandleSpace] {
        // Looks at the space: put, and each step of taking and giving up references.
        for nth in 0..12 {
            let machine = TestMachine::<Exact>::new();
            machine.run(1, A);
            machine.lazy(1);
            let user = machine.users.borrow_mut().remove(A);
            machine.state.arm(Some(Bomb { callback, nth, when: When::Before }));
            let steps = AssertUnwindSafe(|| {
                let (other, pin) = (user.clone(), user.grab());
                drop((pin.upgrade(), pin.clone()));
                drop(other);
                user.put().into_iter().for_each(Teardown::finish);
                drop(pin);
            });
            let unwound = catch_unwind(steps).is_err();
            machine.state.arm(None);
            if !unwound {
                assert_eq!(machine.state.gone.borrow().len(), 1);
            }
            machine.world.interrupt(1);
            machine.state.on(1, || machine.engine.leave());
            machine.state.check();
        }
    }
}

#[test]
fn a_clone_that_unwinds_raises_no_count() {
    let machine = TestMachine::<Exact>::new();
    unwinds(&machine, Callback::HandleClone, 0, || drop(machine.users.borrow()[A].clone()));
    let pin = machine.users.borrow()[A].grab();
    unwinds(&machine, Callback::HandleClone, 0, || drop(pin.upgrade()));
    unwinds(&machine, Callback::HandleClone, 0, || drop(pin.clone()));
    drop(pin);
    assert_eq!(machine.users.borrow()[A].users(), 1);
    machine.put(0, A);
    assert!(machine.state.freed_roots.borrow().contains(&0xa000), "the last user is the last");
    machine.state.check();
}

#[test]
fn an_answer_that_unwinds_is_made_up_for_after_a_stall() {
    let machine = TestMachine::<Exact>::new();
    machine.state.unwinding.set(Unwinding::StaysAway);
    (0..CPUS).for_each(|cpu| machine.run(cpu, A));
    machine.state.arm(Some(Bomb { callback: Callback::FlushLocal, nth: 1, when: When::Before }));
    machine.unmap(0, A, 1);
    assert_eq!(machine.state.exploded.take(), Some(1), "in the handler of CPU 1");
    assert_eq!(machine.state.freed.borrow().len(), 1, "the flush is complete, and CPU 1 did not recover");
    machine.state.check();
}

#[test]
fn a_waiter_whose_answer_unwinds_is_asked_again() {
    let machine = TestMachine::<Exact>::new();
    (0..CPUS).for_each(|cpu| machine.run(cpu, A));
    let users = machine.users.borrow();
    let first = machine.state.on(0, || machine.engine.send(&users[B], FlushRequest::all()));
    let pending = machine.state.on(0, || machine.engine.send(&users[A], FlushRequest::all()));
    first.finish();
    // CPU 1 begins to wait, finds a request pending and handles it.
    unwinds(&machine, Callback::FlushLocal, 0, || machine.unmap(1, A, 1));
    machine.state.lose_pending_ipis();
    machine.state.exploded.set(None);
    machine.state.on(0, || pending.finish());
    machine.state.check();
}

#[test]
fn interrupts_go_on_again_where_the_number_of_the_cpu_unwinds() {
    for callback in [Callback::Cpu, Callback::Local] {
        let machine = TestMachine::<Exact>::new();
        unwinds(&machine, callback, 0, || machine.run(1, A));
    }
}

#[test]
fn a_closure_that_unwinds_leaves_what_was_loaded_before() {
    let machine = TestMachine::<Exact>::new();
    for lazy in [false, true] {
        machine.run(1, A);
        if lazy {
            machine.lazy(1);
        }
        unwinds(&machine, Callback::Closure, 0, || {
            let users = machine.users.borrow();
            let body = || machine.state.calls(Callback::Closure, When::Before);
            // SAFETY: 1. the body puts nothing.
            machine.state.on(1, || unsafe { machine.engine.with_temporary_space(&users[B], body) });
        });
        assert_eq!(root(&machine, 1), (!lazy).then_some(0xa000));
    }
    machine.put(0, B);
    assert!(machine.state.freed_roots.borrow().contains(&0xa001), "nobody has it loaded");
    machine.state.check();
}

#[test]
fn a_cpu_whose_way_on_line_unwinds_is_off_line_as_before() {
    for callback in [Callback::FlushLocal, Callback::TagFlushed] {
        let machine = TestMachine::<Exact>::new();
        machine.world.offline(1);
        unwinds(&machine, callback, 0, || machine.world.online(1));
        machine.state.masked.borrow_mut().insert(1, u64::MAX);
        machine.unmap_kernel(0);
        assert_eq!(machine.state.pending_ipis(), [], "it is sent no IPI, and not waited for");
        machine.world.online(1);
        machine.state.touch_all(1);
        machine.state.check();
        // Where it was on line, it is so still.
        unwinds(&machine, callback, 0, || machine.world.online(1));
        machine.state.masked.borrow_mut().clear();
        machine.unmap_kernel(0);
        machine.state.touch_all(1);
        machine.state.check();
    }
}

#[test]
fn frames_are_given_back_where_the_closure_that_takes_them_unwinds() {
    let machine = TestMachine::<Exact>::new();
    machine.run(0, A);
    machine.run(1, A);
    unwinds(&machine, Callback::Closure, 0, || machine.send_unmap(0, A, 1));
    assert_eq!(machine.state.freed.borrow().len(), 2, "the flush was complete");
    unwinds_when(&machine, Callback::FrameDrop, 0, When::After, || machine.send_unmap(0, A, 1));
    assert_eq!(machine.state.freed.borrow().len(), 4);
    unwinds(&machine, Callback::Released, 0, || machine.unmap(0, A, 1));
    assert_eq!(machine.state.freed.borrow().len(), 4, "the frame is lost, and nothing else");
    machine.unmap(1, A, 0);
    assert_eq!(machine.state.freed.borrow().len(), 5);
    machine.state.check();
}

#[test]
fn a_trim_that_unwinds_waits_for_an_answer_that_has_begun() {
    threads::a_trim_unwinds_while_its_target_answers();
}
