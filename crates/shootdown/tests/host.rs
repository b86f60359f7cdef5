//! What embedders see of the engine, on a machine where the test says which CPU runs.

#[path = "machine/mod.rs"]
mod machine;

use machine::page_range as page;
use machine::state::{IpiFate, State};
use machine::{Kind, Leaked, space, space_in};
use shootdown::flush::{Deferral, FlushRequest, Gather, LocalFlush, PageRange, PageSize, Retired, VirtAddr};
use shootdown::mask::{BorrowedMask, CpuMask, MaskWord, mask_words};
use shootdown::refs::SpaceExited;
use shootdown::tags::{PerCpuSlots, Untagged};
use shootdown::trace::Event;
use shootdown::{CpuId, EngineError, Platform};
use std::cell::RefCell;

/// Words of mask lent at run time, 64 CPUs each.
type Mask = BorrowedMask<'static>;

struct Lent;

impl Kind for Lent {
    type Mask = Mask;
    type Handle = Leaked<Self>;
    type Tags = PerCpuSlots<2>;

    fn mask(_: &'static State) -> Mask {
        mask(2)
    }
}

type Host = machine::Machine<Lent>;

/// A machine whose CPUs may flush when they run again.
struct OnEntry;

impl Kind for OnEntry {
    type Mask = CpuMask<1>;
    type Handle = Leaked<Self>;
    type Tags = Untagged;
    const FLUSHES_ON_ENTRY: bool = true;

    fn mask(_: &'static State) -> CpuMask<1> {
        CpuMask::new()
    }
}

/// A machine that interrupts up to 64 CPUs at once.
struct AtOnce;

impl Kind for AtOnce {
    type Mask = CpuMask<2>;
    type Handle = Leaked<Self>;
    type Tags = Untagged;
    const MULTICAST: bool = true;

    fn mask(_: &'static State) -> CpuMask<2> {
        CpuMask::new()
    }
}

fn mask(words: usize) -> Mask {
    BorrowedMask::new(Vec::leak((0..words).map(|_| MaskWord::new()).collect()))
}

/// A machine with `cpus` CPUs, of which 128 have room in its masks and are on line.
fn machine(cpus: u32) -> &'static Host {
    machine_with(cpus, 2)
}

fn machine_with(cpus: u32, words: usize) -> &'static Host {
    let host = machine::machine(State::new(cpus), mask(words), PerCpuSlots);
    host.records.set(true);
    host
}

/// A frame that notes when it is given back.
struct Frame<'a>(u64, &'a RefCell<Vec<u64>>);

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn pages_go_one_by_one_up_to_what_the_tag_and_its_refills_cost() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    engine.switch_to(&a);
    let most = Host::FLUSH_COSTS.ceiling();
    let range = |count| PageRange::new(VirtAddr(0x4000), count, PageSize::Size4K).expect("a range");
    for (pages, by_page) in [(most, true), (most + 1, false)] {
        host.log.borrow_mut().flushes.clear();
        engine.flush(&a, FlushRequest::pages(range(pages)));
        let flushed = host.log.borrow().flushes[0].1.request.range().is_some();
        assert_eq!(flushed, by_page, "{pages} pages");
    }
    let _ = a.into_handle();
}

#[test]
fn a_flush_sends_ipis_to_cpus_that_run_the_space_and_skips_the_rest() {
    let host = machine(73);
    let engine = host.engine();
    let (a, b) = (space(host, 0xa000), space(host, 0xb000));
    engine.switch_to(&a);
    host.on(70, || engine.switch_to(&a));
    host.on(71, || engine.switch_to(&b));
    host.on(72, || {
        engine.switch_to(&a);
        engine.enter_lazy();
    });
    host.log.borrow_mut().flushes.clear();
    engine.flush(&a, FlushRequest::pages(page(5)));
    let counters = host.counters(0);
    assert_eq!((counters.flushes(), counters.ipis_sent(), counters.ipis_avoided()), (1, 1, 1));
    let flushed: Vec<u32> = host.log.borrow().flushes.iter().map(|flush| flush.0).collect();
    assert_eq!(flushed, [0, 70], "the caller and the other thread, by range");
    assert_eq!(host.counters(70).selective_flushes(), 1);
    engine.flush(&a, FlushRequest::all().tables_freed());
    assert_eq!(host.counters(0).ipis_sent(), 3, "freed tables reach the lazy CPU too");
    assert_eq!(host.counters(72).evictions(), 1);
    for user in [a, b] {
        let _ = user.into_handle();
    }
}

