//! Batches of several spaces, and flushes that wait for switches and ticks.

use super::*;
use shootdown::flush::{Batch, BatchFull, Deferral};

/// IPIs that CPUs 0 to 3 have handled so far.
fn ipis(engine: &Engine) -> [u64; 4] {
    std::array::from_fn(|cpu| harts_of(engine).locals[cpu].counters().ipis_handled())
}

/// Unmaps a page of each of these spaces, in a part of its own; the frames are 0, 1 and so on.
fn batch_of<const N: usize>(
    engine: &'static Engine,
    spaces: [&Owned; N],
) -> Batch<'static, Rootless<Harts, CpuMask<2>, PerCpuSlots<2>>, u64, 4, 4> {
    let mut batch = engine.batch();
    for (frame, space) in (0..).zip(spaces) {
        batch.gather(space).unwrap().unmapped(page(frame), frame).unwrap();
    }
    batch
}

#[test]
fn a_batch_tells_every_cpu_of_every_space_once() {
    let engine = boot(4);
    let (a, b, c) = (space(engine), space(engine), space(engine));
    for (cpu, space) in [(1, &a), (2, &b), (3, &c)] {
        enter(engine, cpu, space);
    }
    let mut queue = Retired::<_, u64, 8>::new(engine);
    let batch = batch_of(engine, [&a, &b, &c, &a]);
    assert!(deliver(engine).is_empty(), "nobody was told yet");
    assert!(batch.retire_into(&mut queue).is_ok());
    let sets = deliver(engine);
    assert_eq!(sets.iter().map(|set| set.bits()).collect::<Vec<_>>(), [0b1110], "all at once");
    assert_eq!(ipis(engine), [0, 1, 1, 1]);
    let mut freed = Vec::new();
    assert_eq!(queue.reclaim(|frame| freed.push(frame)), 4);
    assert_eq!((freed, queue.room()), (vec![0, 1, 2, 3], 8));

    // Without a batch: four flushes, and four IPIs.
    for space in [&a, &b, &c, &a] {
        engine.flush(space, FlushRequest::pages(page(1)));
    }
    assert_eq!(ipis(engine), [0, 3, 2, 2]);
}

#[test]
fn a_batch_tells_cpus_of_one_space_though_nobody_runs_the_other() {
    let engine = boot(2);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    batch_of(engine, [&b, &a]).finish();
    assert_eq!(ipis(engine), [0, 1, 0, 0]);
}

#[test]
fn a_batch_tells_all_cpus_before_it_waits_for_the_first() {
    let engine = boot(3);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    enter(engine, 2, &b);
    batch_of(engine, [&a, &b]).finish();
    assert_eq!((ipis(engine), harts_of(engine).rounds.load(Relaxed)), ([0, 1, 1, 0], 1));
}

#[test]
fn a_batch_takes_a_place_for_each_part_but_one() {
    let engine = boot(3);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    enter(engine, 2, &b);
    let (refused, batch) =
        batch_of(engine, [&a, &b]).retire_into(&mut Retired::<_, _, 2>::new(engine)).err().unwrap();
    assert_eq!(refused, RetireError::NoRoom(3, 2));
    assert!(batch.retire_into(&mut Retired::<_, _, 3>::new(engine)).is_ok());
}

#[test]
fn a_batch_that_is_waited_for_reaches_cpus_of_every_word() {
    let engine = boot(67);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 3, &a);
    enter(engine, 66, &b);
    let mut freed = Vec::new();
    batch_of(engine, [&a, &b]).finish_with(|frame| freed.push(frame));
    assert_eq!(freed, [0, 1]);
    let handled = |cpu: usize| harts_of(engine).locals[cpu].counters().ipis_handled();
    assert_eq!((handled(3), handled(66), handled(4)), (1, 1, 0));
    let counters = harts_of(engine).locals[0].counters();
    assert_eq!((counters.ipis_sent(), counters.ipis_coalesced()), (2, 0));
}

