//! Targets with interrupts off.

use super::machine::{page_range, space};
use super::{STALL_POLLS, STUCK, machine};
use shootdown::flush::FlushRequest;

#[test]
fn a_target_with_interrupts_off_is_named_and_the_flush_ends_when_it_returns() {
    let host = machine(3);
    let user = space(host, 0xa000);
    (0..3).for_each(|cpu| host.run(cpu, &user));
    host.touch(1, 1);
    host.touch(2, 1);
    host.masked.borrow_mut().insert(1, STUCK);
    host.unmap(0, &user, 1);
    assert_eq!(host.freed_pages(), [1]);
    assert!(host.polls() >= STUCK, "the flush ended when the target was back, not before");
    let stalls: Vec<_> = (1..=host.polls() / STALL_POLLS).map(|stall| (1, stall * STALL_POLLS)).collect();
    assert_eq!(host.stalled.borrow()[..], stalls[..host.stalled.borrow().len()], "CPU 1 alone, each time");
    assert!(host.stalled.borrow().len() as u64 >= STUCK / STALL_POLLS - 1, "{:?}", host.stalled.borrow());
    assert_eq!(host.counters(0).stalls(), host.stalled.borrow().len() as u64);
    host.unmap(2, &user, 1);
    assert_eq!(host.freed_pages(), [1, 1], "the machine goes on as before");
    host.check();
    let _ = user.into_handle();
}

#[test]
fn kernel_memory_waits_for_a_stuck_cpu_by_name_too_and_for_none_that_is_off_line() {
    let host = machine(4);
    host.on(3, || host.engine().offline_cpu());
    host.masked.borrow_mut().insert(3, u64::MAX);
    host.masked.borrow_mut().insert(2, STUCK);
    host.engine().flush_kernel(FlushRequest::pages(page_range(9)).tables_freed());
    assert!(host.polls() >= STUCK);
    assert!(!host.stalled.borrow().is_empty());
    assert!(host.stalled.borrow().iter().all(|&(cpu, _)| cpu == 2), "{:?}", host.stalled.borrow());
    host.check();
}

#[test]
fn a_space_that_dies_under_a_stuck_lazy_cpu_keeps_its_root_until_that_cpu_returns() {
    let host = machine(2);
    let user = space(host, 0xa000);
    host.run(1, &user);
    host.go_lazy(1);
    host.masked.borrow_mut().insert(1, STUCK);
    let teardown = user.put().expect("the only user");
    teardown.finish();
    assert_eq!(*host.freed_roots.borrow(), [0xa000]);
    assert!(host.polls() >= STUCK && host.stalled.borrow().iter().all(|&(cpu, _)| cpu == 1));
    host.check();
}