#[test]
fn frames_are_held_until_the_flush_is_complete_and_handed_back_when_full() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    engine.switch_to(&a);
    host.on(1, || engine.switch_to(&a));
    let freed = RefCell::default();
    let mut gather = engine.gather::<Frame, 2>(&a);
    gather.unmapped(page(1), Frame(1, &freed)).expect("first of two");
    gather.unmapped(page(2), Frame(2, &freed)).expect("second of two");
    let Err(third) = gather.unmapped(page(3), Frame(3, &freed)) else { panic!("two fit, not three") };
    assert_eq!((third.frame.0, third.range()), (3, page(3)));
    assert_eq!(
        third.to_string(),
        "the gather is full at 0x3000; send it, open another, and resume with this error"
    );
    let pending = gather.send();
    assert!(freed.borrow().is_empty(), "CPU 1 has not answered");
    assert_eq!(host.pending_ipis(), [1]);
    let mut taken = Vec::new();
    pending.finish_with(|frame| taken.push(frame.0));
    assert_eq!(taken, [1, 2]);
    drop(third);
    let empty = engine.gather::<Frame, 2>(&a);
    empty.finish();
    assert_eq!(host.counters(0).flushes(), 1, "nothing recorded, nothing flushed");
    let _ = a.into_handle();
}

#[test]
fn each_frame_of_a_gather_is_given_back_once_whichever_way_it_ends() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    let freed = RefCell::default();
    let full = || {
        let mut gather = engine.gather::<Frame, 2>(&a);
        (1..3).for_each(|number| gather.unmapped(page(number), Frame(number, &freed)).expect("two fit"));
        gather
    };
    let given_back = || freed.take();
    full().finish();
    assert_eq!(given_back(), [1, 2]);
    full().send().finish();
    assert_eq!(given_back(), [1, 2]);
    full().send().finish_with(drop);
    assert_eq!(given_back(), [1, 2]);
    let before = a.generation();
    engine.gather::<Frame, 2>(&a).finish();
    assert_eq!(a.generation(), before, "it has nothing to flush, and no other is open");
    let _ = a.into_handle();
}

#[test]
fn a_space_that_a_cpu_has_loaded_is_not_retired_whatever_the_platform_answers_for_its_tlb() {
    let host = machine(2);
    let engine = host.engine();
    let a = engine.new_space(0xa000, mask(2)).expect("large enough");
    host.on(1, || {
        let entry = engine.enter(&a);
        // SAFETY: 1. and 2. nothing walks; 3. it is retired below; 4. nothing else is called.
        unsafe { entry.loaded() };
        engine.enter_lazy();
    });
    host.answered_for.set(Some(1));
    let mut ticket = engine.begin_retire(&a);
    assert_eq!(engine.is_retired(&a, &mut ticket), Ok(false), "CPU 1 reads its memory");
    host.handle_ipi(1);
    assert_eq!(engine.is_retired(&a, &mut ticket), Ok(true));
}

#[test]
fn a_gather_beside_another_flushes_what_it_looked_at_and_no_more() {
    let host = machine(1);
    let engine = host.engine();
    let user = space(host, 1);
    engine.switch_to(&user);
    let flushed_by = |gather: Gather<'_, Host, (), 1>| {
        host.log.borrow_mut().flushes.clear();
        gather.finish();
        host.log.borrow().flushes.iter().map(|&(_, what)| what).collect::<Vec<_>>()
    };
    assert_eq!(flushed_by(engine.gather_within(&user, page(7))), [], "alone, and nothing recorded");

    let other: Gather<'_, Host, (), 1> = engine.gather(&user);
    let tag = match flushed_by(engine.gather_within(&user, page(7)))[..] {
        [LocalFlush { tag: Some(tag), request }] => {
            let expected = FlushRequest::pages(page(7)).tables_freed();
            assert_eq!(request, expected, "the peer may have cleared page 7, or its table");
            tag
        }
        ref other => panic!("{other:?}"),
    };
    let everything = LocalFlush { tag: Some(tag), request: FlushRequest::all().tables_freed() };
    let huge = PageRange::new(VirtAddr(0x20_0000), 1, PageSize::Size2M).expect("aligned");
    assert_eq!(
        flushed_by(engine.gather_within(&user, huge)),
        [everything],
        "the peer may have cleared any of 512 small pages"
    );
    assert_eq!(flushed_by(engine.gather(&user)), [everything], "it may have looked anywhere");
    other.finish();
}

