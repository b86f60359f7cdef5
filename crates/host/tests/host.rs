//! Virtual CPUs that are threads: who is waited for, and who catches up.
//!
//! Every wait is bounded: a channel that stays silent fails the test that receives.

use shootdown_host::shootdown::flush::{Deferral, FlushRequest, PageRange, PageSize, Retired, VirtAddr};
use shootdown_host::shootdown::refs::UserRef;
use shootdown_host::shootdown::{CpuId, Platform};
use shootdown_host::{AttachError, BuildError, Host, Leaf, Machine, MachineBuilder, Poll, SoftTlb};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);
const PAGE: VirtAddr = VirtAddr(0x5000);
/// Flushes of a test in which CPUs run beside each other.
const ROUNDS: u64 = if cfg!(miri) { 8 } else { 100 };

fn machine(cpus: u32) -> Arc<Machine<u64>> {
    Arc::new(Machine::new(cpus).expect("a small machine"))
}

fn tlb() -> SoftTlb<u64> {
    SoftTlb::new(16)
}

/// What another thread says, within bounds.
fn receive<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(LONG).expect("the other thread answers")
}

/// Runs `body` on a thread of its own and fails if it does not come to its end.
fn within_bounds(body: impl FnOnce() + Send + 'static) {
    let (says, ends) = channel();
    let thread = thread::spawn(move || {
        body();
        says.send(()).expect("somebody waits");
    });
    let ended = ends.recv_timeout(LONG);
    assert_ne!(ended, Err(RecvTimeoutError::Timeout), "it waits for ever");
    thread.join().expect("it does not panic");
}

#[test]
fn a_flush_waits_for_a_cpu_in_guest_code_until_it_polls() {
    within_bounds(|| {
        let machine = machine(1);
        let space = machine.new_space(7);
        let table = AtomicU64::new(1);
        let (entered, enters) = channel();
        let (flushing, flushes) = channel();
        let polled = AtomicBool::new(false);
        thread::scope(|threads| {
            let (machine, space, table, polled) = (&machine, &space, &table, &polled);
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
                cpu.run(space, |guest| {
                    let walk = |root| Some(Leaf::page(root * 100 + table.load(SeqCst)));
                    assert_eq!(guest.translate(PAGE, walk), Some(701));
                    entered.send(()).expect("the other thread receives");
                    receive(&flushes);
                    assert_eq!(guest.translate(PAGE, walk), Some(701), "it has not polled since");
                    polled.store(true, SeqCst);
                    while guest.translate(PAGE, walk) == Some(701) {
                        assert_eq!(guest.poll(), Poll::Continue);
                    }
                    assert_eq!(guest.translate(PAGE, walk), Some(702));
                });
                assert!(cpu.counters().ipis_handled() >= 1);
            });
            let _me = machine.helper().expect("a free seat");
            receive(&enters);
            table.store(2, SeqCst);
            let pending = machine.send(space, FlushRequest::pages(PageRange::page(PAGE)));
            flushing.send(()).expect("the other thread receives");
            pending.finish();
            assert!(polled.load(SeqCst), "the flush ended before the CPU in guest code had polled");
        });
    });
}

#[test]
fn a_cpu_in_host_code_is_passed_over_and_catches_up_by_range_when_it_comes_back() {
    within_bounds(|| {
        let machine = machine(2);
        let space = machine.new_space(0);
        let table = AtomicU64::new(1);
        let (left, leaves) = channel();
        let (flushed, flushes) = channel::<()>();
        thread::scope(|threads| {
            let (machine, space, table) = (&machine, &space, &table);
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
                let walk = |_| Some(Leaf::page(table.load(SeqCst)));
                let other = VirtAddr(0x9000);
                cpu.run(space, |guest| {
                    assert_eq!(guest.translate(PAGE, walk), Some(1));
                    assert_eq!(guest.translate(other, |_| Some(Leaf::page(9))), Some(9));
                });
                // Blocked in host code, where it polls nothing.
                left.send(()).expect("the other thread receives");
                receive(&flushes);
                cpu.run(space, |guest| {
                    assert_eq!(guest.translate(PAGE, walk), Some(2), "it was flushed on the way in");
                    assert_eq!(guest.tlb().get(other), Some(9), "what was not flushed is still there");
                });
                assert_eq!(cpu.counters().ipis_handled(), 0, "no IPI was sent");
                assert_eq!(cpu.counters().selective_flushes(), 1);
            });
            let _me = machine.helper().expect("a free seat");
            receive(&leaves);
            table.store(2, SeqCst);
            machine.flush(space, FlushRequest::pages(PageRange::page(PAGE)).tables_freed());
            flushed.send(()).expect("the other thread receives");
        });
    });
}

