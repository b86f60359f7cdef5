//! What embedders do in their own way: several CPUs on a thread, words of their own, sleeps of their own.

use shootdown_host::shootdown::flush::{FlushRequest, PageRange, VirtAddr};
use shootdown_host::shootdown::trace::IrqReason;
use shootdown_host::shootdown::{CpuId, Platform};
use shootdown_host::{AttachError, Host, Leaf, Machine, MachineBuilder, Poll, PollWord, SoftTlb, VirtualCpu};
use std::cell::Cell;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

const PAGE: VirtAddr = VirtAddr(0x5000);

type Cpu<'m> = VirtualCpu<'m, Host<u64>, SoftTlb<u64>>;

thread_local! {
    static RUNS: Cell<Option<u32>> = const { Cell::new(None) };
}

fn named() -> Option<CpuId> {
    RUNS.get().map(CpuId::new)
}

/// A machine of two virtual CPUs, both on this thread.
fn fibers() -> Machine<u64> {
    RUNS.set(None);
    MachineBuilder::new(2).identity(named).build().expect("a small machine")
}

fn attach(machine: &Machine<u64>, number: u32) -> Cpu<'_> {
    machine.virtual_cpu(number, SoftTlb::new(16)).expect("a free CPU")
}

fn request() -> FlushRequest {
    FlushRequest::pages(PageRange::page(PAGE))
}

#[test]
fn cpus_of_one_thread_have_tlbs_of_their_own_and_each_is_flushed_as_itself() {
    let machine = fibers();
    let space = machine.new_space(0);
    let (mut first, mut second) = (attach(&machine, 0), attach(&machine, 1));
    RUNS.set(Some(0));
    first.run(&space, |guest| {
        guest.tlb().insert(PAGE, Leaf::page(10));
        guest.pause(|| {
            RUNS.set(Some(1));
            second.run(&space, |other| {
                assert_eq!(other.tlb().get(PAGE), None, "that is the other CPU's");
                other.tlb().insert(PAGE, Leaf::page(11));
                machine.flush(&space, request().tables_freed());
                assert_eq!(other.tlb().get(PAGE), None);
            });
            RUNS.set(Some(0));
        });
        assert_eq!(guest.tlb().get(PAGE), None, "it catches up when it goes on");
    });
    let flushes = [0, 1].map(|cpu| machine.platform().local(CpuId::new(cpu)).counters().flushes());
    assert_eq!(flushes, [0, 1]);
}

/// What a fiber does in its turn.
type Turn = fn(&Machine<u64>);

thread_local! {
    /// What `relax` runs once: the turn of another fiber.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
    static MACHINE: Cell<Option<&'static Machine<u64>>> = const { Cell::new(None) };
}

#[test]
fn a_fiber_that_does_not_pause_runs_in_the_waits_of_another() {
    RUNS.set(None);
    let setup = MachineBuilder::new(2).identity(named).relax(|_| {
        if let Some((turn, machine)) = TURN.take().zip(MACHINE.get()) {
            let waits = RUNS.replace(Some(0));
            turn(machine);
            RUNS.set(waits);
        }
    });
    let machine: &'static Machine<u64> = Box::leak(Box::new(setup.build().expect("a small machine")));
    MACHINE.set(Some(machine));
    let space = machine.new_space(0);
    let (mut first, mut second) = (attach(machine, 0), attach(machine, 1));
    RUNS.set(Some(0));
    first.run(&space, |guest| {
        guest.tlb().insert(PAGE, Leaf::page(10));
        RUNS.set(Some(1));
        second.run(&space, |_| {
            TURN.set(Some(|machine| {
                let were_on = machine.platform().irq_save(IrqReason::HandleIpi);
                // SAFETY: 1. interrupts are off until the next line; 2. the wait of the other CPU has called this.
                unsafe { machine.handle_ipi() };
                machine.platform().irq_restore(were_on);
            }));
            machine.flush_kernel(FlushRequest::all());
        });
        RUNS.set(Some(0));
        assert_eq!(guest.tlb().get(PAGE), None);
    });
    assert!(TURN.get().is_none(), "nobody has waited");
}

