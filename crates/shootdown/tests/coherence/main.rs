//! An engine that loads no roots, tickets, and frames behind them: what no interleaving decides.

mod batches;
mod secondary;
mod user_mode;

use shootdown::coherence::{
    Coherence, Coherent, Evicted, FlushRemote, Hypercalls, RemoteRequest, Rootless, SendIpis, Space,
};
use shootdown::flush::{
    FlushRequest, ForeignTicket, LocalFlush, PageRange, PageSize, Pending, RetireError, Retired, VirtAddr,
};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::tags::{OnInstall, PerCpuSlots, Tag, Untagged};
use shootdown::{CpuId, CpuLocal, SpaceId};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

const CPUS: usize = 70;

/// A machine whose IPIs arrive when a CPU waits, or when a test has them arrive. One thread runs all CPUs in turn.
struct Harts {
    locals: Vec<CpuLocal>,
    me: AtomicU32,
    engine: OnceLock<&'static Engine>,
    /// Sets of CPUs that were sent IPIs at once.
    sent: Mutex<Vec<CpuSet>>,
    /// How many sets that were.
    rounds: AtomicU32,
    /// Calls to make within the flushes of CPU 1, the last one first.
    meanwhile: Mutex<Vec<fn(&Engine)>>,
    /// Loads of the kernel's root.
    unloads: AtomicU32,
    /// Flushes, as CPU and what.
    flushes: Mutex<Vec<(u32, LocalFlush)>>,
    /// CPUs that were reported late, and at which poll.
    stalled: Mutex<Vec<(CpuId, u64)>>,
    /// Times that page-table stores were handed to walkers.
    published: AtomicU32,
}

thread_local! {
    /// Preemption that is off.
    static PREEMPTION: Cell<u32> = const { Cell::new(0) };
    /// Whether interrupts are on where the engine is called.
    static INTERRUPTS: Cell<bool> = const { Cell::new(false) };
}

type Engine = Coherent<Harts, CpuMask<2>, PerCpuSlots<2>>;

// SAFETY: 1. and 2. a test says which CPU it is on, and there is a vector of memories; 3. one thread runs all; 4. there is no TLB
// but the record; 5. nothing but the record has a root.
unsafe impl Coherence for Harts {
    const USER_MODE: bool = true;

    fn cpu(&self) -> CpuId {
        CpuId::new(self.me.load(Relaxed))
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        INTERRUPTS.get()
    }
    fn irq_restore(&self, _: bool) {}
    unsafe fn flush_local(&self, what: LocalFlush) {
        let me = self.me.load(Relaxed);
        self.flushes.lock().unwrap().push((me, what));
        let meanwhile = if me == 1 { self.meanwhile.lock().unwrap().pop() } else { None };
        meanwhile.into_iter().for_each(|act| act(self.engine.get().unwrap()));
    }
    const STALL_POLLS: u64 = 4;

    unsafe fn unload(&self) {
        self.unloads.fetch_add(1, Relaxed);
    }
    fn preempt_disable() {
        PREEMPTION.set(PREEMPTION.get() + 1);
    }
    fn preempt_enable() {
        PREEMPTION.set(PREEMPTION.get() - 1);
    }
    fn publish_tables(&self) {
        self.published.fetch_add(1, Relaxed);
    }
    fn relax(&self, polls: u64) {
        assert!(polls < 100, "a wait goes on for ever");
        assert_ne!(PREEMPTION.get(), 0, "this thread may go on elsewhere while it waits");
        deliver(self.engine.get().unwrap());
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.stalled.lock().unwrap().push((cpu, polls));
    }
}

// SAFETY: 1. `relax` has every IPI handled that was sent.
unsafe impl SendIpis for Harts {
    fn send_ipis(&self, cpus: CpuSet) {
        self.sent.lock().unwrap().push(cpus);
        self.rounds.fetch_add(1, Relaxed);
    }
}

/// A machine with its first `cpus` CPUs on line; this is CPU 0.
fn boot(cpus: u32) -> &'static Engine {
    let harts = Harts {
        locals: (0..CPUS).map(|_| CpuLocal::new()).collect(),
        me: AtomicU32::new(0),
        engine: OnceLock::new(),
        sent: Mutex::new(Vec::new()),
        rounds: AtomicU32::new(0),
        meanwhile: Mutex::new(Vec::new()),
        unloads: AtomicU32::new(0),
        flushes: Mutex::new(Vec::new()),
        stalled: Mutex::new(Vec::new()),
        published: AtomicU32::new(0),
    };
    let engine: &Engine =
        Box::leak(Box::new(Engine::new(Rootless::tagged(harts, PerCpuSlots), CpuMask::new())));
    assert!(harts_of(engine).engine.set(engine).is_ok());
    (0..cpus).for_each(|cpu| on(engine, cpu, || engine.online_cpu().unwrap()));
    harts_of(engine).flushes.lock().unwrap().clear();
    engine
}

