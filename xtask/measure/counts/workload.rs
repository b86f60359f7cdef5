//! What runs under callgrind: each operation many times over, in a function of its own.

use super::host::{Host, Stage, Watched};
use core::hint::black_box;
use shootdown::flush::{FlushRequest, PageRange, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::UserRef;
use shootdown::sanitizer::{Checked, Counts};
use shootdown::tags::{PerCpuSlots, TagPolicy, Untagged};
use shootdown::{AddressSpace, CpuLocal, Shootdown};

/// How often each operation runs; all runs must cost the same.
pub const REPEATS: u64 = 64;

/// A machine without tags.
type Plain = Host<Untagged, false, 0>;
/// The same, where the target of an IPI handles it at once.
type Answering<const ANSWER: u8> = Host<Untagged, false, ANSWER>;
/// A machine with tags.
type Tagged = Host<PerCpuSlots<6>, false, 0>;
/// The same, where a CPU stays in the masks of spaces that it leaves.
type Kept = Host<PerCpuSlots<6>, true, 0>;

/// Those on which a sanitizer watches.
type WatchedPlain = Watched<Untagged, false, 0>;
type WatchedAnswering<const ANSWER: u8> = Watched<Untagged, false, ANSWER>;
type WatchedTagged = Watched<PerCpuSlots<6>, false, 0>;

type Engine<P> = Shootdown<P>;
type User<P> = UserRef<'static, P>;

/// Makes functions that are called, never inlined, and never merged with one another: one for each platform that is
/// named, all with the same body.
macro_rules! measured {
    ($([$($name:ident: $platform:ty),+] $arguments:tt $body:block)*) => {$($(
        measured! { @ $name, $platform, $arguments, $body }
    )+)*};
    (@ $name:ident, $platform:ty, ($engine:ident $(, $space:ident: $kind:ident $(, $page:ident: $pages:ty)?)?), $body:block) => {
        #[inline(never)]
        fn $name($engine: &Engine<$platform> $(, $space: &$kind<$platform> $(, $page: $pages)?)?) {
            // SAFETY: a comment executes nothing; it makes the function unlike those with the same body.
            unsafe {
                core::arch::asm!(concat!("/* ", stringify!($name), " */"), options(nomem, nostack, preserves_flags));
            }
            $body
        }
    };
}

measured! {
    [measured_same_space: Plain, watched_same_space: WatchedPlain] (engine, next: User) {
        engine.switch_to(next);
    }
    [
        measured_other_untagged: Plain, watched_other_untagged: WatchedPlain,
        measured_other_tagged: Tagged, watched_other_tagged: WatchedTagged, measured_other_kept: Kept
    ] (engine, next: User) {
        engine.switch_to(next);
    }
    [measured_lazy_round: Plain, watched_lazy_round: WatchedPlain] (engine, next: User) {
        engine.enter_lazy();
        engine.switch_to(next);
    }
    [
        measured_local_flush: Plain, watched_local_flush: WatchedPlain,
        measured_target_flush: Answering<1>, watched_target_flush: WatchedAnswering<3>
    ] (engine, space: AddressSpace, page: PageRange) {
        engine.flush(space, FlushRequest::pages(page));
    }
    [measured_handler: Plain, watched_handler: WatchedPlain] (engine) {
        // SAFETY: 1. there are no interrupts; 2. no call of the engine is at work on the CPU that is played.
        unsafe { engine.handle_ipi() };
    }
    [measured_borrow: Plain, measured_borrow_other: Plain] (engine, space: User) {
        drop(engine.borrow(space));
    }
    [
        measured_gather: Plain, watched_gather: WatchedPlain,
        measured_target_gather: Answering<2>, watched_target_gather: WatchedAnswering<4>
    ] (engine, space: AddressSpace, page: PageRange) {
        let mut gather = engine.gather::<u64, 1>(space);
        let _ = gather.unmapped(page, 1);
        gather.finish();
    }
}

/// Runs every operation [`REPEATS`] times.
pub fn run() {
    let plain = || engine(host::<Untagged, false, 0>(Untagged));
    same_space(plain(), measured_same_space);
    there_and_back(plain(), measured_other_untagged);
    there_and_back(engine(host::<PerCpuSlots<6>, false, 0>(PerCpuSlots)), measured_other_tagged);
    there_and_back(engine(host::<PerCpuSlots<6>, true, 0>(PerCpuSlots)), measured_other_kept);
    lazy(plain(), measured_lazy_round);
    borrowed(plain());
    local(plain(), measured_local_flush);
    local(plain(), measured_gather);
    target(engine(host::<Untagged, false, 1>(Untagged)), measured_target_flush);
    target(engine(host::<Untagged, false, 2>(Untagged)), measured_target_gather);
    handler(plain(), measured_handler);
    run_watched();
    super::coherent::run();
}

fn run_watched() {
    let plain = || engine(Checked::new(host::<Untagged, false, 0>(Untagged), Counts));
    same_space(plain(), watched_same_space);
    there_and_back(plain(), watched_other_untagged);
    let tagged = Checked::new(host::<PerCpuSlots<6>, false, 0>(PerCpuSlots), Counts);
    there_and_back(engine(tagged), watched_other_tagged);
    lazy(plain(), watched_lazy_round);
    local(plain(), watched_local_flush);
    local(plain(), watched_gather);
    target(engine(Checked::new(host::<Untagged, false, 3>(Untagged), Counts)), watched_target_flush);
    target(engine(Checked::new(host::<Untagged, false, 4>(Untagged), Counts)), watched_target_gather);
    handler(plain(), watched_handler);
}

fn host<T, const KEEP: bool, const ANSWER: u8>(tags: T) -> Host<T, KEEP, ANSWER>
where
    T: TagPolicy + 'static,
{
    Host::new(tags, core::array::from_fn(|_| &*Box::leak(Box::new(CpuLocal::new()))))
}

/// Makes an engine on a machine of its own, with all CPUs on line.
fn engine<P: Stage>(platform: P) -> &'static Engine<P> {
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(platform, CpuMask::new())));
    engine.platform().connect(engine);
    for cpu in [1, 0] {
        engine.platform().play(cpu);
        engine.online_cpu().expect("the mask holds both CPUs");
    }
    engine
}