#[test]
fn frames_of_a_batch_come_out_when_the_last_of_its_spaces_is_done() {
    let engine = boot(3);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    enter(engine, 2, &b);
    let mut queue = Retired::<_, u64, 3>::new(engine);
    assert!(batch_of(engine, [&a, &b]).retire_into(&mut queue).is_ok());
    assert_eq!(queue.room(), 0, "two frames, and a place for the flush of the first space");
    let sets = std::mem::take(&mut *harts_of(engine).sent.lock().unwrap());
    let handle = |cpu| {
        on(engine, cpu, || {
            // SAFETY: 1. nothing interrupts a test; 2. the CPU is in no call of the engine.
            unsafe { engine.handle_ipi() }
        })
    };
    handle(1);
    assert_eq!(queue.reclaim(drop), 0, "CPU 2 has not flushed");
    handle(2);
    assert_eq!((queue.reclaim(drop), sets.len()), (2, 1));
}

#[test]
fn a_batch_is_full_before_anything_is_changed() {
    let engine = boot(2);
    let a = space(engine);
    enter(engine, 1, &a);
    let mut batch = engine.batch::<u64, 2, 1>();
    batch.gather(&a).unwrap().unmapped(page(1), 7).unwrap();
    let refused = batch.gather(&a).err().unwrap();
    assert_eq!(refused, BatchFull { parts: 1, space: a.id() });
    assert_eq!(
        refused.to_string(),
        format!(
            "the batch has 1 parts, and room for none of space {}; finish it and open another",
            a.id().number()
        )
    );
    assert_eq!(batch.room(), 1);
    let mut queue = Retired::<_, u64, 0>::new(engine);
    let (refused, batch) = batch.retire_into(&mut queue).err().unwrap();
    assert_eq!((refused, deliver(engine).len()), (RetireError::NoRoom(1, 0), 0));
    let (refused, batch) =
        batch.defer_into(&mut Retired::<_, u64, 1>::new(boot(1)), Deferral::FOREVER).err().unwrap();
    assert_eq!(refused, RetireError::OtherEngine);
    let mut freed = Vec::new();
    batch.finish_with(|frame| freed.push(frame));
    assert_eq!((freed, ipis(engine)[1]), (vec![7], 1));
}

#[test]
fn a_batch_hands_back_the_frame_that_does_not_fit() {
    let engine = boot(1);
    let a = space(engine);
    let mut batch = engine.batch::<u64, 1, 2>();
    let mut part = batch.gather(&a).unwrap();
    part.unmapped(page(1), 7).unwrap();
    assert_eq!(part.room(), 0);
    assert_eq!(part.table_freed(page(2), 8).err().map(|full| (full.frame, full.range())), Some((8, page(2))));
    part.announce();
    let mut none = engine.gather::<u64, 0>(&a);
    let full = none.table_freed(page(3), 9).expect_err("there is no room");
    none.finish();
    let full = batch.gather(&a).unwrap().resume(full).expect_err("there is none here either");
    assert_eq!((full.frame, full.range()), (9, page(3)));
    let before = a.generation().number();
    drop(batch.gather(&a).unwrap());
    assert_eq!(a.generation().number(), before, "a part that records nothing announces nothing");
    batch.finish();
}

#[test]
fn spaces_of_a_batch_may_end_before_it() {
    let engine = boot(2);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    let batch = batch_of(engine, [&a, &b]);
    on(engine, 1, || engine.enter_lazy());
    engine.retire(&a);
    drop((a, b));
    batch.finish();
}

#[test]
fn a_part_that_is_forgotten_holds_the_frames_for_good() {
    let engine = boot(2);
    let a = space(engine);
    enter(engine, 1, &a);
    let frame = Rc::new(());
    let forgets = || {
        let mut batch = engine.batch::<_, 2, 2>();
        batch.gather(&a).unwrap().unmapped(page(1), frame.clone()).unwrap();
        std::mem::forget(batch.gather(&a).unwrap());
        batch
    };
    let mut queue = Retired::<_, _, 8>::new(engine);
    forgets().finish();
    assert!(forgets().retire_into(&mut queue).is_ok());
    forgets().finish_with(|_| panic!("another CPU may still reach it"));
    assert_eq!((queue.reclaim(drop), Rc::strong_count(&frame)), (0, 4));
    assert!(deliver(engine).is_empty(), "nobody is told of what comes to nothing");
}