fn harts_of(engine: &Engine) -> &Harts {
    engine.platform().machine()
}

fn on<R>(engine: &Engine, cpu: u32, body: impl FnOnce() -> R) -> R {
    let before = harts_of(engine).me.swap(cpu, Relaxed);
    let answer = body();
    harts_of(engine).me.store(before, Relaxed);
    answer
}

/// Has the IPIs arrive that were sent, and returns the sets.
fn deliver(engine: &Engine) -> Vec<CpuSet> {
    let sets = std::mem::take(&mut *harts_of(engine).sent.lock().unwrap());
    for cpu in sets.iter().copied().flatten() {
        // SAFETY: 1. nothing interrupts a test; 2. the CPU is in no call of the engine, but perhaps in a wait.
        on(engine, cpu.number(), || unsafe { engine.handle_ipi() });
    }
    sets
}

type Owned = Box<Space<Harts, CpuMask<2>, PerCpuSlots<2>>>;

fn space(engine: &Engine) -> Owned {
    Box::new(engine.new_space(0x1000, CpuMask::new()).unwrap())
}

/// Runs `cpu` in the space.
fn enter(engine: &Engine, cpu: u32, space: &Owned) -> (Tag, OnInstall) {
    on(engine, cpu, || {
        let entry = engine.enter(space);
        let answer = (entry.tag(), entry.how());
        // SAFETY: 1. and 2. there is no hardware; 3. each test retires its spaces, or leaks them; 4. nothing else is called.
        unsafe { entry.loaded() };
        answer
    })
}

fn page(number: u64) -> PageRange {
    PageRange::page(VirtAddr(number << 12))
}

#[test]
fn a_queue_hands_frames_out_in_order_and_hands_back_what_does_not_fit() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 1, &space);
    let mut queue = Retired::<_, u64, 3>::new(engine);
    let send = |frames: &[u64]| {
        let mut gather = engine.gather::<u64, 2>(&space);
        frames.iter().for_each(|&frame| gather.unmapped(page(frame), frame).unwrap());
        gather.send()
    };
    assert!(send(&[1, 2]).retire_into(&mut queue).is_ok());
    let (refused, pending) = send(&[3, 4]).retire_into(&mut queue).err().unwrap();
    assert_eq!((refused, queue.room()), (RetireError::NoRoom(2, 1), 1));
    assert_eq!(
        refused.to_string(),
        "2 frames do not fit the 1 places that are left; reclaim some, or finish the flush"
    );

    let mut freed = Vec::new();
    assert_eq!(queue.reclaim(|frame| freed.push(frame)), 0, "CPU 1 has not flushed");
    deliver(engine);
    assert_eq!(queue.reclaim(|frame| freed.push(frame)), 2);
    assert!(pending.retire_into(&mut queue).is_ok() && send(&[5]).retire_into(&mut queue).is_ok());
    queue.finish_with(|frame| freed.push(frame));
    assert_eq!((freed, queue.is_empty()), (vec![1, 2, 3, 4, 5], true));
}

#[test]
fn a_flush_without_frames_takes_a_place_until_it_is_complete() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 1, &space);
    let mut queue = Retired::<_, u64, 1>::new(engine);
    let mut gather = engine.gather::<u64, 0>(&space);
    gather.changed(page(1));
    assert!(gather.send().retire_into(&mut queue).is_ok());
    let gather = engine.gather::<u64, 0>(&space);
    assert_eq!(gather.send().retire_into(&mut queue).err().unwrap().0, RetireError::NoRoom(1, 0));
    deliver(engine);
    assert_eq!((queue.reclaim(drop), queue.room()), (0, 1));
}

#[test]
fn a_queue_that_is_dropped_waits_and_loses_nothing() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 1, &space);
    let frame = Rc::new(());
    let mut queue = Retired::<_, Rc<()>, 1>::new(engine);
    let mut gather = engine.gather::<_, 1>(&space);
    gather.unmapped(page(1), frame.clone()).unwrap();
    assert!(gather.send().retire_into(&mut queue).is_ok());
    assert_eq!(Rc::strong_count(&frame), 2);
    drop(queue);
    assert_eq!(Rc::strong_count(&frame), 1);
    assert_eq!(harts_of(engine).locals[1].counters().ipis_handled(), 1, "the drop has waited for CPU 1");
}

