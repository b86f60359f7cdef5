//! Spaces that are given to another engine of the same type.

use crate::platform::*;
use shootdown::flush::{FlushRequest, PageRange, VirtAddr};
use std::sync::Arc;

/// A call that takes a space.
type Call = (&'static str, fn(&Engine, &User<'_>));

/// Not a constant: where a mutant of `page` is woven in, it is no constant function.
fn page() -> PageRange {
    PageRange::page(VirtAddr(0x1000))
}

const CALLS: &[Call] = &[
    ("switch_to", |engine, user| engine.switch_to(user)),
    ("borrow", |engine, user| drop(engine.borrow(user))),
    ("with_temporary_space", load_for_a_moment),
    ("flush", |engine, user| engine.flush(user, FlushRequest::all().tables_freed())),
    ("send", |engine, user| drop(engine.send(user, FlushRequest::pages(page())))),
    ("gather", |engine, user| drop(engine.gather::<u64, 1>(user))),
    ("gather_within", |engine, user| drop(engine.gather_within::<u64, 1>(user, page()))),
    ("batch", |engine, user| drop(engine.batch::<u64, 1, 1>().gather(user))),
    ("trim", |engine, user| engine.trim(user)),
    ("enter", |engine, user| drop(engine.enter(user))),
    ("retire", |engine, user| engine.retire(user)),
    ("begin_retire", |engine, user| drop(engine.begin_retire(user))),
    ("is_retired", |engine, user| {
        let mut ticket = engine.send_kernel(FlushRequest::all()).detach();
        _ = engine.is_retired(user, &mut ticket);
    }),
];

#[test]
fn every_call_refuses_the_space_of_another_engine() {
    for (name, call) in CALLS {
        let (first, second) = (engine(), engine());
        let (user, memory) = watched(&first, 7);
        let reason = refused(&second, || call(&second, &user));
        assert_eq!(reason, "made by another engine: space 1", "{name}");
        // Nothing of it is left in either: the space lives and dies as any other.
        first.switch_to(&user);
        first.flush(&user, FlushRequest::all());
        first.enter_lazy();
        user.put().expect("the only user").finish();
        assert_eq!(memory.strong_count(), 0, "{name}");
        assert_eq!(log(&first), ["install Some(7)", "install None", "free 7"], "{name}");
        second.leave();
    }
}

#[test]
fn a_lazy_cpu_stays_lazy_where_a_temporary_space_is_refused() {
    let (first, second) = (engine(), engine());
    let (foreign, own) = (space(&first, 7), space(&second, 8));
    second.switch_to(&own);
    second.enter_lazy();
    refused(&second, || load_for_a_moment(&second, &foreign));
    assert_eq!(log(&second), ["install Some(8)"]);
}

#[test]
fn another_engine_does_not_adopt_a_space() {
    let (first, second) = (engine(), engine());
    let object = object(&first, 7);
    let reason = refused(&second, || second.register(Arc::clone(&object)).map_err(|(refused, _)| refused));
    assert!(reason.contains("made by another engine"), "{reason}");
    assert!(first.register(object).is_ok(), "it is as new as before");
}

#[test]
fn another_engine_puts_no_reference_together_and_the_space_leaks() {
    let (first, second) = (engine(), engine());
    let (user, memory) = watched(&first, 7);
    let pin = user.grab();
    first.switch_to(&user);
    first.enter_lazy();
    let clone = user.clone();
    let reasons = [
        refused(&second, || drop(second.user_from_handle(clone.into_handle()))),
        refused(&second, || drop(second.struct_from_handle(pin.into_handle()))),
    ];
    assert!(reasons.iter().all(|reason| reason.contains("made by another engine")), "{reasons:?}");
    assert!(user.put().is_none(), "the clone leaked");
    first.leave();
    let (other, _) = watched(&first, 8);
    let teardown = other.put().expect("the only user").into_handle();
    refused(&second, || drop(second.teardown_from_handle(teardown)));
    assert_ne!(memory.strong_count(), 0);
    assert_eq!(log(&first), ["install Some(7)", "install None"]);
}

#[test]
fn an_engine_that_moved_knows_what_it_made_before() {
    let engine = engine();
    let object = object(&engine, 7);
    let moved = Box::new(engine);
    let user = moved.register(object).map_err(|(refused, _)| refused).expect("its own");
    moved.switch_to(&user);
    assert_eq!(log(&moved), ["install Some(7)"]);
}

#[test]
fn an_engine_at_the_address_of_one_that_is_gone_refuses_what_that_one_made() {
    let mut place = Box::new(engine());
    let object = object(&place, 7);
    let address = std::ptr::from_ref(&*place);
    *place = engine();
    assert_eq!(std::ptr::from_ref(&*place), address);
    let _own = space(&place, 8);
    let reason = refused(&place, || place.register(object).map_err(|(refused, _)| refused));
    assert_eq!(reason, "made by another engine: space 1");
}