#[test]
fn a_gather_says_how_much_room_it_has_and_flushes_everything_where_anything_changed() {
    let host = machine(1);
    let engine = host.engine();
    let user = space(host, 1);
    engine.switch_to(&user);
    let mut gather = engine.gather::<(), 2>(&user);
    assert_eq!(gather.room(), 2);
    gather.unmapped(page(7), ()).expect("room for two");
    assert_eq!(gather.room(), 1);
    gather.changed_all();
    gather.changed(page(9));
    assert_eq!(gather.room(), 1, "a change has no frame");
    host.log.borrow_mut().flushes.clear();
    gather.finish();
    assert!(
        matches!(host.log.borrow().flushes[..], [(0, what)] if what.tag.is_some() && what.request.range().is_none()),
        "no page is left out"
    );
}

#[test]
fn the_last_user_leaves_a_teardown_and_the_last_struct_frees_the_root_once() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    let pin = a.grab();
    engine.switch_to(&a);
    engine.enter_lazy();
    let second = pin.upgrade().expect("a user is left");
    assert!(second.put().is_none());
    drop(a);
    assert_eq!(pin.upgrade().err(), Some(SpaceExited));
    let handle = host.deferred.borrow_mut().pop().expect("an implicit drop defers the teardown");
    let teardown = engine.teardown_from_handle(handle);
    assert_eq!(teardown.root(), 0xa000);
    teardown.finish();
    assert!(host.freed_roots.borrow().is_empty(), "a struct reference is left");
    drop(pin);
    assert_eq!(*host.freed_roots.borrow(), [0xa000]);
    assert_eq!(host.log.borrow().installs.last(), Some(&(0, None)), "the lazy CPU left it first");
    assert!(host.log.borrow().events.iter().any(|event| matches!(event, Event::RootFreed(_))));
}

#[test]
fn a_late_target_is_reported_sent_another_ipi_and_waited_for() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    engine.switch_to(&a);
    host.on(1, || engine.switch_to(&a));
    host.afterwards.set(IpiFate::Delayed(9));
    engine.flush(&a, FlushRequest::all());
    assert_eq!(host.stalled.borrow().len(), 2, "at 4 polls and at 8");
    assert_eq!(host.counters(0).stalls(), 2);
    assert_eq!(host.counters(1).ipis_handled(), 1);
    let _ = a.into_handle();
}

#[test]
fn a_warm_tag_is_kept_and_catches_up_by_range() {
    let host = machine(2);
    let engine = host.engine();
    let (a, b) = (space(host, 0xa000), space(host, 0xb000));
    engine.switch_to(&a);
    engine.switch_to(&b);
    let full = host.counters(0).full_flushes();
    engine.switch_to(&a);
    assert_eq!(host.counters(0).full_flushes(), full, "nothing happened: no flush");
    engine.switch_to(&b);
    host.on(1, || engine.flush(&a, FlushRequest::pages(page(7))));
    host.log.borrow_mut().flushes.clear();
    engine.switch_to(&a);
    let flushes = host.log.borrow().flushes.clone();
    assert!(
        matches!(flushes[..], [(0, what)] if what.request == FlushRequest::pages(page(7))),
        "{flushes:?}"
    );
    for user in [a, b] {
        let _ = user.into_handle();
    }
}

#[test]
fn borrowing_and_temporary_spaces_return_to_where_they_began() {
    let host = machine(1);
    let engine = host.engine();
    let (a, b) = (space(host, 0xa000), space(host, 0xb000));
    engine.switch_to(&a);
    assert_eq!(engine.borrow(&b).err(), Some(EngineError::NotAKernelThread(CpuId::new(0))));
    let look = || host.log.borrow().installs.last().copied();
    // SAFETY: 1. `a` lives on.
    let seen = unsafe { engine.with_temporary_space(&b, look) };
    assert_eq!(seen, Some((0, Some(0xb000))));
    assert_eq!(host.log.borrow().installs.last(), Some(&(0, Some(0xa000))));
    engine.enter_lazy();
    let borrow = engine.borrow(&b).expect("a kernel thread may");
    assert_eq!(borrow.root(), 0xb000);
    drop(borrow);
    for user in [a, b] {
        let _ = user.into_handle();
    }
}