#[test]
fn frames_that_nobody_else_can_reach_come_out_at_once() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 0, &space);
    let mut queue = Retired::<_, u64, 1>::new(engine);
    let mut gather = engine.gather::<u64, 1>(&space);
    gather.unmapped(page(1), 7).unwrap();
    assert!(gather.send().retire_into(&mut queue).is_ok());
    assert_eq!(queue.reclaim(drop), 1);
    assert!(deliver(engine).is_empty());
}

#[test]
fn a_queue_of_another_engine_hands_everything_back() {
    let (engine, other) = (boot(1), boot(1));
    let mut queue = Retired::<_, u64, 1>::new(other);
    let mut gather = engine.kernel().gather::<u64, 1>();
    gather.unmapped(page(1), 7).unwrap();
    let (refused, pending) = gather.send().retire_into(&mut queue).err().unwrap();
    assert_eq!(refused, RetireError::OtherEngine);
    let mut freed = Vec::new();
    pending.finish_with(|frame| freed.push(frame));
    assert_eq!(freed, [7]);
}

#[test]
fn a_panic_while_frames_are_handed_out_loses_none_of_the_rest() {
    let engine = boot(1);
    let mut queue = Retired::<_, u64, 3>::new(engine);
    let mut gather = engine.kernel().gather::<u64, 3>();
    (1..=3).for_each(|frame| gather.unmapped(page(frame), frame).unwrap());
    assert!(gather.send().retire_into(&mut queue).is_ok());
    let unwound = catch_unwind(AssertUnwindSafe(|| queue.reclaim(|_| panic!("no room in the free list"))));
    assert!(unwound.is_err());
    let mut freed = Vec::new();
    queue.reclaim(|frame| freed.push(frame));
    assert_eq!(freed, [2, 3]);
}

#[test]
fn a_retired_gather_widens_others_until_it_is_complete() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 1, &space);
    let mut queue = Retired::<_, u64, 1>::new(engine);
    let mut gather = engine.gather_within::<u64, 1>(&space, page(1));
    gather.unmapped(page(1), 7).unwrap();
    assert!(gather.send().retire_into(&mut queue).is_ok());

    let generation = || space.generation().number();
    let before = generation();
    engine.gather_within::<u64, 0>(&space, page(1)).finish(); // found the page gone
    assert_eq!(generation(), before + 1, "flushed what the other has cleared");
    assert_eq!(queue.reclaim(drop), 1);
    engine.gather_within::<u64, 0>(&space, page(1)).finish();
    engine.gather_within::<u64, 0>(&space, page(1)).finish();
    assert_eq!(generation(), before + 1, "there is nothing left to flush");
}

#[test]
fn a_retired_gather_of_tables_widens_others_until_lazy_cpus_have_left() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 1, &space);
    on(engine, 1, || engine.enter_lazy());
    let mut queue = Retired::<_, u64, 1>::new(engine);
    let mut gather = engine.gather_within::<u64, 1>(&space, page(1));
    gather.table_freed(page(1), 7).unwrap();
    assert!(gather.send().retire_into(&mut queue).is_ok());
    let before = space.generation().number();
    engine.gather_within::<u64, 0>(&space, page(1)).finish();
    assert_eq!(space.generation().number(), before + 1);
    engine.retire(&space);
}

#[test]
fn a_retired_gather_of_kernel_memory_widens_others_to_every_page_that_they_look_at() {
    let engine = boot(2);
    let mut queue = Retired::<_, u64, 1>::new(engine);
    let mut gather = engine.kernel().gather_within::<u64, 1>(page(1));
    gather.unmapped(page(1), 7).unwrap();
    assert!(gather.send().retire_into(&mut queue).is_ok());
    harts_of(engine).flushes.lock().unwrap().clear();
    let huge = PageRange::new(VirtAddr(0x20_0000), 1, PageSize::Size2M).unwrap();
    engine.kernel().gather_within::<u64, 0>(huge).finish();
    let flushes = std::mem::take(&mut *harts_of(engine).flushes.lock().unwrap());
    let wide = |cpu| flushes.iter().any(|(on, what)| *on == cpu && what.request.range().is_none());
    assert!(wide(0) && wide(1), "512 small pages are more than go one by one: {flushes:?}");
}