#[test]
fn a_flush_of_kernel_memory_passes_it_over_too_and_is_not_lost() {
    within_bounds(|| {
        let machine = machine(1);
        let space = machine.new_space(0);
        let (left, leaves) = channel();
        let (flushed, flushes) = channel::<()>();
        thread::scope(|threads| {
            let (machine, space) = (&machine, &space);
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
                cpu.run(space, |guest| guest.tlb().insert(PAGE, Leaf::page(1)));
                left.send(()).expect("the other thread receives");
                receive(&flushes);
                cpu.run(space, |guest| assert_eq!(guest.tlb().get(PAGE), None));
            });
            let _me = machine.helper().expect("a free seat");
            receive(&leaves);
            machine.flush_kernel(FlushRequest::all().tables_freed());
            flushed.send(()).expect("the other thread receives");
        });
    });
}

#[test]
fn a_deferred_flush_of_kernel_memory_is_carried_out_by_a_cpu_that_comes_back() {
    within_bounds(|| {
        let machine = machine(1);
        let space = machine.new_space(1);
        let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
        cpu.run(&space, |guest| guest.tlb().insert(PAGE, Leaf::page(1)));
        let mut retired = Retired::<_, u64, 4>::new(&machine);
        thread::scope(|threads| {
            let (machine, retired) = (&machine, &mut retired);
            threads.spawn(move || {
                let _me = machine.helper().expect("a free seat");
                let mut gather = machine.kernel().gather::<u64, 1>();
                gather.unmapped(PageRange::page(PAGE), 1).expect("room for one");
                assert!(gather.defer_into(retired, Deferral::FOREVER).is_ok());
                // The CPU runs no guest code, so that nobody waits for it, and nobody has told it.
                assert_eq!(retired.reclaim(drop), 1);
            });
        });
        cpu.run(&space, |guest| assert_eq!(guest.tlb().get(PAGE), None, "its frame is somebody else's"));
    });
}

#[test]
fn what_the_embedder_does_with_the_engine_between_two_runs_loses_no_flush() {
    within_bounds(|| {
        let machine = machine(1);
        let (a, b) = (machine.new_space(1), machine.new_space(2));
        thread::scope(|threads| {
            let (machine, a, b) = (&machine, &a, &b);
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
                cpu.run(a, |guest| guest.tlb().insert(PAGE, Leaf::page(1)));
                machine.switch_to(a);
                thread::scope(|threads| {
                    threads.spawn(|| {
                        let _me = machine.helper().expect("a free seat");
                        machine.flush(a, FlushRequest::pages(PageRange::page(PAGE)));
                    });
                });
                cpu.run(a, |guest| assert_eq!(guest.tlb().get(PAGE), None));
                cpu.run(a, |guest| guest.tlb().insert(PAGE, Leaf::page(3)));
                cpu.run(b, |guest| assert_eq!(guest.tlb().get(PAGE), None, "that is the other space's"));
                cpu.run(a, |guest| assert_eq!(guest.tlb().get(PAGE), Some(3), "a tag keeps what it has"));
                machine.flush(a, FlushRequest::all());
                cpu.run(a, |guest| assert_eq!(guest.tlb().get(PAGE), None));
            });
        });
    });
}

#[test]
fn the_end_of_a_space_waits_for_nobody_who_is_away_and_wakes_who_waits() {
    within_bounds(|| {
        let freed = Arc::new(AtomicU64::new(0));
        let receive_freed = Arc::clone(&freed);
        let setup = MachineBuilder::new(2).root_freed(move |root: u64| receive_freed.store(root, SeqCst));
        let machine = setup.build().expect("a small machine");
        let space = machine.new_space(77);
        let (ready, readies) = channel();
        let (end, ends) = channel::<()>();
        thread::scope(|threads| {
            let machine = &machine;
            let (first, second) = (space.clone(), space.clone());
            let also_ready = ready.clone();
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
                cpu.run(&first, |guest| guest.tlb().insert(PAGE, Leaf::page(1)));
                drop(first);
                cpu.away(|| {
                    also_ready.send(()).expect("the other thread receives");
                    receive(&ends);
                });
            });
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(1, tlb()).expect("it is free");
                cpu.run(&second, |guest| guest.tlb().insert(PAGE, Leaf::page(1)));
                drop(second);
                ready.send(()).expect("the other thread receives");
                assert!(cpu.wait(LONG), "it was called out");
                assert_eq!(cpu.counters().evictions(), 1, "and has left the space that ended meanwhile");
            });
            let _me = machine.helper().expect("a free seat");
            receive(&readies);
            receive(&readies);
            space.put().expect("the last user").finish();
            assert_eq!(freed.load(SeqCst), 77);
            end.send(()).expect("the other thread receives");
            machine.call_out(CpuId::new(1));
        });
    });
}

