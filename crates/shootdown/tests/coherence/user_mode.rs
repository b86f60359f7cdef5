//! CPUs in user mode, which flushes of kernel memory pass over.

use super::*;
use shootdown::flush::Deferral;

/// Has `cpu` run user code.
fn go_to_user(engine: &Engine, cpu: u32) {
    // SAFETY: 1. to 3. nothing interrupts a test, and no memory is unmapped.
    on(engine, cpu, || unsafe { engine.enter_user() });
}

/// Has `cpu` come back into the kernel.
fn come_back(engine: &Engine, cpu: u32) {
    // SAFETY: 1. and 2. nothing interrupts a test.
    on(engine, cpu, || unsafe { engine.exit_user() });
}

/// Has an NMI arrive here, whose handler does `handler`.
fn nmi<R>(engine: &Engine, handler: impl FnOnce() -> R) -> R {
    // SAFETY: 1. nothing interrupts a test; 2. handlers call the engine on other CPUs alone; 3. a flush is an entry of a list.
    unsafe { engine.in_nmi(handler) }
}

/// What CPU 1 has flushed since this was asked last.
fn flushes(engine: &Engine) -> Vec<LocalFlush> {
    let all = std::mem::take(&mut *harts_of(engine).flushes.lock().unwrap());
    all.into_iter().filter_map(|(cpu, what)| (cpu == 1).then_some(what)).collect()
}

fn kernel_page(number: u64) -> LocalFlush {
    LocalFlush { tag: None, request: FlushRequest::pages(page(number)) }
}

#[test]
fn a_cpu_in_user_mode_is_neither_interrupted_nor_waited_for_and_flushes_as_it_comes_back() {
    let engine = boot(3);
    go_to_user(engine, 1);
    for number in [1, 2] {
        engine.flush_kernel(FlushRequest::pages(page(number)));
    }
    let counters = |cpu: usize| harts_of(engine).locals[cpu].counters();
    assert_eq!((counters(0).ipis_sent(), counters(0).ipis_avoided(), counters(2).ipis_handled()), (2, 2, 2));
    assert_eq!(flushes(engine), []);
    come_back(engine, 1);
    assert_eq!(flushes(engine), [kernel_page(1), kernel_page(2)]);
    come_back(engine, 1);
    assert_eq!(flushes(engine), [], "nothing was missed since");
    engine.flush_kernel(FlushRequest::pages(page(3)));
    assert_eq!(counters(1).ipis_handled(), 1, "it is in the kernel");
}

#[test]
fn a_flush_that_frees_kernel_tables_interrupts_a_cpu_in_user_mode() {
    let engine = boot(2);
    go_to_user(engine, 1);
    let mut ticket = engine.send_kernel(FlushRequest::pages(page(1)).tables_freed()).detach();
    assert_eq!(*harts_of(engine).sent.lock().unwrap(), [CpuSet::of(CpuId::new(1))]);
    assert_eq!(engine.is_complete(&mut ticket), Ok(false));
    come_back(engine, 1);
    go_to_user(engine, 1);
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));
}

#[test]
fn a_flush_of_a_space_interrupts_a_cpu_that_runs_its_user_code() {
    let engine = boot(2);
    let space = space(engine);
    enter(engine, 1, &space);
    go_to_user(engine, 1);
    let mut ticket = engine.send(&space, FlushRequest::pages(page(1))).detach();
    assert_eq!(engine.is_complete(&mut ticket), Ok(false));
    come_back(engine, 1); // as every handler does
    assert_eq!(deliver(engine), [CpuSet::of(CpuId::new(1))]);
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));
}

#[test]
fn kernel_frames_that_wait_in_a_queue_disturb_no_cpu_in_user_mode() {
    let engine = boot(2);
    go_to_user(engine, 1);
    let mut queue = Retired::<_, u64, 4>::new(engine);
    let open = |frame| {
        let mut gather = engine.kernel().gather::<u64, 1>();
        gather.unmapped(page(frame), frame).unwrap();
        gather
    };
    assert!(open(1).send().retire_into(&mut queue).is_ok());
    // Those that were retired are complete: this one need not flush for them all that it has looked at.
    assert!(open(2).send().retire_into(&mut queue).is_ok());
    assert!(open(3).defer_into(&mut queue, Deferral::polls(0)).is_ok());
    assert_eq!((queue.reclaim(drop), deliver(engine).len()), (3, 0));
    come_back(engine, 1);
    assert_eq!(flushes(engine), [1, 2, 3].map(kernel_page));
}

#[test]
fn an_nmi_flushes_what_its_cpu_has_missed_and_leaves_it_in_user_mode() {
    let engine = boot(2);
    go_to_user(engine, 1);
    assert_eq!(on(engine, 1, || nmi(engine, || 7)), 7);
    assert_eq!(flushes(engine), [], "nothing was missed");
    engine.flush_kernel(FlushRequest::pages(page(1)));
    let mut ticket = on(engine, 1, || {
        nmi(engine, || on(engine, 0, || engine.send_kernel(FlushRequest::pages(page(2))).detach()))
    });
    assert_eq!(flushes(engine), [LocalFlush::EVERYTHING]);
    assert_eq!(
        *harts_of(engine).sent.lock().unwrap(),
        [CpuSet::of(CpuId::new(1))],
        "its handler was in the kernel"
    );
    assert_eq!(engine.is_complete(&mut ticket), Ok(true), "the handler is over");
    come_back(engine, 1);
    assert_eq!(flushes(engine), [1, 2].map(kernel_page));
}

#[test]
fn an_nmi_amid_a_catch_up_acknowledges_nothing() {
    let engine = boot(2);
    let amid: fn(&Engine) = |engine| {
        on(engine, 0, || std::mem::forget(engine.send_kernel(FlushRequest::pages(page(2)))));
        nmi(engine, || ());
    };
    let mut ticket = engine.send_kernel(FlushRequest::pages(page(1))).detach();
    harts_of(engine).meanwhile.lock().unwrap().push(amid);
    on(engine, 1, || engine.catch_up());
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));
    assert_eq!(flushes(engine), [kernel_page(1), LocalFlush::EVERYTHING]);
    on(engine, 1, || engine.catch_up());
    assert_eq!(flushes(engine), [kernel_page(2)], "it has said nothing of the second flush");
}

#[test]
fn an_entry_whose_flush_unwinds_is_made_up_for_after_a_stall() {
    let engine = boot(2);
    let harts = harts_of(engine);
    go_to_user(engine, 1);
    let flush = engine.send_kernel(FlushRequest::pages(page(1)));
    assert_eq!(*harts.sent.lock().unwrap(), [], "nothing was asked of it");
    harts.meanwhile.lock().unwrap().push(|_| panic!("a flush fails"));
    catch_unwind(AssertUnwindSafe(|| come_back(engine, 1))).expect_err("the entry unwinds");
    harts.me.store(0, Relaxed);
    flush.finish();
    assert_eq!(*harts.stalled.lock().unwrap(), [(CpuId::new(1), Harts::STALL_POLLS)]);
}