#[test]
fn refusals_name_the_value_and_the_remedy() {
    let host = machine(1);
    let engine = host.engine();
    let small = engine.new_space(0xa000, mask(1)).expect_err("one word is less than two");
    assert_eq!(small, EngineError::MaskTooSmall(64, 128));
    assert_eq!(small.to_string(), "mask for 64 CPUs on a machine of 128; give the space as many words");
    assert_eq!(engine.new_space(0xa000, mask(0)).err(), Some(EngineError::MaskTooSmall(0, 128)));
    let space = Box::leak(Box::new(engine.new_space(0xa000, mask(2)).expect("large enough")));
    let first = engine.register(space).expect("first");
    let Err((refused, _)) = engine.register(space) else { panic!("registered twice") };
    assert!(refused.to_string().contains("clone its first reference"), "{refused}");
    let _ = first.into_handle();
    let wide = machine(129);
    let refused = wide.on(128, || wide.engine().online_cpu());
    assert_eq!(refused, Err(EngineError::CpuTooLarge(CpuId::new(128), 128)));
    assert_eq!(
        refused.expect_err("as above").to_string(),
        "CPU 128 does not fit a mask of 128 CPUs; give the machine a larger mask"
    );
}

#[test]
fn a_cpu_that_went_off_line_is_not_waited_for_and_comes_back_clean() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    host.log.borrow_mut().flushes.clear();
    host.on(1, || {
        engine.switch_to(&a);
        engine.enter_lazy();
        engine.offline_cpu();
    });
    assert_eq!(
        host.log.borrow().flushes,
        [(1, LocalFlush::EVERYTHING)],
        "from now on nobody asks it to flush"
    );
    host.afterwards.set(IpiFate::Lost);
    engine.flush(&a, FlushRequest::all().tables_freed());
    engine.flush_kernel(FlushRequest::pages(page(9)));
    assert_eq!(host.counters(0).ipis_sent(), 0);
    host.log.borrow_mut().flushes.clear();
    host.on(1, || engine.online_cpu()).expect("fits");
    assert_eq!(host.log.borrow().flushes, [(1, LocalFlush::EVERYTHING)]);
    let _ = a.into_handle();
}

#[test]
fn a_flush_finds_one_cpu_among_thousands() {
    // Under Miri as many words as have a summary.
    const CPUS: u32 = if cfg!(miri) { 192 } else { 4_096 };
    let words = mask_words(CPUS);
    assert_eq!(words, CPUS as usize / 64);
    let host = machine_with(CPUS, words);
    let engine = host.engine();
    let user = space_in(host, 0x1000, mask(words));
    for cpu in [0, 64, CPUS - 1] {
        host.on(cpu, || engine.switch_to(&user));
    }
    let other = space_in(host, 0x2000, mask(words));
    host.on(64, || engine.switch_to(&other));
    let pending = engine.send(&user, FlushRequest::pages(page(1)));
    assert_eq!(host.pending_ipis(), [CPUS - 1], "CPU 64 has left");
    assert_eq!(host.log.borrow().targets, [0, CPUS - 1].into(), "what a platform that broadcasts is told");
    pending.finish();
    host.on(64, || engine.switch_to(&user));
    let pending = engine.send(&user, FlushRequest::pages(page(2)));
    assert_eq!(host.pending_ipis(), [64, CPUS - 1], "CPU 64 is back, under a mark that was there");
    pending.finish();
}

#[test]
fn kernel_memory_is_flushed_on_every_cpu_of_a_wide_machine() {
    const CPUS: u32 = if cfg!(miri) { 132 } else { 200 };
    let host = machine_with(CPUS, mask_words(CPUS));
    let engine = host.engine();
    host.on(130, || engine.offline_cpu());
    host.log.borrow_mut().flushes.clear();
    engine.flush_kernel(FlushRequest::pages(page(1)));
    let kernel = LocalFlush { tag: None, request: FlushRequest::pages(page(1)) };
    let mut flushed = host.log.borrow().flushes.clone();
    flushed.sort_by_key(|(cpu, _)| *cpu);
    assert!(flushed.into_iter().eq((0..CPUS).filter(|cpu| *cpu != 130).map(|cpu| (cpu, kernel))));
}

#[test]
fn spaces_that_cpus_make_in_turn_have_identities_of_their_own() {
    let host = machine(3);
    let engine = host.engine();
    let make = |cpu| host.on(cpu, || engine.new_space(0x1000, mask(2)).expect("large enough").id());
    let spaces = if cfg!(miri) { 120 } else { 600 };
    let made: Vec<_> = (0..spaces).map(|turn| make([0, 1, 0, 2, 0][turn % 5])).collect();
    let mut numbers: Vec<_> = made.iter().map(|id| id.number()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), made.len());
    assert_ne!(numbers[0], 0, "no space");
}