#[test]
fn a_ticket_asks_cpus_of_every_word() {
    let engine = boot(67);
    let mut ticket = engine.send_kernel(FlushRequest::all()).detach();
    let sets = deliver(engine);
    assert_eq!(sets.iter().map(|set| set.bits().count_ones()).sum::<u32>(), 66);
    assert_eq!(sets.len(), 2, "the CPUs of a word are interrupted at once: {sets:?}");
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));

    let mut ticket = engine.send_kernel(FlushRequest::all()).detach();
    let sets = std::mem::take(&mut *harts_of(engine).sent.lock().unwrap());
    harts_of(engine).sent.lock().unwrap().push(sets[0]);
    deliver(engine);
    assert_eq!(engine.is_complete(&mut ticket), Ok(false), "CPUs 64 to 66 have not flushed");
    harts_of(engine).sent.lock().unwrap().push(sets[1]);
    deliver(engine);
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));
}

#[test]
fn lost_ipis_are_reported_and_sent_again_and_the_thread_stays_on_its_cpu_meanwhile() {
    let engine = boot(67);
    let (harts, space) = (harts_of(engine), space(engine));
    for cpu in [1, 66] {
        enter(engine, cpu, &space);
    }
    let by_ticket = |flush: Pending<'_, _>| engine.wait(flush.detach()).unwrap();
    for (wait, answered) in [(&Pending::finish as &dyn Fn(_), 1), (&by_ticket, 2)] {
        let flush = engine.send(&space, FlushRequest::all());
        harts.sent.lock().unwrap().clear();
        wait(flush);
        let stalled = std::mem::take(&mut *harts.stalled.lock().unwrap());
        assert_eq!(stalled, [1, 66].map(|cpu| (CpuId::new(cpu), Harts::STALL_POLLS)));
        assert_eq!([1, 66].map(|cpu: usize| harts.locals[cpu].counters().ipis_handled()), [answered; 2]);
    }
    assert_eq!((PREEMPTION.get(), harts.published.load(Relaxed)), (0, 2));
}

#[test]
fn a_cpu_that_was_asked_twice_and_interrupted_once_is_interrupted_again() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 1, &space);
    let asked = [1, 2].map(|at| engine.send(&space, FlushRequest::pages(page(at))));
    assert_eq!(deliver(engine).len(), 1);
    asked.into_iter().for_each(Pending::finish);
    engine.flush(&space, FlushRequest::all());
    assert_eq!(*harts_of(engine).stalled.lock().unwrap(), []);
    assert_eq!(harts_of(engine).locals[1].counters().ipis_handled(), 2);
}

#[test]
fn an_ipi_counts_once_however_often_more_is_asked_while_it_is_answered() {
    let engine = boot(3);
    let harts = harts_of(engine);
    let asks: fn(&Engine) = |engine| on(engine, 2, || drop(engine.send_kernel(FlushRequest::all()).detach()));
    *harts.meanwhile.lock().unwrap() = vec![asks, asks];
    engine.flush_kernel(FlushRequest::all());
    let flushed = harts.flushes.lock().unwrap().iter().filter(|(cpu, _)| *cpu == 1).count();
    assert_eq!((flushed, harts.locals[1].counters().ipis_handled()), (3, 1));
}

#[test]
fn an_answer_to_what_was_asked_during_two_others_is_made_up_for_where_it_unwinds() {
    let engine = boot(3);
    let harts = harts_of(engine);
    let asks: fn(&Engine) = |engine| on(engine, 2, || drop(engine.send_kernel(FlushRequest::all()).detach()));
    *harts.meanwhile.lock().unwrap() = vec![|_| panic!("a flush fails"), asks, asks];
    let flush = engine.send_kernel(FlushRequest::all());
    catch_unwind(AssertUnwindSafe(|| deliver(engine))).expect_err("the third answer of CPU 1 unwinds");
    harts.me.store(0, Relaxed);
    let last = on(engine, 2, || engine.send_kernel(FlushRequest::all()).detach());
    flush.finish();
    engine.wait(last).unwrap();
    assert_eq!(harts.stalled.lock().unwrap()[0].0, CpuId::new(1), "and was asked again");
}

#[test]
fn a_cpu_that_is_between_two_roots_does_not_wait_for_itself() {
    let engine = boot(3);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 2, &a);
    let ticket = on(engine, 1, || engine.send(&a, FlushRequest::all()).detach());
    std::mem::forget(engine.enter(&b)); // as a callback leaves it that unwinds
    engine.wait(ticket).unwrap();
    assert_eq!(engine.exit_lazy(), Err(Evicted));
}