#[test]
fn a_batch_that_holds_nothing_takes_no_place() {
    let engine = boot(1);
    let a = space(engine);
    let mut full = Retired::<_, u64, 0>::new(engine);
    let mut batch = engine.batch::<u64, 1, 1>();
    drop(batch.gather(&a).unwrap());
    assert!(batch.retire_into(&mut full).is_ok());
    assert!(engine.batch::<u64, 1, 1>().defer_into(&mut full, Deferral::FOREVER).is_ok());
}

#[test]
fn a_part_of_a_batch_is_open_until_its_flush_is_complete() {
    let engine = boot(2);
    let a = space(engine);
    enter(engine, 1, &a);
    let generation = || a.generation().number();
    let batch = batch_of(engine, [&a]);
    let before = generation();
    engine.gather_within::<u64, 0>(&a, page(0)).finish(); // found the page gone
    assert_eq!(generation(), before + 1, "flushed what the batch has cleared");
    batch.finish();
    engine.gather_within::<u64, 0>(&a, page(0)).finish();
    engine.gather_within::<u64, 0>(&a, page(0)).finish();
    assert_eq!(generation(), before + 1, "there is nothing left to flush");
}

/// Unmaps a page of kernel memory, and lets the frame wait.
fn defer_kernel(engine: &'static Engine, queue: &mut KernelQueue, until: Deferral) {
    let mut gather = engine.kernel().gather::<u64, 1>();
    gather.unmapped(page(1), 7).unwrap();
    assert!(gather.defer_into(queue, until).is_ok());
}

type KernelQueue = Retired<'static, Rootless<Harts, CpuMask<2>, PerCpuSlots<2>>, u64, 4>;

#[test]
fn a_deferred_flush_interrupts_nobody_until_it_is_due() {
    let engine = boot(3);
    let mut queue = Retired::new(engine);
    defer_kernel(engine, &mut queue, Deferral::polls(3));
    on(engine, 1, || engine.catch_up());
    assert_eq!((queue.reclaim(drop), queue.reclaim(drop), deliver(engine).len()), (0, 0, 0));
    assert_eq!(queue.reclaim(drop), 0);
    assert_eq!(deliver(engine), [CpuSet::of(CpuId::new(2))], "CPU 1 has caught up");
    assert_eq!(queue.reclaim(drop), 1);

    defer_kernel(engine, &mut queue, Deferral::polls(0));
    assert_eq!((queue.reclaim(drop), deliver(engine).len()), (0, 1), "at the first look");
    assert_eq!(queue.reclaim(drop), 1);
}

#[test]
fn a_deferred_flush_is_told_of_in_time_behind_one_that_may_wait_for_ever() {
    let engine = boot(2);
    let mut queue = Retired::new(engine);
    defer_kernel(engine, &mut queue, Deferral::FOREVER);
    defer_kernel(engine, &mut queue, Deferral::polls(1));
    assert_eq!((queue.reclaim(drop), deliver(engine).len()), (0, 1), "frames come out in order");
    assert_eq!(queue.reclaim(drop), 2);
}

#[test]
fn a_deferred_flush_that_is_due_interrupts_once() {
    let engine = boot(2);
    let mut queue = Retired::new(engine);
    defer_kernel(engine, &mut queue, Deferral::polls(1));
    for _ in 0..3 {
        assert_eq!(queue.reclaim(drop), 0);
    }
    let counters = harts_of(engine).locals[0].counters();
    assert_eq!((counters.ipis_sent(), counters.ipis_coalesced()), (1, 0));
    deliver(engine);
    assert_eq!(queue.reclaim(drop), 1);
}