#[test]
fn a_cpu_counts_its_identities_on_until_its_block_ends() {
    let host = machine(2);
    let engine = host.engine();
    let make = |cpu| {
        let space = host.on(cpu, || engine.new_space(0x1000, mask(2)).expect("large enough"));
        space.id().number()
    };
    let first = make(0);
    make(1);
    // A block has 64: until they are given out this CPU writes no word of the machine's.
    let made: Vec<u64> = (1..64).map(|_| make(0)).collect();
    assert_eq!(made, (first + 1..first + 64).collect::<Vec<_>>());
}

#[test]
fn a_flush_is_acknowledged_once_by_each_cpu_and_after_it_was_carried_out() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    host.log.borrow_mut().flushes.clear();
    engine.flush(&a, FlushRequest::pages(page(5)));
    assert_eq!(host.log.borrow().caught_up, [(0, 1), (1, 2)]);
    let _ = a.into_handle();
}

#[test]
fn page_table_stores_are_published_before_an_ipi_is_sent() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    engine.send(&a, FlushRequest::pages(page(5))).finish();
    engine.send_kernel(FlushRequest::pages(page(6))).finish();
    let ipis = host.counters(0).ipis_sent();
    assert_eq!((host.log.borrow().published.as_slice(), ipis), ([0, 0].as_slice(), 2));
    let _ = a.into_handle();
}

#[test]
fn page_table_stores_are_handed_to_walkers_before_a_deferred_flush_is_announced() {
    let host = machine(2);
    let mut queue = Retired::<_, u64, 1>::new(host.engine());
    let mut gather = host.engine().kernel().gather::<u64, 1>();
    gather.unmapped(page(6), 7).expect("one fits");
    assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok());
    assert_eq!(host.log.borrow().published.len(), 1);
    queue.finish_with(drop);
    assert_eq!(host.counters(1).ipis_handled(), 1);
}

#[test]
fn a_cpu_that_the_platform_answers_for_is_not_waited_for() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    host.answered_for.set(Some(1));
    host.afterwards.set(IpiFate::Lost);
    engine.flush_kernel(FlushRequest::pages(page(6)));
    engine.flush(&a, FlushRequest::pages(page(5)));
    assert_eq!((host.stalled.borrow().len(), host.counters(1).ipis_handled()), (0, 0));
    let _ = a.into_handle();
}

#[test]
fn a_switch_hands_references_over() {
    let host = machine(1);
    let engine = host.engine();
    let (a, b) = (space(host, 0xa000), space(host, 0xb000));
    let mut running = None;
    assert!(engine.hand_over(&mut running, Some(a.clone())).is_none());
    assert_eq!((a.users(), host.here().root), (2, Some(0xa000)));
    let previous = engine.hand_over(&mut running, Some(b)).expect("that of the thread before");
    assert_eq!((previous.id(), host.here().root), (a.id(), Some(0xb000)));
    drop((previous, engine.hand_over(&mut running, None)));
    assert!(
        running.is_none() && host.deferred.borrow().len() == 1,
        "the last reference to the second space went"
    );
    engine.leave(); // which a CPU may that runs no user code
    let _ = a.into_handle();
}

#[test]
fn a_cpu_that_was_skipped_and_runs_again_is_sent_an_ipi_for_a_ticket() {
    let host = machine::machine(State::new(3), CpuMask::new(), Untagged);
    let engine = host.engine();
    let a = space::<OnEntry>(host, 0xa000);
    (0..3).for_each(|cpu| host.run(cpu, &a));
    host.answered_for.set(Some(1));
    let mut ticket = engine.send(&a, FlushRequest::all()).detach();
    assert_eq!(host.pending_ipis(), [2]);
    host.poll();
    host.answered_for.set(None);
    assert_eq!(engine.is_complete(&mut ticket), Ok(false), "CPU 1 has flushed, and said so to nobody");
    assert_eq!(host.pending_ipis(), [1]);
    host.poll();
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));
    let _ = a.into_handle();
}

#[test]
fn what_found_no_room_is_resumed_as_what_it_was() {
    let host = machine(3);
    let engine = host.engine();
    let a = space(host, 0xa000);
    (0..3).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    host.on(2, || engine.enter_lazy());
    for (tables, evicted) in [(false, 0), (true, 1)] {
        let mut none = engine.gather::<u64, 0>(&a);
        let full = if tables { none.table_freed(page(1), 7) } else { none.unmapped(page(1), 7) };
        let full = full.expect_err("there is no room").map(|frame| frame + 1);
        assert_eq!((full.frame, full.range()), (8, page(1)));
        none.finish();
        let mut next = engine.gather::<u64, 1>(&a);
        next.resume(full).expect("it is empty");
        next.finish();
        assert_eq!(host.counters(2).evictions(), evicted, "lazy CPUs leave where a table goes");
    }
    let _ = a.into_handle();
}

