//! What runs under callgrind: each operation many times over, in a function of its own.

use crate::host::Host;
use core::hint::black_box;
use shootdown::{
    AddressSpace, CpuLocal, CpuMask, PageRange, PerCpuSlots, Platform, Scope, Shootdown, Tables, TagPolicy,
    Untagged, UserRef, VirtAddr,
};

/// How often each operation runs; all runs must cost the same.
pub const REPEATS: u64 = 64;

/// A machine without tags.
type Plain = Host<Untagged, false, false>;
/// The same, where a rung CPU answers at once.
type Answering = Host<Untagged, false, true>;
/// A machine with tags.
type Tagged = Host<PerCpuSlots<6>, false, false>;
/// The same, where a CPU stays in the masks of spaces that it leaves.
type Kept = Host<PerCpuSlots<6>, true, false>;

type Engine<P> = Shootdown<P>;
type User<P> = UserRef<'static, P>;

/// Makes functions that are called, never inlined, and never merged with one another.
macro_rules! measured {
    ($(fn $name:ident($($argument:ident: $ty:ty),*) { $($body:tt)* })*) => {$(
        #[inline(never)]
        fn $name($($argument: $ty),*) {
            // SAFETY: a comment executes nothing; it makes the function unlike those with the same body.
            unsafe {
                core::arch::asm!(concat!("/* ", stringify!($name), " */"), options(nomem, nostack, preserves_flags));
            }
            $($body)*
        }
    )*};
}

measured! {
    fn measured_same_space(engine: &Engine<Plain>, next: &User<Plain>) {
        engine.switch_to(next);
    }
    fn measured_other_untagged(engine: &Engine<Plain>, next: &User<Plain>) {
        engine.switch_to(next);
    }
    fn measured_other_tagged(engine: &Engine<Tagged>, next: &User<Tagged>) {
        engine.switch_to(next);
    }
    fn measured_other_kept(engine: &Engine<Kept>, next: &User<Kept>) {
        engine.switch_to(next);
    }
    fn measured_lazy_round(engine: &Engine<Plain>, next: &User<Plain>) {
        engine.enter_lazy();
        engine.switch_to(next);
    }
    fn measured_local_flush(engine: &Engine<Plain>, space: &AddressSpace<Plain>, page: PageRange) {
        engine.flush(space, Scope::Pages(page), Tables::Kept);
    }
    fn measured_target_flush(engine: &Engine<Answering>, space: &AddressSpace<Answering>, page: PageRange) {
        engine.flush(space, Scope::Pages(page), Tables::Kept);
    }
    fn measured_handler(engine: &Engine<Plain>) {
        engine.serve();
    }
    fn measured_borrow(engine: &Engine<Plain>, space: &User<Plain>) {
        drop(engine.borrow(space));
    }
    fn measured_borrow_other(engine: &Engine<Plain>, space: &User<Plain>) {
        drop(engine.borrow(space));
    }
    fn measured_gather(engine: &Engine<Plain>, space: &AddressSpace<Plain>, page: PageRange) {
        let mut gather = engine.gather::<u64, 1>(space);
        let _ = gather.unmapped(page, 1);
        gather.finish();
    }
}

/// Runs every operation [`REPEATS`] times.
pub fn run() {
    switches();
    lazy_and_borrowed();
    local_flushes();
    target_flush();
    handler();
}

/// Makes an engine on a machine of its own, with all CPUs on line.
fn machine<T, const KEEP: bool, const ANSWER: bool>(tags: T) -> &'static Engine<Host<T, KEEP, ANSWER>>
where
    T: TagPolicy + 'static,
{
    let locals = core::array::from_fn(|_| &*Box::leak(Box::new(CpuLocal::new())));
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(Host::new(tags, locals), CpuMask::new())));
    engine.platform().connect(engine);
    for cpu in [1, 0] {
        engine.platform().play(cpu);
        engine.online_cpu().expect("the mask holds both CPUs");
    }
    engine
}

/// Makes a space of `engine`.
fn space<P>(engine: &'static Engine<P>, root: P::Root) -> User<P>
where
    P: Platform<Mask = CpuMask<1>, Handle = &'static AddressSpace<P>>,
{
    let space = engine.new_space(root, CpuMask::new()).expect("both masks hold as many CPUs");
    let adopted = engine.adopt(Box::leak(Box::new(space)));
    adopted.map_err(|(refused, _)| refused).expect("the space is new")
}

fn page() -> PageRange {
    black_box(PageRange::page(VirtAddr(0x7000)))
}

fn switches() {
    let engine: &Engine<Plain> = machine(Untagged);
    there_and_back(engine, measured_other_untagged);
    let user = space(engine, 0x3000);
    engine.switch_to(&user);
    for _ in 0..REPEATS {
        measured_same_space(black_box(engine), black_box(&user));
    }
    there_and_back(machine(PerCpuSlots), measured_other_tagged);
    there_and_back(machine(PerCpuSlots), measured_other_kept);
}

fn there_and_back<P>(engine: &'static Engine<P>, switch: fn(&Engine<P>, &User<P>))
where
    P: Platform<Root = u64, Mask = CpuMask<1>, Handle = &'static AddressSpace<P>>,
{
    let (here, there) = (space(engine, 0x1000), space(engine, 0x2000));
    engine.switch_to(&there);
    engine.switch_to(&here);
    for _ in 0..REPEATS {
        switch(black_box(engine), black_box(&there));
        engine.switch_to(&here);
    }
}

fn lazy_and_borrowed() {
    let engine: &Engine<Plain> = machine(Untagged);
    let (user, other) = (space(engine, 0x1000), space(engine, 0x2000));
    engine.switch_to(&user);
    for _ in 0..REPEATS {
        measured_lazy_round(black_box(engine), black_box(&user));
    }
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

fn local_flushes() {
    let engine: &Engine<Plain> = machine(Untagged);
    let user = space(engine, 0x1000);
    engine.switch_to(&user);
    for _ in 0..REPEATS {
        measured_local_flush(black_box(engine), black_box(&user), page());
    }
    for _ in 0..REPEATS {
        measured_gather(black_box(engine), black_box(&user), page());
    }
}

fn target_flush() {
    let engine: &Engine<Answering> = machine(Untagged);
    let user = space(engine, 0x1000);
    for cpu in [1, 0] {
        engine.platform().play(cpu);
        engine.switch_to(&user);
    }
    for _ in 0..REPEATS {
        measured_target_flush(black_box(engine), black_box(&user), page());
    }
}

fn handler() {
    let engine: &Engine<Plain> = machine(Untagged);
    let user = space(engine, 0x1000);
    for cpu in [0, 1] {
        engine.platform().play(cpu);
        engine.switch_to(&user);
    }
    for _ in 0..REPEATS {
        engine.platform().play(1);
        let pending = engine.send(&user, Scope::Pages(page()), Tables::Kept);
        engine.platform().play(0);
        measured_handler(black_box(engine));
        // The wait is over before it begins.
        engine.platform().play(1);
        pending.finish();
    }
}
