//! References that are taken apart.

use crate::platform::*;

#[test]
fn a_user_that_is_taken_apart_and_dropped_leaks_what_a_cpu_runs_in() {
    let engine = engine();
    let (user, memory) = watched(&engine, 7);
    engine.switch_to(&user);
    drop(user.into_handle());
    assert_eq!(memory.strong_count(), 1, "the CPU reads the space when it leaves");
    engine.enter_lazy();
    engine.leave();
    assert_eq!(log(&engine), ["install Some(7)", "install None"], "the root is never freed");
}

#[test]
fn a_struct_reference_that_is_taken_apart_and_dropped_leaks_what_a_cpu_is_lazy_on() {
    let engine = engine();
    let (user, memory) = watched(&engine, 7);
    let pin = user.grab();
    engine.switch_to(&user);
    engine.enter_lazy();
    user.put().expect("the only user").finish();
    drop(pin.into_handle());
    assert_eq!(memory.strong_count(), 1);
    engine.leave();
    assert_eq!(log(&engine), ["install Some(7)", "install None"]);
}

#[test]
fn a_teardown_that_is_taken_apart_and_dropped_leaks_what_a_cpu_is_lazy_on() {
    let engine = engine();
    let (user, memory) = watched(&engine, 7);
    engine.switch_to(&user);
    engine.enter_lazy();
    drop(user.put().expect("the only user").into_handle());
    assert_eq!(memory.strong_count(), 1);
    engine.leave();
    assert_eq!(log(&engine), ["install Some(7)", "install None"]);
}

#[test]
fn a_deferred_teardown_that_the_platform_drops_leaks() {
    let engine = engine();
    lose_deferred(&engine);
    let (user, memory) = watched(&engine, 7);
    engine.switch_to(&user);
    engine.enter_lazy();
    drop(user);
    assert_eq!(memory.strong_count(), 1);
    engine.leave();
    assert_eq!(log(&engine), ["install Some(7)", "install None"]);
}

#[test]
fn a_handle_may_outlive_its_engine() {
    let (handle, memory) = {
        let engine = engine();
        let (user, memory) = watched(&engine, 7);
        engine.switch_to(&user);
        (user.into_handle(), memory)
    };
    assert_eq!(handle.root(), 7);
    assert_eq!(format!("{handle:?}"), "UserHandle(SpaceId(1))");
    drop(handle);
    assert_eq!(memory.strong_count(), 1);
}

#[test]
fn what_is_put_together_again_counts_as_before() {
    let engine = engine();
    let (user, memory) = watched(&engine, 7);
    engine.switch_to(&user);
    engine.enter_lazy();
    let pin = engine.struct_from_handle(user.grab().into_handle());
    let user = engine.user_from_handle(user.into_handle());
    assert_eq!(user.users(), 1);
    let teardown = engine.teardown_from_handle(user.put().expect("the only user").into_handle());
    teardown.finish();
    assert_eq!(memory.strong_count(), 1, "a struct reference is left");
    drop(pin);
    assert_eq!(memory.strong_count(), 0);
    assert_eq!(log(&engine), ["install Some(7)", "install None", "free 7"]);
}

#[test]
fn a_teardown_that_waits_in_a_queue_is_run_later() {
    let engine = engine();
    let (user, memory) = watched(&engine, 7);
    engine.switch_to(&user);
    engine.enter_lazy();
    drop(user);
    let deferred = engine.platform().deferred.borrow_mut().pop().expect("it was kept");
    engine.teardown_from_handle(deferred).finish();
    assert_eq!(memory.strong_count(), 0);
    assert_eq!(log(&engine), ["install Some(7)", "install None", "free 7"]);
}

#[test]
fn the_last_reference_takes_the_space_from_a_cpu_that_still_runs_it() {
    let engine = engine();
    let (user, memory) = watched(&engine, 7);
    engine.switch_to(&user);
    user.put().expect("the only user").finish();
    assert_eq!(memory.strong_count(), 0);
    assert_eq!(log(&engine), ["install Some(7)", "install None", "free 7"]);
}
