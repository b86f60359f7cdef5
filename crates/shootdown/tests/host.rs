//! What embedders see of the engine, on a host platform where the test says which CPU runs.

use shootdown::flush::{FlushRequest, Full, Gather, LocalFlush, PageRange, PageSize, VirtAddr};
use shootdown::mask::{BorrowedMask, MaskWord, mask_words};
use shootdown::refs::{SpaceExited, Teardown, TeardownHandle, UserRef};
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::trace::{Counters, Event};
use shootdown::{AddressSpace, CpuId, CpuLocal, EngineError, Platform, Shootdown};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Words of mask lent at run time, 64 CPUs each.
type Mask = BorrowedMask<'static>;

/// Polls of one wait after which the test has hung.
const FOR_EVER: u64 = 1_000;

#[derive(Default)]
struct Log {
    flushes: Vec<(u32, LocalFlush)>,
    installs: Vec<(u32, Option<u64>)>,
    ipis_sent: Vec<u32>,
    freed_roots: Vec<u64>,
    events: Vec<Event>,
    /// At each acknowledgement of a flush: the CPU, and how many flushes had been carried out.
    caught_up: Vec<(u32, usize)>,
    /// At each time that page-table stores were handed to walkers: how many IPIs had been sent.
    published: Vec<usize>,
}

struct Host {
    cpus: Vec<CpuLocal>,
    cpu: AtomicU32,
    /// Polls of a wait before the targets of IPIs handle them.
    answer_after: AtomicU64,
    stalls: AtomicUsize,
    /// A CPU that the platform answers for, or one that there is not.
    answered_for: AtomicU32,
    deferred: RefCell<Vec<TeardownHandle<Host>>>,
    log: RefCell<Log>,
    engine: std::cell::OnceCell<&'static Shootdown<Host>>,
}

// SAFETY: the tests are single-threaded; a platform is shared between its test's "CPUs" alone.
unsafe impl Sync for Host {}

// SAFETY: 1. the test sets the number; 2. a fixed vector; 3. one thread; 4. there is no TLB; 5. the target of an IPI handles
// it when the waiter relaxes; 6. never done.
unsafe impl Platform for Host {
    type Root = u64;
    type Mask = Mask;
    type Handle = &'static AddressSpace<Host>;
    type Tags = PerCpuSlots<2>;
    type Pin = ();
    const STALL_POLLS: u64 = 4;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(self.cpu.load(Relaxed))
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    fn tags(&self) -> &PerCpuSlots<2> {
        &PerCpuSlots
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.log.borrow_mut().flushes.push((self.cpu.load(Relaxed), what));
    }
    unsafe fn install(&self, root: Option<u64>, _: Tag, _: OnInstall) {
        self.log.borrow_mut().installs.push((self.cpu.load(Relaxed), root));
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.log.borrow_mut().ipis_sent.push(cpu.number());
    }
    unsafe fn free_root(&self, space: &AddressSpace<Self>) {
        self.log.borrow_mut().freed_roots.push(space.root());
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.deferred.borrow_mut().push(teardown.into_handle());
    }
    fn needs_ack(&self, cpu: CpuId) -> bool {
        cpu.number() != self.answered_for.load(Relaxed)
    }
    fn publish_tables(&self) {
        let mut log = self.log.borrow_mut();
        let ipis_sent = log.ipis_sent.len();
        log.published.push(ipis_sent);
    }
    fn relax(&self, polls: u64) {
        assert!(polls < FOR_EVER, "a wait goes on for ever");
        if polls >= self.answer_after.load(Relaxed) {
            let pending_ipis = std::mem::take(&mut self.log.borrow_mut().ipis_sent);
            for cpu in pending_ipis {
                self.handle_ipi(cpu);
            }
        }
    }
    fn stalled(&self, _: CpuId, _: u64) {
        self.stalls.fetch_add(1, Relaxed);
    }
    fn event(&self, event: Event) {
        let mut log = self.log.borrow_mut();
        if let Event::CaughtUp(..) = event {
            let flushes = log.flushes.len();
            log.caught_up.push((self.cpu.load(Relaxed), flushes));
        }
        log.events.push(event);
    }
}

impl Host {
    fn engine(&self) -> &'static Shootdown<Host> {
        self.engine.get().expect("the engine is made first")
    }

    /// The IPI handler of CPU `cpu`.
    fn handle_ipi(&self, cpu: u32) {
        // SAFETY: 1. nothing interrupts the thread that plays the CPUs; 2. no call of the engine is at work on this one.
        self.on(cpu, || unsafe { self.engine().handle_ipi() });
    }

    /// Runs `body` as CPU `cpu`.
    fn on<R>(&self, cpu: u32, body: impl FnOnce() -> R) -> R {
        let before = self.cpu.swap(cpu, Relaxed);
        let answer = body();
        self.cpu.store(before, Relaxed);
        answer
    }

    fn counters(&self, cpu: u32) -> &Counters {
        self.cpus[cpu as usize].counters()
    }
}

fn mask(words: usize) -> Mask {
    BorrowedMask::new(Vec::leak((0..words).map(|_| MaskWord::new()).collect()))
}