#[test]
fn a_wrong_answer_of_the_identity_callback_is_refused_and_changes_nothing() {
    let machine = fibers();
    let space = machine.new_space(0);
    let mut first = attach(&machine, 0);
    let refused = |call: &mut dyn FnMut()| {
        let said = catch_unwind(AssertUnwindSafe(call)).expect_err("the call is not refused");
        said.downcast_ref::<String>().cloned().expect("a reason")
    };
    RUNS.set(Some(1));
    let said = refused(&mut || first.run(&space, |_| ()));
    assert!(said.contains("answers Some(CpuId(1)) where CPU 0 is to run guest code"), "{said}");
    let said = refused(&mut || machine.flush(&space, request()));
    assert!(said.contains("says that this thread runs CPU 1 now, and CPU 1 is not attached here"), "{said}");
    // CPU 1 is another thread: this one does not come to its memory.
    thread::scope(|threads| {
        let (attached, attaches) = std::sync::mpsc::channel();
        let (done, ends) = std::sync::mpsc::channel::<()>();
        let machine = &machine;
        threads.spawn(move || {
            let _cpu = attach(machine, 1);
            attached.send(()).expect("the test receives");
            let _ = ends.recv();
        });
        attaches.recv().expect("it attaches");
        let said = refused(&mut || machine.flush_kernel(FlushRequest::all()));
        assert!(said.contains("CPU 1 is not attached here"), "{said}");
        drop(done);
    });
    RUNS.set(Some(0));
    first.run(&space, |guest| assert_eq!(guest.poll(), Poll::Continue));
    // Going needs no answer of the callback.
    RUNS.set(None);
    drop(first);
    let again = attach(&machine, 0);
    assert_eq!(again.id(), CpuId::new(0));
}

#[test]
fn a_thread_of_fibers_may_be_a_helper_between_them() {
    let machine = fibers();
    let space = machine.new_space(0);
    let mut first = attach(&machine, 0);
    let helper = machine.helper().expect("a free seat");
    assert_eq!(machine.helper().err(), Some(AttachError::ThreadIsCpu(helper.id())));
    RUNS.set(Some(0));
    first.run(&space, |guest| guest.tlb().insert(PAGE, Leaf::page(1)));
    RUNS.set(None);
    machine.flush(&space, request());
    assert_eq!(machine.platform().local(helper.id()).counters().flushes(), 1);
    RUNS.set(Some(0));
    first.run(&space, |guest| assert_eq!(guest.tlb().get(PAGE), None));
    let other = Machine::<u64>::new(1).expect("a small machine");
    let refused = other.virtual_cpu(0, SoftTlb::<u64>::new(4)).err();
    assert_eq!(refused, Some(AttachError::ThreadIsCpu(CpuId::new(0))), "one machine a thread");
}

#[test]
fn a_panic_in_a_pause_leaves_guest_code_and_one_that_is_caught_goes_back_to_it() {
    let machine = fibers();
    let space = machine.new_space(0);
    let mut first = attach(&machine, 0);
    RUNS.set(Some(0));
    first.run(&space, |guest| {
        guest.tlb().insert(PAGE, Leaf::page(1));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            guest.pause(|| {
                machine.flush(&space, request());
                std::panic::resume_unwind(Box::new("in the pause"));
            })
        }));
        assert!(caught.is_err());
        assert_eq!(guest.tlb().get(PAGE), None, "it has caught up");
        let refused = catch_unwind(AssertUnwindSafe(|| machine.enter_lazy()));
        assert!(refused.is_err(), "guest code runs again");
    });
    machine.enter_lazy();
}