#[test]
fn a_ticket_of_another_engine_is_refused() {
    let (engine, other) = (boot(2), boot(2));
    let mut ticket = engine.send_kernel(FlushRequest::all()).detach();
    assert_eq!(other.is_complete(&mut ticket), Err(ForeignTicket));
    assert_eq!(engine.is_complete(&mut ticket), Ok(false), "nothing was lost");
    engine.wait(ticket).unwrap();
    let ticket = engine.send_kernel(FlushRequest::all()).detach();
    assert_eq!(other.wait(ticket), Err(ForeignTicket));
}

#[test]
fn a_ticket_outlives_its_space_and_is_complete_though_another_lives_there() {
    let engine = boot(2);
    let mut old = space(engine);
    enter(engine, 1, &old);
    let mut tickets: Vec<_> = (0..3).map(|_| engine.send(&old, FlushRequest::all()).detach()).collect();
    assert_eq!(deliver(engine).len(), 1, "the first IPI was on its way when the others were asked for");
    on(engine, 1, || {
        engine.enter_lazy();
        engine.leave();
    });
    engine.retire(&old);
    *old = engine.new_space(0x2000, CpuMask::new()).unwrap(); // in the same place
    enter(engine, 1, &old);
    let answers: Vec<_> = tickets.iter_mut().map(|ticket| engine.is_complete(ticket)).collect();
    assert_eq!(answers, [Ok(true); 3]);
}

#[test]
fn entering_says_what_goes_with_the_load_and_publishes_it() {
    let engine = boot(2);
    let (a, b) = (space(engine), space(engine));
    let first = enter(engine, 1, &a);
    assert_eq!(first.1, OnInstall::Flush, "the tag is new");
    assert_eq!(enter(engine, 1, &b).1, OnInstall::Flush);
    assert_eq!(enter(engine, 1, &a), (first.0, OnInstall::Keep), "nothing was flushed meanwhile");
    enter(engine, 1, &b);
    engine.flush(&a, FlushRequest::pages(page(1)));
    assert!(deliver(engine).is_empty(), "CPU 1 does not run it");
    assert_eq!(enter(engine, 1, &a), (first.0, OnInstall::Flush));
    let ticket = engine.send(&a, FlushRequest::pages(page(1))).detach();
    assert_eq!(deliver(engine), [CpuSet::of(CpuId::new(1))]);
    engine.wait(ticket).unwrap();
}

#[test]
fn an_entry_that_is_dropped_leaves_nothing_loaded() {
    let engine = boot(2);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    let nobody = format!("{:?}", b.mask());
    on(engine, 1, || drop(engine.enter(&b)));
    assert_eq!(format!("{:?}", b.mask()), nobody);
    assert_eq!(harts_of(engine).unloads.load(Relaxed), 1);
    assert!(harts_of(engine).flushes.lock().unwrap().contains(&(1, LocalFlush::EVERYTHING)));
    for space in [&a, &b] {
        engine.flush(space, FlushRequest::all().tables_freed());
        engine.retire(space);
    }
    assert!(deliver(engine).is_empty(), "CPU 1 has neither loaded");
    assert_eq!(on(engine, 1, || engine.exit_lazy()), Err(Evicted));
}

#[test]
fn an_entry_that_is_dropped_after_other_calls_takes_back_what_it_began_alone() {
    let engine = boot(1);
    let (a, b, c) = (space(engine), space(engine), space(engine));
    enter(engine, 0, &a);
    let entry = engine.enter(&b);
    engine.retire(&a); // finds this CPU between two roots, and has it load nothing
    let mask = format!("{:?}", a.mask());
    let second = engine.enter(&b);
    drop(entry); // while this CPU is between two roots again
    assert_eq!(format!("{:?}", a.mask()), mask, "the space may be gone by now");
    drop(second);

    let entry = engine.enter(&b);
    engine.flush_kernel(FlushRequest::all());
    enter(engine, 0, &c);
    drop(entry);
    assert_eq!(engine.exit_lazy(), Ok(()), "what was entered since stays loaded");
    engine.enter_lazy();
    engine.retire(&c);
    engine.retire(&b);
}