#[test]
fn two_cpus_that_flush_at_once_answer_each_other_while_they_wait() {
    within_bounds(|| {
        let machine = machine(2);
        let space = machine.new_space(0);
        let both = Barrier::new(2);
        thread::scope(|threads| {
            for number in 0..2 {
                let (machine, space, both) = (&machine, &space, &both);
                threads.spawn(move || {
                    let mut cpu = machine.virtual_cpu(number, tlb()).expect("it is free");
                    // From guest code, so that each is waited for.
                    cpu.run(space, |guest| {
                        let scope = FlushRequest::pages(PageRange::page(PAGE));
                        both.wait();
                        for round in 0..ROUNDS {
                            guest.tlb().insert(PAGE, Leaf::page(round));
                            // Of two kinds: neither carries out the other's on the way.
                            match number {
                                0 => machine.flush(space, scope),
                                _ => machine.flush_kernel(scope),
                            }
                            assert_eq!(guest.tlb().get(PAGE), None);
                        }
                    });
                });
            }
        });
        let flushes = |cpu| machine.platform().local(CpuId::new(cpu)).counters().flushes();
        assert_eq!((flushes(0), flushes(1)), (ROUNDS, ROUNDS));
    });
}

#[test]
fn a_frame_goes_only_when_no_cpu_can_use_it() {
    const FRAMES: usize = 64;
    within_bounds(|| {
        let machine = machine(3);
        let space = machine.new_space(0);
        // A frame holds its epoch; a translation is a frame and the epoch it was mapped in.
        let frames: Vec<AtomicU64> = (0..FRAMES).map(|_| AtomicU64::new(0)).collect();
        let entry = AtomicU64::new(0);
        thread::scope(|threads| {
            for number in 0..3 {
                let (machine, space, frames, entry) = (&machine, &space, &frames, &entry);
                threads.spawn(move || {
                    let mut cpu = machine.virtual_cpu(number, tlb()).expect("it is free");
                    let mut called = false;
                    while !called {
                        called = cpu.run(space, |guest| {
                            for _ in 0..1000 {
                                if guest.poll() == Poll::Leave {
                                    return true;
                                }
                                let at = guest
                                    .translate(PAGE, |_| Some(Leaf::page(entry.load(SeqCst))))
                                    .expect("mapped");
                                let (frame, epoch) = (at as usize % FRAMES, at / FRAMES as u64);
                                assert_eq!(frames[frame].load(SeqCst), epoch, "the frame is somebody else's");
                            }
                            false
                        });
                    }
                });
            }
            let _me = machine.helper().expect("a free seat");
            for round in 1..ROUNDS {
                let frame = round as usize % FRAMES;
                let epoch = frames[frame].load(SeqCst);
                let old = entry.swap(epoch * FRAMES as u64 + frame as u64, SeqCst) as usize % FRAMES;
                let mut gather = machine.gather::<usize, 1>(&space);
                gather.unmapped(PageRange::page(PAGE), old).expect("room for one");
                gather.send().finish_with(|old| {
                    frames[old].fetch_add(1, SeqCst);
                });
                if round % 16 == 0 {
                    machine.trim(&space);
                }
            }
            (0..3).for_each(|cpu| machine.call_out(CpuId::new(cpu)));
        });
    });
}

#[test]
fn a_panic_in_guest_code_leaves_it_and_the_cpu_can_be_taken_again() {
    within_bounds(|| {
        let machine = machine(1);
        let space = machine.new_space(0);
        thread::scope(|threads| {
            let crashed = threads.spawn(|| {
                let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
                cpu.run(&space, |_| std::panic::resume_unwind(Box::new("guest code")));
            });
            assert!(crashed.join().is_err());
        });
        let mut cpu = machine.virtual_cpu(0, tlb()).expect("it is free again");
        machine.flush(&space, FlushRequest::all().tables_freed());
        cpu.run(&space, |guest| assert_eq!(guest.poll(), Poll::Continue));
    });
}

#[test]
fn late_teardowns_are_kept_for_whoever_may_wait() {
    let machine = machine(1);
    let _me = machine.helper().expect("a free seat");
    drop(machine.new_space(5));
    let late = machine.late_teardowns();
    assert_eq!(late.iter().map(|teardown| teardown.root()).collect::<Vec<_>>(), [5]);
    late.into_iter().for_each(|teardown| teardown.finish());
    assert!(machine.late_teardowns().is_empty());
}