#[test]
fn a_lent_word_says_look_until_somebody_has_and_keeps_the_embedders_bits() {
    const OWN: u32 = 0xff;
    let words: Arc<[AtomicU32; 2]> = Arc::new([AtomicU32::new(OWN), AtomicU32::new(OWN)]);
    let lent = Arc::clone(&words);
    let bit = NonZero::new(1 << 31).expect("a bit");
    let setup = MachineBuilder::new(2).poll_words(move |cpu| {
        PollWord::in_part(Arc::clone(&lent), move |words: &[AtomicU32; 2]| &words[cpu.index()]).bits(bit)
    });
    let machine = setup.build().expect("a small machine");
    let space = machine.new_space(0);
    let mut cpu = attach(&machine, 0);
    machine.call_out(CpuId::new(0));
    machine.call_out(CpuId::new(0));
    assert_eq!(words.each_ref().map(|word| word.load(SeqCst)), [1 << 31 | OWN, OWN]);
    cpu.run(&space, |guest| {
        assert_eq!(guest.poll(), Poll::Leave);
        assert_eq!(words[0].load(SeqCst), OWN);
        assert_eq!(guest.poll(), Poll::Continue);
        // A sender that is between the call and the word: translated code looks once more and finds nothing.
        words[0].fetch_or(bit.get(), SeqCst);
        assert_eq!(guest.poll(), Poll::Continue);
        assert_eq!(words[0].load(SeqCst), OWN);
    });
    // A wait of the engine answers its IPI and keeps the wish to leave, word and all.
    machine.call_out(CpuId::new(0));
    thread::scope(|threads| {
        let (machine, space) = (&machine, &space);
        let (entered, enters) = std::sync::mpsc::channel();
        threads.spawn(move || {
            let mut other = attach(machine, 1);
            other.run(space, |guest| {
                entered.send(()).expect("the test receives");
                while guest.poll() == Poll::Continue {
                    thread::yield_now();
                }
            });
        });
        enters.recv().expect("it enters");
        let harts = machine.harts(0b10, 0).expect("it has it");
        cpu.run(space, |_| harts.fence(shootdown_host::Fence::ALL));
        machine.call_out(CpuId::new(1));
    });
    assert_eq!(words[0].load(SeqCst), 1 << 31 | OWN);
    assert_eq!(cpu.poll(), Poll::Leave);
}

#[test]
fn translated_code_that_looks_at_its_word_alone_answers_flushes_and_fences() {
    let words: Arc<[AtomicU32; 1]> = Arc::default();
    let lent = Arc::clone(&words);
    let lend = move |_| PollWord::in_part(Arc::clone(&lent), |words: &[AtomicU32; 1]| &words[0]);
    let machine = MachineBuilder::new(1).poll_words(lend).build().expect("a small machine");
    let space = machine.new_space(0);
    let table = AtomicU64::new(0);
    thread::scope(|threads| {
        let (machine, space, table, words) = (&machine, &space, &table, &words);
        threads.spawn(move || {
            let mut cpu = attach(machine, 0);
            cpu.run(space, |guest| {
                loop {
                    while words[0].load(SeqCst) == 0 {
                        let value = guest.translate(PAGE, |_| Some(Leaf::page(table.load(SeqCst))));
                        assert!(value.is_some());
                        thread::yield_now();
                    }
                    if guest.poll() == Poll::Leave {
                        break;
                    }
                }
            });
        });
        let _me = machine.helper().expect("a free seat");
        for round in 0..if cfg!(miri) { 4 } else { 100 } {
            table.store(round, SeqCst);
            match round % 2 {
                0 => machine.flush(space, request()),
                _ => machine.harts(1, 0).expect("it has it").fence(shootdown_host::Fence::ALL),
            }
        }
        machine.call_out(CpuId::new(0));
    });
}

#[test]
fn hooks_are_told_of_wakes_of_what_waits_for_teardown_and_of_retired_roots() {
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let to = |what: &'static str| {
        let said = Arc::clone(&said);
        move |value: u64| said.lock().expect("nobody panics").push(format!("{what} {value}"))
    };
    let (wake, deferred, root_freed) = (to("wake"), to("deferred"), to("freed"));
    let setup = MachineBuilder::new(2)
        .wake(move |cpu| wake(cpu.number().into()))
        .deferred(deferred)
        .root_freed(root_freed);
    let machine = setup.build().expect("a small machine");
    let mut cpu = attach(&machine, 0);
    machine.call_out(CpuId::new(1));
    machine.call_out(CpuId::new(77));
    let (put, dropped) = (machine.new_space(5), machine.new_space(6));
    cpu.run(&put, |_| ());
    put.put().expect("the last user").finish();
    drop(dropped);
    machine.late_teardowns().into_iter().for_each(|late| late.finish());
    let said = said.lock().expect("nobody panics").join(", ");
    assert_eq!(said, "wake 1, freed 5, deferred 6, freed 6");
}