#[test]
fn an_entry_to_what_is_loaded_is_dropped_without_a_trace() {
    let engine = boot(2);
    let a = space(engine);
    enter(engine, 1, &a);
    on(engine, 1, || engine.enter_lazy());
    on(engine, 1, || drop(engine.enter(&a)));
    engine.flush(&a, FlushRequest::pages(page(1)));
    assert!(deliver(engine).is_empty(), "CPU 1 is lazy, as before");
    assert_eq!(harts_of(engine).locals[0].counters().ipis_avoided(), 1);
    assert_eq!(on(engine, 1, || engine.exit_lazy()), Ok(()));
    assert_eq!(harts_of(engine).unloads.load(Relaxed), 0);
}

#[cfg(debug_assertions)]
#[test]
fn an_entry_is_not_published_after_another_call_of_the_engine() {
    let engine = boot(1);
    let a = space(engine);
    let entry = engine.enter(&a);
    engine.flush_kernel(FlushRequest::all()); // finds this CPU between two roots, and has it load nothing
    // SAFETY: 4. is broken on purpose: the call panics before it says anything.
    let unwound = catch_unwind(AssertUnwindSafe(|| unsafe { entry.loaded() })).expect_err("a panic");
    assert_eq!(*unwound.downcast_ref::<&str>().expect("a text"), "this CPU called the engine since `enter`");
    assert_eq!(engine.exit_lazy(), Err(Evicted));
    engine.retire(&a);
}

#[cfg(debug_assertions)]
#[test]
fn an_entry_for_a_trampoline_is_refused_where_interrupts_are_on() {
    let engine = boot(1);
    let a = space(engine);
    INTERRUPTS.set(true);
    let entry = engine.enter(&a);
    // SAFETY: 2. is broken on purpose: the call panics before it says anything.
    let unwound = catch_unwind(AssertUnwindSafe(|| unsafe { entry.will_load() })).expect_err("a panic");
    INTERRUPTS.set(false);
    let said = unwound.downcast_ref::<&str>().expect("a text");
    assert_eq!(*said, "interrupts would be on before the root is loaded");
    assert_eq!(engine.exit_lazy(), Err(Evicted), "the mark was taken back");
    engine.retire(&a);
}

#[test]
fn a_space_is_retired_by_its_own_ticket() {
    let engine = boot(2);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    let mut flush = engine.send(&a, FlushRequest::all()).detach();
    on(engine, 1, || engine.enter_lazy());
    assert_eq!(engine.is_retired(&a, &mut flush), Err(ForeignTicket));
    let mut ticket = engine.begin_retire(&a);
    assert_eq!(engine.is_retired(&b, &mut ticket), Err(ForeignTicket));
    assert_eq!(engine.is_retired(&a, &mut ticket), Ok(false), "CPU 1 is lazy on it");
    deliver(engine);
    assert_eq!(engine.is_retired(&a, &mut ticket), Ok(true));
    assert_eq!(harts_of(engine).unloads.load(Relaxed), 1, "CPU 1 was evicted");
    enter(engine, 1, &b);
    assert_eq!(engine.is_retired(&a, &mut ticket), Ok(true));
}

#[test]
fn a_ticket_of_a_space_that_is_gone_retires_none_that_lies_in_its_place() {
    let engine = boot(2);
    let mut place = space(engine);
    let mut old = engine.begin_retire(&place);
    assert_eq!(engine.is_retired(&place, &mut old), Ok(true));
    *place = engine.new_space(0x1000, CpuMask::new()).unwrap();
    enter(engine, 1, &place);
    on(engine, 1, || engine.enter_lazy());
    assert_eq!(engine.is_retired(&place, &mut old), Err(ForeignTicket), "CPU 1 has it loaded");
    let mut ticket = engine.begin_retire(&place);
    assert_eq!(engine.is_retired(&place, &mut old), Err(ForeignTicket), "CPU 1 has not left it");
    deliver(engine);
    assert_eq!(engine.is_retired(&place, &mut ticket), Ok(true));
}

#[test]
fn a_space_that_is_retired_or_in_use_is_refused() {
    let engine = boot(2);
    let (a, b) = (space(engine), space(engine));
    let says = |call: &dyn Fn()| {
        let unwound = catch_unwind(AssertUnwindSafe(call)).expect_err("a panic");
        unwound.downcast_ref::<String>().expect("a text").clone()
    };
    engine.retire(&a);
    engine.retire(&a);
    let refused = format!("was retired, enter another: space {}", a.id().number());
    assert_eq!(says(&|| drop(engine.enter(&a))), refused);
    enter(engine, 0, &b);
    assert_eq!(says(&|| engine.retire(&b)), "runs user code, call enter_lazy first: CPU 0");
}