/// Makes a space of `engine`.
fn space<P: Stage>(engine: &'static Engine<P>, root: u64) -> User<P> {
    let space = engine.new_space(root, CpuMask::new()).expect("both masks hold as many CPUs");
    let registered = engine.register(Box::leak(Box::new(space)));
    registered.map_err(|(refused, _)| refused).expect("the space is new")
}

pub fn page() -> PageRange {
    black_box(PageRange::page(VirtAddr(0x7000)))
}

fn same_space<P: Stage>(engine: &'static Engine<P>, switch: fn(&Engine<P>, &User<P>)) {
    let user = space(engine, 0x3000);
    engine.switch_to(&user);
    for _ in 0..REPEATS {
        switch(black_box(engine), black_box(&user));
    }
}

fn there_and_back<P: Stage>(engine: &'static Engine<P>, switch: fn(&Engine<P>, &User<P>)) {
    let (here, there) = (space(engine, 0x1000), space(engine, 0x2000));
    engine.switch_to(&there);
    engine.switch_to(&here);
    for _ in 0..REPEATS {
        switch(black_box(engine), black_box(&there));
        engine.switch_to(&here);
    }
}

fn lazy<P: Stage>(engine: &'static Engine<P>, round: fn(&Engine<P>, &User<P>)) {
    let user = space(engine, 0x1000);
    engine.switch_to(&user);
    for _ in 0..REPEATS {
        round(black_box(engine), black_box(&user));
    }
}

fn borrowed(engine: &'static Engine<Plain>) {
    let (user, other) = (space(engine, 0x1000), space(engine, 0x2000));
    engine.switch_to(&user);
    for _ in 0..REPEATS {
        engine.enter_lazy();
        measured_borrow(black_box(engine), black_box(&user));
        engine.switch_to(&user);
    }
    for _ in 0..REPEATS {
        engine.enter_lazy();
        measured_borrow_other(black_box(engine), black_box(&other));
        engine.switch_to(&user);
    }
}

fn local<P: Stage>(engine: &'static Engine<P>, flush: fn(&Engine<P>, &AddressSpace<P>, PageRange)) {
    let user = space(engine, 0x1000);
    engine.switch_to(&user);
    for _ in 0..REPEATS {
        flush(black_box(engine), black_box(&user), page());
    }
}

fn target<P: Stage>(engine: &'static Engine<P>, flush: fn(&Engine<P>, &AddressSpace<P>, PageRange)) {
    let user = space(engine, 0x1000);
    for cpu in [1, 0] {
        engine.platform().play(cpu);
        engine.switch_to(&user);
    }
    for _ in 0..REPEATS {
        flush(black_box(engine), black_box(&user), page());
    }
}

fn handler<P: Stage>(engine: &'static Engine<P>, handle_ipi: fn(&Engine<P>)) {
    let user = space(engine, 0x1000);
    for cpu in [0, 1] {
        engine.platform().play(cpu);
        engine.switch_to(&user);
    }
    for _ in 0..REPEATS {
        engine.platform().play(1);
        let pending = engine.send(&user, FlushRequest::pages(page()));
        engine.platform().play(0);
        handle_ipi(black_box(engine));
        // The wait is over before it begins.
        engine.platform().play(1);
        pending.finish();
    }
}