#[test]
fn refusals_name_the_value_and_the_remedy() {
    assert_eq!(Machine::<u64>::new(0).err(), Some(BuildError::NoCpus));
    let many = Machine::<u64>::new(u32::MAX).expect_err("too many");
    assert_eq!(many.to_string(), "4294967299 virtual CPUs and helpers do not fit a machine; 256 do");
    let machine = MachineBuilder::<u64>::new(2).helpers(1).build().expect("a small machine");
    let cpu = machine.virtual_cpu(0, tlb()).expect("it is free");
    let taken = thread::scope(|threads| {
        let taken = threads.spawn(|| machine.virtual_cpu(0, tlb()).err());
        taken.join().expect("it does not panic")
    });
    assert_eq!(taken, Some(AttachError::Taken(CpuId::new(0))));
    assert_eq!(machine.virtual_cpu(1, tlb()).err(), Some(AttachError::ThreadIsCpu(CpuId::new(0))));
    assert_eq!(machine.helper().err(), Some(AttachError::ThreadIsCpu(CpuId::new(0))));
    drop(cpu);
    assert_eq!(machine.virtual_cpu(2, tlb()).err(), Some(AttachError::NoSuchCpu(CpuId::new(2), 2)));
    let helper = machine.helper().expect("a free seat");
    let second = thread::scope(|threads| {
        let second = threads.spawn(|| machine.helper().err());
        second.join().expect("it does not panic")
    });
    let refused = second.expect("there is one seat");
    assert!(refused.to_string().contains("raise MachineBuilder::helpers"), "{refused}");
    drop(helper);
}

#[test]
#[should_panic(expected = "this thread is no CPU of the machine")]
fn a_thread_that_is_no_cpu_is_told_so() {
    let machine = machine(1);
    let space = machine.new_space(0);
    let large = PageRange::new(VirtAddr(0), 1, PageSize::Size2M).expect("aligned");
    machine.flush(&space, FlushRequest::pages(large));
}

#[test]
fn what_changes_the_loaded_space_is_refused_inside_run_and_the_cpu_stays_as_it_was() {
    type Change = (&'static str, for<'m> fn(&Machine<u64>, &UserRef<'m, Host<u64>>));
    let changes: [Change; 6] = [
        ("switch_to", |machine, other| machine.switch_to(other)),
        ("enter_lazy", |machine, _| machine.enter_lazy()),
        ("leave", |machine, _| machine.leave()),
        ("borrow", |machine, other| drop(machine.borrow(other))),
        // SAFETY: 1. the thread's reference outlives the call.
        ("with_temporary_space", |machine, other| unsafe { machine.with_temporary_space(other, || ()) }),
        ("offline_cpu", |machine, _| machine.offline_cpu()),
    ];
    let machine = machine(1);
    let (space, other) = (machine.new_space(1), machine.new_space(2));
    let page = VirtAddr(0x1000);
    let mut cpu = machine.virtual_cpu(0, tlb()).expect("a free CPU");
    for (name, change) in changes {
        let refused = cpu.run(&space, |guest| {
            guest.translate(page, |_| Some(Leaf::page(7)));
            let refused = catch_unwind(AssertUnwindSafe(|| change(&machine, &other)));
            machine.flush(&space, FlushRequest::all());
            assert_eq!(guest.translate(page, |_| None), None, "{name}: a flush still reaches the guest");
            refused
        });
        let said = refused.expect_err(name);
        let said = said.downcast_ref::<&str>().copied().or(said.downcast_ref::<String>().map(String::as_str));
        let said = said.expect("a message");
        // That a CPU which runs user code does not leave, the engine says itself.
        let reason = if name == "leave" { "runs user code" } else { "inside VirtualCpu::run" };
        assert!(said.contains(reason), "{name}: {said}");
        assert_eq!(cpu.run(&space, |guest| guest.translate(page, |_| Some(Leaf::page(8)))), Some(8));
    }
    machine.leave();
}

#[test]
fn another_space_may_end_inside_run() {
    let machine = machine(1);
    let (space, other) = (machine.new_space(1), machine.new_space(2));
    let mut cpu = machine.virtual_cpu(0, tlb()).expect("a free CPU");
    cpu.run(&other, |_| ());
    let pin = other.grab();
    other.put().expect("the last user").finish();
    cpu.run(&space, |_| drop(pin));
}

#[test]
fn spaces_and_machines_go_from_thread_to_thread() {
    fn shared<T: Send + Sync>() {}
    shared::<Machine<u64>>();
    shared::<Host<u64>>();
    shared::<shootdown_host::shootdown::refs::UserRef<'static, Host<u64>>>();
}