#[test]
fn a_flush_of_kernel_memory_is_left_to_the_entry_of_a_cpu_that_does_not_run() {
    let host = machine::machine::<OnEntry>(State::new(3), CpuMask::new(), Untagged);
    host.records.set(true);
    let engine = host.engine();
    let a = space::<OnEntry>(host, 0xa000);
    (0..3).for_each(|cpu| host.run(cpu, &a));
    host.preempted.set(Some(1));
    let (kernel, user) = (FlushRequest::pages(page(6)), FlushRequest::all());
    let mut ticket = engine.send_kernel(kernel).detach();
    assert_eq!(host.pending_ipis(), [2], "CPU 1 does not run");
    engine.flush(&a, user);
    assert_eq!(
        host.log.borrow().deferred,
        [(1, None, kernel)],
        "what it flushes anyway it is not asked for again"
    );
    host.answered_for.set(None);
    host.preempted.set(None); // CPU 1 runs again, and has flushed
    assert_eq!(engine.is_complete(&mut ticket), Ok(false), "which it has said to nobody");
    assert_eq!(host.pending_ipis(), [1]);
    host.poll();
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));
    host.preempted.set(Some(2));
    engine.flush(&a, user);
    assert_eq!(host.log.borrow().deferred[1..], [(2, Some(a.id()), user)]);
    let _ = a.into_handle();
}

#[test]
fn a_wait_for_kernel_memory_asks_a_cpu_that_was_passed_over_and_runs_again() {
    let host = machine::machine::<OnEntry>(State::new(2), CpuMask::new(), Untagged);
    let engine = host.engine();
    host.preempted.set(Some(1));
    let pending = engine.send_kernel(FlushRequest::pages(page(6)));
    assert_eq!(host.pending_ipis(), []);
    host.answered_for.set(None);
    host.preempted.set(None);
    pending.finish();
    assert_eq!((host.stalled.borrow().len(), host.counters(1).ipis_handled()), (0, 1));
}

#[test]
fn a_gather_that_is_deferred_interrupts_no_cpu_that_is_late_with_one_that_was_retired() {
    let host = machine::machine(State::new(3), CpuMask::new(), Untagged);
    let engine = host.engine();
    let a = space::<OnEntry>(host, 0xa000);
    (0..3).for_each(|cpu| host.run(cpu, &a));
    let mut queue = Retired::<_, u64, 2>::new(engine);
    let open = || engine.gather_within::<u64, 1>(&a, page(5));
    host.answered_for.set(Some(1));
    let mut retired = open();
    retired.changed(page(5));
    assert!(retired.send().retire_into(&mut queue).is_ok());
    host.answered_for.set(None); // CPU 1 runs again, and has flushed
    assert_eq!(host.pending_ipis(), [2]);
    host.poll();
    assert!(open().defer_into(&mut queue, Deferral::FOREVER).is_ok());
    assert_eq!(host.pending_ipis(), []);
    queue.finish_with(drop);
    assert_eq!(host.ipis_sent.get(), 3, "CPUs 1 and 2 are told by who waits");
    let _ = a.into_handle();
}

#[test]
fn the_platform_is_told_of_a_gather_before_its_flush_and_after_it() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    let told = || std::mem::take(&mut host.log.borrow_mut().gathers);
    let full = || {
        let mut gather = engine.gather::<(), 1>(&a);
        gather.unmapped(page(1), ()).expect("room for one");
        gather
    };
    host.log.borrow_mut().flushes.clear();
    full().finish();
    // The number of the root, and flushes so far.
    assert_eq!(told(), [(Some(0xa000), 0), (None, 2)]);
    let pending = full().send();
    assert_eq!(told(), [(Some(0xa000), 2)]);
    pending.finish();
    assert_eq!(told(), [(None, 4)]);
    engine.gather::<(), 1>(&a).finish();
    assert_eq!(told(), [], "nothing was unmapped");
    let _ = a.into_handle();
}

#[test]
#[should_panic(expected = "is registered, drop its references instead: space")]
fn a_space_that_has_references_is_not_retired() {
    let host = machine(1);
    let a = space(host, 0xa000);
    host.engine().retire(&a);
}

