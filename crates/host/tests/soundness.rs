//! What safe code could do to memory with the machines of this package, were it not refused.
#![forbid(unsafe_code)]

use shootdown_host::shootdown::flush::FlushRequest;
use shootdown_host::{AttachError, Host, Machine, MachineBuilder, SoftTlb, VirtualCpu};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Cpu<'m> = VirtualCpu<'m, Host<u64>, SoftTlb<u64>>;

fn machine() -> Machine<u64> {
    Machine::new(1).expect("one CPU")
}

fn cpu(machine: &Machine<u64>) -> Cpu<'_> {
    machine.virtual_cpu(0, SoftTlb::new(4)).expect("a free CPU")
}

fn reason<R>(call: impl FnOnce() -> R) -> String {
    let Err(reason) = catch_unwind(AssertUnwindSafe(call)) else { panic!("the call is not refused") };
    reason.downcast_ref::<String>().expect("a reason").clone()
}

#[test]
fn a_space_whose_handle_is_dropped_stays_for_the_cpu_that_ran_it() {
    let machine = machine();
    let mut cpu = cpu(&machine);
    let space = machine.new_space(0);
    cpu.run(&space, |_| ());
    drop(space.into_handle());
    drop(cpu);
}

#[test]
fn a_space_of_another_machine_is_refused_and_the_cpu_runs_its_own() {
    let (first, second) = (machine(), machine());
    let space = first.new_space(0);
    let mut cpu = cpu(&second);
    let said = reason(|| cpu.run(&space, |_| ()));
    assert!(said.contains("made by another engine"), "{said}");
    let said = reason(|| second.flush(&space, FlushRequest::all()));
    assert!(said.contains("made by another engine"), "{said}");
    let own = second.new_space(1);
    assert_eq!(cpu.run(&own, |guest| guest.root()), 1);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _me = first.helper().expect("a free seat");
            space.put().expect("the only user").finish();
        });
    });
    drop(cpu);
}

#[test]
fn a_helper_loads_nothing_and_where_it_goes_on_line_it_leaves_when_it_is_dropped() {
    let machine = machine();
    let space = machine.new_space(0);
    let helper = machine.helper().expect("a free seat");
    let said = reason(|| machine.switch_to(&space));
    assert_eq!(said, "not on line, call online_cpu first: CPU 1");
    machine.online_cpu().expect("it fits");
    machine.switch_to(&space);
    drop(helper);
    // Nobody is left who would leave the space: its end waits for nobody.
    let _me = machine.helper().expect("a free seat");
    space.put().expect("the only user").finish();
}

#[test]
fn a_cpu_that_called_the_engine_itself_is_taken_off_line_when_it_is_dropped() {
    let machine = machine();
    let space = machine.new_space(0);
    let mut cpu = cpu(&machine);
    machine.switch_to(&space);
    assert!(reason(|| machine.leave()).contains("runs user code"));
    assert_eq!(cpu.away(|| 3), 3);
    machine.switch_to(&space);
    drop(cpu);
    let _me = machine.helper().expect("a free seat");
    space.put().expect("the only user").finish();
}

#[test]
fn a_machine_may_move_between_its_spaces_and_their_late_teardowns() {
    let freed = Arc::new(AtomicU64::new(0));
    let receive = Arc::clone(&freed);
    let setup = MachineBuilder::new(1).root_freed(move |root| receive.store(root, Ordering::Relaxed));
    let machine = setup.build().expect("one CPU");
    drop(machine.new_space(7));
    let moved = Box::new(machine);
    let _me = moved.helper().expect("a free seat");
    moved.late_teardowns().into_iter().for_each(|late| late.finish());
    assert_eq!(freed.load(Ordering::Relaxed), 7);
}

#[test]
fn a_machine_that_goes_takes_the_teardowns_along_that_nobody_ran() {
    let machine = machine();
    let mut cpu = cpu(&machine);
    let space = machine.new_space(7);
    cpu.run(&space, |_| ());
    drop(space);
    drop(cpu);
    drop(machine);
}

#[test]
fn a_space_that_ends_is_taken_from_the_cpu_that_ran_it() {
    let machine = machine();
    let mut cpu = cpu(&machine);
    let space = machine.new_space(0);
    cpu.run(&space, |_| ());
    space.put().expect("the only user").finish();
    assert_eq!(machine.helper().err(), Some(AttachError::ThreadIsCpu(cpu.id())));
}
