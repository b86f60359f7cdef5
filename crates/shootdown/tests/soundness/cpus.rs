//! Calls on a CPU that runs user code, that borrows, or that is not on line.

use crate::platform::*;
use shootdown::flush::FlushRequest;
use std::panic::{AssertUnwindSafe, catch_unwind};

const ACTIVE: &str = "runs user code, call enter_lazy first: CPU 0";
const OFF_LINE: &str = "not on line, call online_cpu first: CPU 0";

#[test]
fn a_cpu_that_runs_user_code_neither_leaves_nor_goes_off_line() {
    let engine = engine();
    let user = space(&engine, 7);
    engine.switch_to(&user);
    assert_eq!(refused(&engine, || engine.leave()), ACTIVE);
    assert_eq!(refused(&engine, || engine.offline_cpu()), ACTIVE);
    engine.switch_to(&space(&engine, 8));
    engine.enter_lazy();
    engine.leave();
    assert_eq!(log(&engine), ["install Some(7)", "install Some(8)", "install None"]);
}

#[test]
fn what_is_borrowed_is_not_left() {
    let engine = engine();
    let user = space(&engine, 7);
    let borrow = engine.borrow(&user).expect("a kernel thread");
    assert_eq!(refused(&engine, || engine.leave()), ACTIVE);
    assert_eq!(refused(&engine, || engine.offline_cpu()), ACTIVE);
    drop(borrow);
    engine.leave();
    assert_eq!(log(&engine), ["install Some(7)", "install None"]);
}

#[test]
fn a_borrow_that_ends_where_another_space_is_loaded_is_told_in_debug_builds() {
    let engine = engine();
    let (user, other) = (space(&engine, 7), space(&engine, 8));
    let borrow = engine.borrow(&user).expect("a kernel thread");
    engine.switch_to(&other);
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(borrow)));
    assert_eq!(dropped.is_err(), cfg!(debug_assertions));
    assert_eq!(engine.platform().open.get(), 0, "interrupts are as they were");
    engine.enter_lazy();
    engine.leave();
    assert_eq!(log(&engine).last().map(String::as_str), Some("install None"));
}

#[test]
fn a_lazy_cpu_that_goes_off_line_leaves_its_space() {
    let engine = engine();
    let (user, memory) = watched(&engine, 7);
    engine.switch_to(&user);
    engine.enter_lazy();
    engine.offline_cpu();
    assert_eq!(log(&engine), ["install Some(7)", "install None"]);
    user.put().expect("the only user").finish();
    assert_eq!(memory.strong_count(), 0);
}

#[test]
fn a_cpu_that_is_not_on_line_loads_nothing() {
    let engine = off_line();
    let user = space(&engine, 7);
    let load = |why: &str| {
        assert_eq!(refused(&engine, || engine.switch_to(&user)), OFF_LINE, "{why}");
        assert_eq!(refused(&engine, || drop(engine.borrow(&user))), OFF_LINE, "{why}");
        assert_eq!(refused(&engine, || load_for_a_moment(&engine, &user)), OFF_LINE, "{why}");
        assert_eq!(refused(&engine, || drop(engine.enter(&user))), OFF_LINE, "{why}");
    };
    load("it never was");
    engine.online_cpu().expect("it fits");
    engine.switch_to(&user);
    engine.enter_lazy();
    engine.offline_cpu();
    load("it no longer is");
}

#[test]
fn a_cpu_that_is_not_on_line_may_do_everything_else() {
    let engine = off_line();
    let (user, memory) = watched(&engine, 7);
    engine.flush_kernel(FlushRequest::all());
    engine.flush(&user, FlushRequest::all().tables_freed());
    engine.trim(&user);
    engine.enter_lazy();
    engine.leave();
    engine.offline_cpu();
    user.put().expect("the only user").finish();
    assert_eq!(memory.strong_count(), 0);
    assert_eq!(log(&engine), ["free 7"]);
}

#[test]
fn going_on_or_off_line_twice_changes_nothing() {
    let engine = engine();
    let user = space(&engine, 7);
    engine.switch_to(&user);
    engine.online_cpu().expect("it fits");
    assert_eq!(refused(&engine, || engine.leave()), ACTIVE, "what is loaded stays");
    engine.enter_lazy();
    engine.offline_cpu();
    engine.offline_cpu();
    play(&engine, 1);
    engine.online_cpu().expect("it fits");
    // Nobody waits for CPU 0, which does not answer.
    engine.flush_kernel(FlushRequest::all().tables_freed());
    engine.flush(&user, FlushRequest::all().tables_freed());
    play(&engine, 0);
    engine.online_cpu().expect("it fits");
    engine.switch_to(&user);
}

#[test]
fn an_entry_that_is_dropped_after_other_calls_touches_no_space_that_has_ended() {
    let engine = engine();
    let ((user, memory), next) = (watched(&engine, 7), space(&engine, 8));
    engine.switch_to(&user);
    let entry = engine.enter(&next);
    // The call finds this CPU between two roots, has it load nothing, and so ends the space that it had.
    user.put().expect("the only user").finish();
    assert_eq!(memory.strong_count(), 0);
    drop(memory); // which kept the allocation, though nothing in it
    let other = engine.enter(&next);
    drop(entry);
    drop(other);
    engine.switch_to(&next);
    engine.enter_lazy();
    engine.leave();
    assert_eq!(log(&engine).last().map(String::as_str), Some("free 7"));
}