#[test]
fn a_change_without_a_frame_is_flushed() {
    let host = machine(1);
    let engine = host.engine();
    let a = space(host, 0xa000);
    engine.switch_to(&a);
    host.log.borrow_mut().flushes.clear();
    let mut gather = engine.gather::<(), 1>(&a);
    gather.changed(page(7));
    gather.finish();
    let flushes = host.log.borrow().flushes.clone();
    assert!(
        matches!(flushes[..], [(0, what)] if what.request == FlushRequest::pages(page(7))),
        "{flushes:?}"
    );
    let _ = a.into_handle();
}

#[test]
fn users_are_counted_and_pins_are_not() {
    let host = machine(1);
    let a = space(host, 0xa000);
    let (second, pins) = (a.clone(), [a.grab(), a.grab()]);
    assert_eq!(a.users(), 2);
    assert!(second.put().is_none());
    assert_eq!(a.users(), 1);
    drop(pins);
    let _ = a.into_handle();
}

#[test]
fn a_trim_takes_the_space_from_a_kernel_thread_here_and_from_no_user_code() {
    let host = machine(1);
    let engine = host.engine();
    let a = space(host, 0xa000);
    engine.switch_to(&a);
    engine.trim(&a);
    assert_eq!(host.log.borrow().installs, [(0, Some(0xa000))]);
    engine.enter_lazy();
    engine.trim(&a);
    assert_eq!(host.log.borrow().installs, [(0, Some(0xa000)), (0, None)]);
    let _ = a.into_handle();
}

#[test]
fn trims_are_counted_where_they_are_asked_for_and_where_they_are_done() {
    let host = machine(1);
    let engine = host.engine();
    let a = space(host, 0xa000);
    let counters = || host.counters(0);
    engine.switch_to(&a);
    engine.trim(&a);
    assert_eq!((counters().trim_requests(), counters().trims()), (1, 0), "user code stays in the mask");
    engine.enter_lazy();
    engine.trim(&a);
    assert_eq!((counters().trim_requests(), counters().trims()), (2, 1));
    engine.trim(&a);
    assert_eq!((counters().trim_requests(), counters().trims()), (3, 1), "nobody is left");
    let _ = a.into_handle();
}

#[test]
fn a_cpu_that_comes_on_line_twice_leaves_the_space_that_it_kept_and_finds_nothing_of_it_later() {
    let host = machine(1);
    let engine = host.engine();
    let (a, b) = (space(host, 0xa000), space(host, 0xb000));
    engine.switch_to(&a);
    engine.online_cpu().expect("it fits");
    engine.switch_to(&b);
    let full = host.counters(0).full_flushes();
    engine.switch_to(&a);
    assert_eq!(host.counters(0).full_flushes(), full + 1, "its tag is not known as its own any more");
    for user in [a, b] {
        let _ = user.into_handle();
    }
}

#[test]
fn events_say_what_happens_in_its_order() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    let said = || std::mem::take(&mut host.log.borrow_mut().events);
    said();
    let of_a = || (Some(a.id()), a.generation());
    let target = CpuId::new(1);
    engine.switch_to(&a);
    host.on(1, || engine.switch_to(&a));
    engine.flush(&a, FlushRequest::pages(page(1)));
    let (space, now) = of_a();
    let (announced, caught_up) = (Event::Announced(space, now), Event::CaughtUp(a.id(), now));
    assert_eq!(
        said(),
        [
            Event::Switched(a.id()),
            Event::Switched(a.id()),
            Event::IpiSent(target),
            announced,
            caught_up,
            caught_up,
            Event::IpiHandled
        ]
    );
    host.on(1, || {
        engine.enter_lazy();
        engine.switch_to(&a);
        engine.enter_lazy();
        engine.leave();
        engine.offline_cpu();
        engine.online_cpu().expect("fits");
    });
    assert_eq!(
        said(),
        [
            Event::WentLazy,
            Event::Switched(a.id()),
            Event::WentLazy,
            Event::Left(a.id()),
            Event::Offline,
            Event::Online
        ]
    );
    let _ = a.into_handle();
}