/// The space, its root, and the CPUs by sets.
type Hypercall = (Option<SpaceId>, Option<u64>, Vec<u64>);

/// A guest without IPIs: its hypervisor is told of sets of CPUs, and may synchronise their contexts.
struct Guest<const SYNCS: bool> {
    locals: [CpuLocal; 4],
    me: AtomicU32,
    interrupts: AtomicU32,
    calls: Mutex<Vec<Hypercall>>,
}

// SAFETY: as for `Harts`.
unsafe impl<const SYNCS: bool> Coherence for Guest<SYNCS> {
    fn cpu(&self) -> CpuId {
        CpuId::new(self.me.load(Relaxed))
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        self.interrupts.swap(0, Relaxed) != 0
    }
    fn irq_restore(&self, were_on: bool) {
        self.interrupts.store(u32::from(were_on), Relaxed);
    }
    unsafe fn flush_local(&self, _: LocalFlush) {}
    fn relax(&self, polls: u64) {
        assert!(polls < 100, "a guest on hypercalls waits for nobody");
    }
}

// SAFETY: 1. no CPU has a TLB, or runs code.
unsafe impl<const SYNCS: bool> FlushRemote for Guest<SYNCS> {
    const SYNCS_CONTEXTS: bool = SYNCS;
    fn flush_remote(&self, what: &RemoteRequest<'_>) {
        assert_eq!(self.interrupts.load(Relaxed), 0, "the page of this CPU must not be reused under a call");
        let mut cpus = Vec::new();
        what.for_each_set(|set| cpus.push(set.bits()));
        self.calls.lock().unwrap().push((what.space, what.root, cpus));
    }
}

fn guest() -> Coherent<Guest<false>, CpuMask<1>, Untagged, Hypercalls> {
    guest_that()
}

fn guest_that<const SYNCS: bool>() -> Coherent<Guest<SYNCS>, CpuMask<1>, Untagged, Hypercalls> {
    let guest = Guest {
        locals: [const { CpuLocal::new() }; 4],
        me: AtomicU32::new(0),
        interrupts: AtomicU32::new(1),
        calls: Mutex::new(Vec::new()),
    };
    Coherent::new(Rootless::new(guest), CpuMask::new())
}

#[cfg(debug_assertions)]
#[test]
fn user_mode_is_refused_where_the_platform_says_that_no_cpu_enters_it() {
    let engine = guest();
    engine.online_cpu().unwrap();
    // SAFETY: 1. to 3. nothing interrupts a test, and no memory is unmapped.
    let unwound = catch_unwind(AssertUnwindSafe(|| unsafe { engine.enter_user() })).expect_err("a panic");
    let said = unwound.downcast_ref::<&str>().expect("a text");
    assert_eq!(*said, "the platform says that no CPU calls this (`USER_MODE`)");
    engine.flush_kernel(FlushRequest::all());
    let named: Vec<_> = engine.platform().machine().calls.lock().unwrap().drain(..).collect();
    assert_eq!(named.len(), 1, "flushes go on");
}

#[test]
fn contexts_are_refused_where_no_hypercall_synchronises_them() {
    let engine = guest();
    engine.online_cpu().unwrap();
    let space = engine.new_space(0x5000, CpuMask::new()).unwrap();
    let contexts = FlushRequest::contexts;
    let verbs: [&dyn Fn(); 4] = [
        &|| engine.flush(&space, contexts()),
        &|| engine.send(&space, contexts()).finish(),
        &|| engine.flush_kernel(contexts()),
        &|| engine.send_kernel(contexts()).finish(),
    ];
    for verb in verbs {
        let before = space.generation();
        let unwound = catch_unwind(AssertUnwindSafe(verb)).expect_err("SD-21: taken for done");
        let said = unwound.downcast_ref::<&str>().expect("a text");
        assert!(said.contains("SYNCS_CONTEXTS"), "{said}");
        assert_eq!(space.generation(), before, "nothing was announced");
    }
    let guest = engine.platform().machine();
    assert!(guest.calls.lock().unwrap().is_empty(), "no call was made");
    assert_eq!(guest.interrupts.load(Relaxed), 1);
    engine.flush(&space, FlushRequest::all());
    engine.flush_kernel(FlushRequest::all());
    assert_eq!(guest.calls.lock().unwrap().len(), 2, "flushes go on");
}