#[test]
fn a_deferred_flush_is_complete_when_every_cpu_has_caught_up() {
    let engine = boot(4);
    let a = space(engine);
    for cpu in 1..4 {
        enter(engine, cpu, &a);
    }
    let mut queue = Retired::<_, u64, 2>::new(engine);
    let mut gather = engine.gather::<u64, 1>(&a);
    gather.table_freed(page(1), 7).unwrap();
    assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok());
    on(engine, 1, || engine.catch_up());
    on(engine, 2, || engine.enter_lazy());
    assert_eq!(queue.reclaim(drop), 0);
    on(engine, 2, || engine.catch_up()); // lazy, and a table was freed
    on(engine, 3, || engine.enter_lazy());
    on(engine, 3, || engine.leave());
    assert_eq!((queue.reclaim(drop), ipis(engine)), (1, [0; 4]));
    assert_eq!(on(engine, 2, || engine.exit_lazy()), Ok(()), "CPU 2 was not evicted");
}

#[test]
fn who_waits_for_a_deferred_flush_tells_the_cpus() {
    let engine = boot(3);
    let mut queue = Retired::new(engine);
    defer_kernel(engine, &mut queue, Deferral::FOREVER);
    for _ in 0..100 {
        assert_eq!(queue.reclaim(drop), 0);
    }
    assert!(deliver(engine).is_empty());
    queue.finish_with(drop);
    assert_eq!(ipis(engine), [0, 1, 1, 0]);
}

#[test]
fn a_cpu_that_polls_for_a_thread_that_moved_catches_up_itself() {
    let engine = boot(2);
    let mut queue = Retired::new(engine);
    defer_kernel(engine, &mut queue, Deferral::polls(1));
    on(engine, 1, || assert_eq!(queue.reclaim(drop), 0));
    assert_eq!((queue.reclaim(drop), deliver(engine).len()), (1, 0), "CPU 1 needed no IPI");
}

#[test]
fn a_gather_that_is_not_deferred_comes_back_open() {
    let engine = boot(2);
    let mut gather = engine.kernel().gather::<u64, 1>();
    gather.unmapped(page(1), 7).unwrap();
    let (refused, gather) =
        gather.defer_into(&mut Retired::<_, _, 0>::new(engine), Deferral::FOREVER).err().unwrap();
    assert_eq!(refused, RetireError::NoRoom(1, 0));
    let other = boot(1);
    let (refused, gather) =
        gather.defer_into(&mut Retired::<_, _, 1>::new(other), Deferral::FOREVER).err().unwrap();
    assert_eq!((refused, ipis(engine)[1]), (RetireError::OtherEngine, 0));
    gather.finish();
    assert_eq!(ipis(engine)[1], 1);
}

#[test]
fn a_part_of_a_batch_flushes_what_only_changed() {
    let engine = boot(2);
    let a = space(engine);
    enter(engine, 1, &a);
    let mut batch = engine.batch::<u64, 1, 1>();
    let mut part = batch.gather(&a).unwrap();
    part.changed(page(3));
    part.announce();
    batch.finish();
    let flushes = harts_of(engine).flushes.lock().unwrap();
    assert_eq!(
        flushes.iter().map(|(cpu, what)| (*cpu, what.request.range())).collect::<Vec<_>>(),
        [(1, Some(page(3)))]
    );
}

#[test]
fn a_deferred_batch_is_told_of_when_it_is_due() {
    let engine = boot(2);
    let a = space(engine);
    enter(engine, 1, &a);
    let mut queue = Retired::<_, u64, 1>::new(engine);
    assert!(batch_of(engine, [&a]).defer_into(&mut queue, Deferral::polls(2)).is_ok());
    assert_eq!((queue.reclaim(drop), deliver(engine).len()), (0, 0));
    assert_eq!((queue.reclaim(drop), deliver(engine).len()), (0, 1));
    assert_eq!(queue.reclaim(drop), 1);
}

#[test]
fn frames_that_are_retired_hurry_no_deferred_flush() {
    let engine = boot(3);
    let (a, b) = (space(engine), space(engine));
    enter(engine, 1, &a);
    enter(engine, 2, &b);
    for in_batch in [true, false] {
        let mut queue = Retired::<_, u64, 2>::new(engine);
        assert!(batch_of(engine, [&a]).defer_into(&mut queue, Deferral::FOREVER).is_ok());
        if in_batch {
            assert!(batch_of(engine, [&b]).retire_into(&mut queue).is_ok());
        } else {
            let mut gather = engine.gather::<u64, 1>(&b);
            gather.unmapped(page(1), 7).unwrap();
            assert!(gather.send().retire_into(&mut queue).is_ok());
        }
        assert_eq!(deliver(engine), [CpuSet::of(CpuId::new(2))]);
        assert_eq!((queue.reclaim(drop), deliver(engine).len()), (0, 0), "CPU 1 may take its time");
        on(engine, 1, || engine.catch_up());
        assert_eq!(queue.reclaim(drop), 2);
    }
}