#[test]
fn a_cpu_that_goes_off_line_has_flushed_and_is_told_of_flushes_until_it_has_said_so() {
    let host = machine(2);
    let engine = host.engine();
    host.log.borrow_mut().flushes.clear();
    let asks = move || {
        assert_eq!(host.log.borrow().flushes, [(1, LocalFlush::EVERYTHING)]);
        host.on(0, || std::mem::forget(engine.send_kernel(FlushRequest::pages(page(9)))));
    };
    *host.device.meanwhile.borrow_mut() = Some(Box::new(asks));
    host.offline(1);
    assert!(host.device.meanwhile.borrow().is_none(), "the platform was told");
    assert_eq!(host.pending_ipis(), [1]);
}

#[test]
fn every_gather_is_released_once_when_its_flush_is_complete() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    host.on(1, || engine.switch_to(&a));
    let gather = |number| {
        let mut gather = engine.gather::<u64, 1>(&a);
        gather.unmapped(page(number), number).expect("room for one");
        gather
    };
    let batch = |number| {
        let mut batch = engine.batch::<u64, 1, 1>();
        batch.gather(&a).expect("room for one").unmapped(page(number), number).expect("room for one");
        batch
    };
    let released = || host.log.borrow().gathers.iter().filter(|(root, _)| root.is_none()).count();
    let mut queue = Retired::<_, u64, 3>::new(engine);
    assert!(gather(1).send().retire_into(&mut queue).is_ok());
    assert!(gather(2).defer_into(&mut queue, Deferral::FOREVER).is_ok());
    assert!(batch(3).defer_into(&mut queue, Deferral::FOREVER).is_ok());
    assert_eq!(released(), 0);
    queue.finish_with(drop);
    assert_eq!(released(), 3);
    batch(4).finish();
    gather(5).finish();
    gather(6).send().finish();
    assert_eq!(released(), 6);
}

#[test]
fn what_is_printed_of_a_value_says_which_it_is() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    host.on(1, || engine.switch_to(&a));
    let mut gather = engine.gather::<u64, 0>(&a);
    let full = gather.unmapped(page(7), 7).expect_err("there is no room");
    assert_eq!(format!("{full:?}"), format!("Full {{ range: {:?}, .. }}", page(7)));
    gather.changed(page(7));
    let mut queue = Retired::<_, u64, 2>::new(engine);
    assert!(gather.send().retire_into(&mut queue).is_ok());
    assert_eq!(format!("{queue:?}"), "Retired { len: 1, .. }");
    let ticket = engine.send(&a, FlushRequest::contexts()).detach();
    assert_eq!(format!("{ticket:?}"), format!("Ticket {{ generation: {}, .. }}", a.generation().number()));
    assert_eq!(format!("{:?}", FlushRequest::contexts()), "FlushRequest(contexts)");
    let _ = a.into_handle();
}

#[test]
fn a_cpu_that_has_missed_more_than_is_remembered_flushes_its_tag_and_no_other() {
    let host = machine(2);
    let engine = host.engine();
    let a = space(host, 0xa000);
    host.on(1, || {
        engine.switch_to(&a);
        engine.enter_lazy();
    });
    for number in 0..20 {
        engine.flush(&a, FlushRequest::pages(page(number)));
    }
    host.log.borrow_mut().flushes.clear();
    host.on(1, || engine.switch_to(&a));
    assert!(
        matches!(host.log.borrow().flushes[..], [(1, what)] if what.tag.is_some() && what.request == FlushRequest::all())
    );
    let _ = a.into_handle();
}

#[test]
fn a_range_lies_in_one_half_of_the_address_space_unless_it_holds_the_hole() {
    let pages =
        |start| PageRange::new(VirtAddr(start), 2, PageSize::Size4K).expect("it does not wrap").pages();
    for (start, in_one_half) in
        [(0x3fff_ffff_ffff_f000, true), (0x7fff_ffff_ffff_f000, false), (0xbfff_ffff_ffff_f000, true)]
    {
        assert_eq!(pages(start).in_one_half(), in_one_half, "{start:#x}");
    }
}

#[test]
fn an_event_names_each_cpu_that_is_interrupted_at_once_with_others() {
    let host = machine::machine(State::new(67), CpuMask::new(), Untagged);
    let user = space::<AtOnce>(host, 0x1000);
    for cpu in [0, 1, 63, 64, 66] {
        host.switch(cpu, &user);
    }
    host.records.set(true);
    let pending = host.engine().send(&user, FlushRequest::pages(page(1)));
    let sent = [1, 63, 64, 66].map(|cpu| Event::IpiSent(CpuId::new(cpu)));
    assert_eq!(host.log.borrow().events[..4], sent);
    assert_eq!(host.pending_ipis(), [1, 63, 64, 66]);
    pending.finish();
    let _ = user.into_handle();
}