/// A machine with `cpus` CPUs, of which 128 have room in its masks and are on line.
fn machine(cpus: u32) -> &'static Shootdown<Host> {
    machine_with(cpus, 2)
}

fn machine_with(cpus: u32, words: usize) -> &'static Shootdown<Host> {
    let host = Host {
        cpus: (0..cpus).map(|_| CpuLocal::new()).collect(),
        cpu: AtomicU32::new(0),
        answer_after: AtomicU64::new(0),
        stalls: AtomicUsize::new(0),
        answered_for: AtomicU32::new(u32::MAX),
        deferred: RefCell::default(),
        log: RefCell::default(),
        engine: std::cell::OnceCell::new(),
    };
    let engine = Box::leak(Box::new(Shootdown::new(host, mask(words))));
    assert!(engine.platform().engine.set(engine).is_ok());
    for cpu in 0..cpus.min(64 * words as u32) {
        engine.platform().on(cpu, || engine.online_cpu()).expect("fits");
    }
    engine
}

fn space(engine: &'static Shootdown<Host>, root: u64) -> UserRef<'static, Host> {
    space_with(engine, root, 2)
}

fn space_with(engine: &'static Shootdown<Host>, root: u64, words: usize) -> UserRef<'static, Host> {
    let space = Box::leak(Box::new(engine.new_space(root, mask(words)).expect("the mask is large enough")));
    engine.register(space).expect("registered once")
}

fn page(number: u64) -> PageRange {
    PageRange::page(VirtAddr(number << 12))
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
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
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
    let engine = machine(100);
    let host = engine.platform();
    let (a, b) = (space(engine, 0xa000), space(engine, 0xb000));
    engine.switch_to(&a);
    host.on(70, || engine.switch_to(&a));
    host.on(71, || engine.switch_to(&b));
    host.on(99, || {
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
    assert_eq!(host.counters(99).evictions(), 1);
    for user in [a, b] {
        let _ = user.into_handle();
    }
}

#[test]
fn frames_are_held_until_the_flush_is_complete_and_handed_back_when_full() {
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
    engine.switch_to(&a);
    host.on(1, || engine.switch_to(&a));
    let freed = RefCell::default();
    let mut gather = engine.gather::<Frame, 2>(&a);
    gather.unmapped(page(1), Frame(1, &freed)).expect("first of two");
    gather.unmapped(page(2), Frame(2, &freed)).expect("second of two");
    let Err(Full(third)) = gather.unmapped(page(3), Frame(3, &freed)) else { panic!("two fit, not three") };
    assert_eq!(third.0, 3);
    let pending = gather.send();
    assert!(freed.borrow().is_empty(), "CPU 1 has not answered");
    assert_eq!(host.log.borrow().ipis_sent, [1]);
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
fn a_gather_beside_another_flushes_what_it_looked_at_and_no_more() {
    let engine = machine(1);
    let host = engine.platform();
    let user = space(engine, 1);
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
    let engine = machine(1);
    let host = engine.platform();
    let user = space(engine, 1);
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
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
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
    assert!(host.log.borrow().freed_roots.is_empty(), "a struct reference is left");
    drop(pin);
    assert_eq!(host.log.borrow().freed_roots, [0xa000]);
    assert_eq!(host.log.borrow().installs.last(), Some(&(0, None)), "the lazy CPU left it first");
    assert!(host.log.borrow().events.iter().any(|event| matches!(event, Event::RootFreed(_))));
}

#[test]
fn a_late_target_is_reported_sent_another_ipi_and_waited_for() {
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
    engine.switch_to(&a);
    host.on(1, || engine.switch_to(&a));
    host.answer_after.store(9, Relaxed);
    engine.flush(&a, FlushRequest::all());
    assert_eq!(host.stalls.load(Relaxed), 2, "at 4 polls and at 8");
    assert_eq!(host.counters(0).stalls(), 2);
    assert_eq!(host.counters(1).ipis_handled(), 1);
    let _ = a.into_handle();
}

#[test]
fn a_warm_tag_is_kept_and_catches_up_by_range() {
    let engine = machine(2);
    let host = engine.platform();
    let (a, b) = (space(engine, 0xa000), space(engine, 0xb000));
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
    let engine = machine(1);
    let (a, b) = (space(engine, 0xa000), space(engine, 0xb000));
    engine.switch_to(&a);
    assert_eq!(engine.borrow(&b).err(), Some(EngineError::NotAKernelThread(CpuId::new(0))));
    let look = || engine.platform().log.borrow().installs.last().copied();
    // SAFETY: 1. `a` lives on.
    let seen = unsafe { engine.with_temporary_space(&b, look) };
    assert_eq!(seen, Some((0, Some(0xb000))));
    assert_eq!(engine.platform().log.borrow().installs.last(), Some(&(0, Some(0xa000))));
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
    let engine = machine(1);
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
    let refused = wide.platform().on(128, || wide.online_cpu());
    assert_eq!(refused, Err(EngineError::CpuTooLarge(CpuId::new(128), 128)));
    assert_eq!(
        refused.expect_err("as above").to_string(),
        "CPU 128 does not fit a mask of 128 CPUs; give the machine a larger mask"
    );
}

#[test]
fn a_cpu_that_went_off_line_is_not_waited_for_and_comes_back_clean() {
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
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
    host.answer_after.store(u64::MAX, Relaxed);
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
    // Under Miri a few hundred: as many words as have a summary, and more.
    const CPUS: u32 = if cfg!(miri) { 256 } else { 4_096 };
    let words = mask_words(CPUS);
    assert_eq!(words, CPUS as usize / 64);
    let engine = machine_with(CPUS, words);
    let host = engine.platform();
    let user = space_with(engine, 0x1000, words);
    for cpu in [0, 64, CPUS - 1] {
        host.on(cpu, || engine.switch_to(&user));
    }
    let other = space_with(engine, 0x2000, words);
    host.on(64, || engine.switch_to(&other));
    let pending = engine.send(&user, FlushRequest::pages(page(1)));
    assert_eq!(host.log.borrow().ipis_sent, [CPUS - 1], "CPU 64 has left");
    pending.finish();
    host.on(64, || engine.switch_to(&user));
    let pending = engine.send(&user, FlushRequest::pages(page(2)));
    assert_eq!(host.log.borrow().ipis_sent, [64, CPUS - 1], "CPU 64 is back, under a mark that was there");
    pending.finish();
}

#[test]
fn kernel_memory_is_flushed_on_every_cpu_of_a_wide_machine() {
    let engine = machine_with(200, mask_words(200));
    let host = engine.platform();
    host.on(130, || engine.offline_cpu());
    engine.flush_kernel(FlushRequest::pages(page(1)));
    let kernel = LocalFlush { tag: None, request: FlushRequest::pages(page(1)) };
    let flushed = |cpu: u32| host.log.borrow().flushes.iter().any(|(on, what)| *on == cpu && *what == kernel);
    assert!((0..200).all(|cpu| flushed(cpu) != (cpu == 130)));
}

#[test]
fn spaces_that_cpus_make_in_turn_have_identities_of_their_own() {
    let engine = machine(3);
    let make =
        |cpu| engine.platform().on(cpu, || engine.new_space(0x1000, mask(2)).expect("large enough").id());
    let spaces = if cfg!(miri) { 200 } else { 600 };
    let made: Vec<_> = (0..spaces).map(|turn| make([0, 1, 0, 2, 0][turn % 5])).collect();
    let mut numbers: Vec<_> = made.iter().map(|id| id.number()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), made.len());
    assert_ne!(numbers[0], 0, "no space");
}

#[test]
fn a_cpu_counts_its_identities_on_until_its_block_ends() {
    let engine = machine(2);
    let make = |cpu| {
        let space = engine.platform().on(cpu, || engine.new_space(0x1000, mask(2)).expect("large enough"));
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
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    host.log.borrow_mut().flushes.clear();
    engine.flush(&a, FlushRequest::pages(page(5)));
    assert_eq!(host.log.borrow().caught_up, [(0, 1), (1, 2)]);
    let _ = a.into_handle();
}

#[test]
fn page_table_stores_are_handed_to_walkers_before_anybody_is_kicked() {
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    engine.send(&a, FlushRequest::pages(page(5))).finish();
    engine.send_kernel(FlushRequest::pages(page(6))).finish();
    let ipis = host.counters(0).ipis_sent();
    assert_eq!((host.log.borrow().published.as_slice(), ipis), ([0, 0].as_slice(), 2));
    let _ = a.into_handle();
}

#[test]
fn a_cpu_that_the_platform_answers_for_is_not_waited_for() {
    let engine = machine(2);
    let host = engine.platform();
    let a = space(engine, 0xa000);
    (0..2).for_each(|cpu| host.on(cpu, || engine.switch_to(&a)));
    host.answered_for.store(1, Relaxed);
    host.answer_after.store(u64::MAX, Relaxed);
    engine.flush_kernel(FlushRequest::pages(page(6)));
    engine.flush(&a, FlushRequest::pages(page(5)));
    assert_eq!((host.stalls.load(Relaxed), host.counters(1).ipis_handled()), (0, 0));
    let _ = a.into_handle();
}

#[test]
fn a_change_without_a_frame_is_flushed() {
    let engine = machine(1);
    let host = engine.platform();
    let a = space(engine, 0xa000);
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
    let engine = machine(1);
    let a = space(engine, 0xa000);
    let (second, pins) = (a.clone(), [a.grab(), a.grab()]);
    assert_eq!(a.users(), 2);
    assert!(second.put().is_none());
    assert_eq!(a.users(), 1);
    drop(pins);
    let _ = a.into_handle();
}

#[test]
fn a_trim_takes_the_space_from_a_kernel_thread_here_and_from_no_user_code() {
    let engine = machine(1);
    let host = engine.platform();
    let a = space(engine, 0xa000);
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
    let engine = machine(1);
    let a = space(engine, 0xa000);
    let counters = || engine.platform().counters(0);
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
    let engine = machine(1);
    let host = engine.platform();
    let (a, b) = (space(engine, 0xa000), space(engine, 0xb000));
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