#[test]
fn a_deferred_flush_without_frames_takes_a_place() {
    let engine = boot(2);
    let mut gather = engine.kernel().gather::<u64, 1>();
    gather.changed(page(1));
    let (refused, gather) =
        gather.defer_into(&mut Retired::<_, _, 0>::new(engine), Deferral::FOREVER).err().unwrap();
    assert_eq!(refused, RetireError::NoRoom(1, 0));
    gather.finish();
}

#[test]
fn frames_of_a_batch_go_that_a_callback_which_unwinds_has_left() {
    let engine = boot(1);
    let a = space(engine);
    let frame = Rc::new(());
    let mut batch = engine.batch::<_, 3, 1>();
    let mut part = batch.gather(&a).unwrap();
    (0..3).for_each(|number| part.unmapped(page(number), frame.clone()).unwrap());
    part.announce();
    assert_eq!(format!("{batch:?}"), "Batch { held: 3, parts: 1, .. }");
    let unwinds = || batch.finish_with(|_| panic!("a frame is refused"));
    catch_unwind(AssertUnwindSafe(unwinds)).expect_err("the callback unwinds");
    assert_eq!(Rc::strong_count(&frame), 1);
}

#[test]
fn a_thread_that_defers_a_flush_stays_on_its_cpu_until_that_has_flushed() {
    let engine = boot(2);
    let a = space(engine);
    enter(engine, 1, &a);
    let stays: fn(&Engine) = |_| assert_ne!(PREEMPTION.get(), 0, "this thread may go on elsewhere");
    harts_of(engine).meanwhile.lock().unwrap().push(stays);
    let mut queue = Retired::<_, u64, 1>::new(engine);
    let mut gather = engine.gather::<u64, 1>(&a);
    gather.unmapped(page(1), 7).unwrap();
    on(engine, 1, || assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok()));
    assert!(harts_of(engine).meanwhile.lock().unwrap().is_empty(), "CPU 1 has flushed");
    assert_eq!(queue.reclaim(drop), 1);
}

#[test]
fn a_flush_that_is_due_hurries_those_before_it_where_the_queue_has_gone_round_too() {
    let engine = boot(2);
    let mut queue = Retired::new(engine);
    for _ in 0..2 {
        defer_kernel(engine, &mut queue, Deferral::FOREVER);
    }
    on(engine, 1, || engine.catch_up());
    assert_eq!(queue.reclaim(drop), 2);
    for until in [Deferral::FOREVER, Deferral::FOREVER, Deferral::polls(1)] {
        assert_eq!(queue.is_empty(), queue.room() == 4);
        defer_kernel(engine, &mut queue, until);
    }
    assert_eq!((queue.reclaim(drop), deliver(engine).len()), (0, 1));
    assert_eq!(queue.reclaim(drop), 3);
}

#[test]
fn a_gather_of_kernel_memory_covers_beside_another_what_its_caller_may_look_at() {
    let engine = boot(2);
    let other = engine.kernel().gather::<u64, 1>();
    let flushed = || {
        let flushes = std::mem::take(&mut *harts_of(engine).flushes.lock().unwrap());
        flushes.iter().filter(|(cpu, _)| *cpu == 1).map(|(_, what)| what.request).collect::<Vec<_>>()
    };
    engine.kernel().gather::<u64, 1>().finish();
    assert_eq!(flushed(), [FlushRequest::all()]);
    engine.kernel().gather_within::<u64, 1>(page(3)).finish();
    assert_eq!(flushed(), [FlushRequest::pages(page(3)).tables_freed()]);
    other.finish();
}