#[test]
fn contexts_go_by_hypercalls_that_synchronise_them() {
    let engine = guest_that::<true>();
    engine.online_cpu().unwrap();
    let space = engine.new_space(0x5000, CpuMask::new()).unwrap();
    engine.flush(&space, FlushRequest::contexts());
    engine.flush_kernel(FlushRequest::contexts());
    assert_eq!(engine.platform().machine().calls.lock().unwrap().len(), 2);
}

#[test]
fn a_guest_on_hypercalls_names_every_cpu_for_kernel_memory() {
    let engine = guest();
    let guest = engine.platform().machine();
    let on = |cpu| guest.me.store(cpu, Relaxed);
    (0..3).for_each(|cpu| {
        on(cpu);
        engine.online_cpu().unwrap();
    });
    let space = engine.new_space(0x5000, CpuMask::new()).unwrap();
    for _ in 0..2 {
        let entry = engine.enter(&space); // on CPU 2
        assert_eq!(
            entry.how(),
            OnInstall::Flush,
            "without tags each load flushes, that of the same root too"
        );
        // SAFETY: 1. and 2. there is no hardware; 3. it is retired below; 4. nothing else is called.
        unsafe { entry.loaded() };
    }
    on(0);

    let range = PageRange::new(VirtAddr(0), 4, PageSize::Size4K).unwrap();
    let mut gather = engine.kernel().gather_within::<u64, 1>(range);
    gather.unmapped(page(1), 7).unwrap();
    gather.finish();
    engine.flush(&space, FlushRequest::all());
    let calls = std::mem::take(&mut *guest.calls.lock().unwrap());
    assert_eq!(calls, [(None, None, vec![0b111]), (Some(space.id()), Some(0x5000), vec![0b100])]);
    assert_eq!(guest.interrupts.load(Relaxed), 1);

    let other = engine.new_space(0x6000, CpuMask::new()).unwrap();
    on(2);
    let entry = engine.enter(&other);
    // SAFETY: as above; the engine does not outlive the test.
    unsafe { entry.loaded() };
    engine.retire(&space);
}

#[test]
fn frames_that_a_guest_defers_come_out_when_its_hypervisor_has_flushed() {
    let engine = guest();
    let guest = engine.platform().machine();
    let space = Box::new(engine.new_space(0x5000, CpuMask::new()).unwrap());
    for cpu in [1, 0] {
        guest.me.store(cpu, Relaxed);
        engine.online_cpu().unwrap();
        // SAFETY: 1. and 2. there is no hardware; 3. the space is leaked below; 4. nothing else is called.
        unsafe { engine.enter(&space).loaded() };
    }
    let mut queue = Retired::<_, u64, 1>::new(&engine);
    let mut gather = engine.gather::<u64, 1>(&space);
    gather.unmapped(page(1), 7).unwrap();
    assert!(gather.defer_into(&mut queue, shootdown::flush::Deferral::FOREVER).is_ok());
    assert_eq!(queue.reclaim(drop), 1);

    // CPU 1 was flushed from outside; when it flushes itself, it catches up page by page.
    let counted =
        || (guest.locals[1].counters().selective_flushes(), guest.locals[1].counters().full_flushes());
    let before = counted();
    guest.me.store(0, Relaxed);
    engine.flush(&space, FlushRequest::pages(page(2)));
    guest.me.store(1, Relaxed);
    engine.flush(&space, FlushRequest::pages(page(3)));
    assert_eq!(counted(), (before.0 + 3, before.1));
    std::mem::forget(space);
}

#[test]
fn an_entry_names_the_tag_to_load_and_flushes_where_that_is_new() {
    let engine = boot(1);
    let (a, b) = (space(engine), space(engine));
    let full = harts_of(engine).locals[0].counters().full_flushes();
    let (tag, how) = enter(engine, 0, &a);
    assert_eq!((tag == Tag::NONE, how), (false, OnInstall::Flush));
    assert_eq!(enter(engine, 0, &a), (tag, OnInstall::Keep), "the root stays");
    engine.enter_lazy();
    assert_eq!(enter(engine, 0, &a), (tag, OnInstall::Keep), "the root is there still");
    assert_ne!(enter(engine, 0, &b).0, tag);
    assert_eq!(enter(engine, 0, &a), (tag, OnInstall::Keep), "nothing was missed");
    let counters = harts_of(engine).locals[0].counters();
    assert_eq!(counters.full_flushes(), full + 2, "one for each space");
    assert_eq!(counters.trims(), 2, "no member of what it has left");
}
