//! Every callback unwinds, in every operation, at each of its calls, before and after its work; and safe code goes on in each
//! of three ways. `docs/hard-life.md` says what holds.

mod brittle;
mod directed;

use crate::machine::bomb::{Bomb, Callback, When, is_explosion};
use crate::machine::state::{PAGES, State};
use crate::machine::{Machine, User, page_range};
use brittle::{Broadcasts, CPUS, Exact, Guests, Ipis, Kept, Kind, Shared, Versions, space, world};
use shootdown::Shootdown;
use shootdown::flush::FlushRequest;
use shootdown::refs::Teardown;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A machine with spaces A, B and more, each with a user.
struct TestMachine<K: Kind> {
    world: &'static Machine<K>,
    state: &'static State,
    engine: &'static Shootdown<Machine<K>>,
    /// Not dropped with the machine, where CPUs would still run the spaces.
    users: ManuallyDrop<RefCell<Vec<User<K>>>>,
}

const A: usize = 0;
const B: usize = 1;
/// More than there are tags.
const SPACES: u64 = 6;

impl<K: Kind> TestMachine<K> {
    fn new() -> Self {
        let world = world::<K>();
        let users = (0..SPACES).map(|number| space(world, 0xa000 + number)).collect();
        Self {
            world,
            state: world.state,
            engine: world.engine(),
            users: ManuallyDrop::new(RefCell::new(users)),
        }
    }

    fn active(&self, cpu: u32, active: bool) {
        self.state.hardware_of(cpu).active = active;
    }

    fn run(&self, cpu: u32, space: usize) {
        self.world.switch(cpu, &self.users.borrow()[space]);
        self.state.touch_all(cpu);
    }

    fn lazy(&self, cpu: u32) {
        self.world.go_lazy(cpu);
    }

    fn unmap(&self, cpu: u32, space: usize, page: u64) {
        let users = self.users.borrow();
        self.state.on(cpu, || {
            let mut gather = self.engine.gather_within::<_, 2>(&users[space], page_range(page));
            assert!(gather.unmapped(page_range(page), self.state.clear(users[space].root(), page)).is_ok());
            gather.finish();
        });
    }

    fn send_unmap(&self, cpu: u32, space: usize, page: u64) {
        let users = self.users.borrow();
        self.state.on(cpu, || {
            let mut gather = self.engine.gather::<_, 2>(&users[space]);
            for page in [page, page ^ 1] {
                let frame = self.state.clear(users[space].root(), page);
                assert!(gather.table_freed(page_range(page), frame).is_ok());
            }
            gather.send().finish_with(|frame| {
                self.state.calls(Callback::Closure, When::Before);
                drop(frame);
            });
        });
    }

    fn unmap_kernel(&self, cpu: u32) {
        self.state.on(cpu, || {
            let frame = ManuallyDrop::new(self.state.clear_kernel(1));
            self.engine.flush_kernel(FlushRequest::pages(page_range(1)));
            drop(ManuallyDrop::into_inner(frame));
        });
    }

    fn trim(&self, cpu: u32, space: usize) {
        self.state.on(cpu, || self.engine.trim(&self.users.borrow()[space]));
    }

    fn put(&self, cpu: u32, space: usize) {
        let user = self.users.borrow_mut().remove(space);
        self.state.on(cpu, || user.put().into_iter().for_each(Teardown::finish));
    }
}

/// What unwinds: what comes before, and the operation, which is CPU 1's.
struct Operation<K: Kind> {
    name: &'static str,
    before: fn(&TestMachine<K>),
    act: fn(&TestMachine<K>),
}

/// CPU 0 runs A, CPU 1 is lazy on B and has been in A, CPU 2 is lazy on A; A and the kernel were changed meanwhile.
fn usual<K: Kind>(rig: &TestMachine<K>) {
    rig.run(2, A);
    rig.lazy(2);
    rig.run(1, A);
    rig.run(1, B);
    rig.lazy(1);
    rig.run(0, A);
    rig.unmap(0, A, 0);
}

/// The same, and CPU 1 runs B.
fn running<K: Kind>(rig: &TestMachine<K>) {
    usual(rig);
    rig.run(1, B);
}

/// All CPUs run A.
fn together<K: Kind>(rig: &TestMachine<K>) {
    usual(rig);
    (0..CPUS).for_each(|cpu| rig.run(cpu, A));
}

/// CPU 1 has A loaded lazily, which was changed meanwhile.
fn behind<K: Kind>(rig: &TestMachine<K>) {
    usual(rig);
    rig.run(1, A);
    rig.lazy(1);
    rig.unmap(0, A, 1);
}

/// All tags are in use, and the next is to be taken from somebody.
fn short_of_tags<K: Kind>(rig: &TestMachine<K>) {
    usual(rig);
    for space in [2, 3, B] {
        rig.run(0, space);
    }
    rig.run(1, A);
    rig.run(1, B);
}

/// A is B's neighbour on CPU 2, and nobody but its user keeps it.
fn doomed<K: Kind>(rig: &TestMachine<K>) {
    usual(rig);
    rig.lazy(0);
}

#[rustfmt::skip]
fn operations<K: Kind>() -> Vec<Operation<K>> {
    let op = |name, before, act| Operation { name, before, act };
    vec![
        op("switch", running, |rig| rig.run(1, A)),
        op("switch, lazy before", usual, |rig| rig.run(1, 2)),
        op("switch, short of tags", short_of_tags, |rig| { rig.run(1, 4); rig.run(1, 5); rig.run(1, A); }),
        op("return from lazy", behind, |rig| rig.run(1, A)),
        op("enter lazy", running, |rig| rig.lazy(1)),
        op("leave", usual, |rig| rig.state.on(1, || rig.engine.leave())),
        op("borrow", usual, |rig| rig.state.on(1, || {
            drop(rig.engine.borrow(&rig.users.borrow()[A]).expect("a kernel thread"));
        })),
        op("temporary", running, |rig| rig.state.on(1, || {
            let (users, state) = (rig.users.borrow(), rig.state);
            rig.active(1, false);
            // SAFETY: 1. the body puts nothing.
            unsafe { rig.engine.with_temporary_space(&users[A], || state.calls(Callback::Closure, When::Before)) };
            rig.active(1, true);
        })),
        op("temporary, lazy", usual, |rig| rig.state.on(1, || {
            let (users, state) = (rig.users.borrow(), rig.state);
            // SAFETY: 1. the body puts nothing.
            unsafe { rig.engine.with_temporary_space(&users[A], || state.calls(Callback::Closure, When::Before)) };
        })),
        op("gather, finish", together, |rig| rig.unmap(1, A, 1)),
        op("gather, send", together, |rig| rig.send_unmap(1, A, 1)),
        op("flush another's space", usual, |rig| rig.unmap(1, A, 1)),
        op("flush kernel memory", together, |rig| rig.unmap_kernel(1)),
        op("trim", usual, |rig| { rig.trim(1, A); rig.trim(1, B); }),
        op("trim by another", running, |rig| rig.trim(2, A)),
        op("answer", together, |rig| {
            let users = rig.users.borrow();
            let pending = rig.state.on(0, || rig.engine.send(&users[A], FlushRequest::all().tables_freed()));
            rig.world.interrupt(1);
            pending.finish();
        }),
        op("answer, lazy", behind, |rig| {
            let users = rig.users.borrow();
            let pending = rig.state.on(0, || rig.engine.send(&users[A], FlushRequest::all().tables_freed()));
            rig.world.interrupt(1);
            pending.finish();
        }),
        op("go off line", usual, |rig| rig.world.offline(1)),
        op("come on line", |rig| { usual(rig); rig.world.offline(1); rig.unmap_kernel(0); }, |rig| rig.world.online(1)),
        op("make a space", usual, |rig| {
            let new = rig.state.on(1, || space(rig.world, 0xb000));
            rig.users.borrow_mut().push(new);
        }),
        op("count references", usual, |rig| rig.state.on(1, || {
            let users = rig.users.borrow();
            let pin = users[A].grab();
            drop((users[A].clone(), pin.clone(), pin.upgrade().expect("it lives")));
        })),
        op("put the last user", doomed, |rig| rig.put(1, A)),
        op("drop the last user", doomed, |rig| {
            let user = rig.users.borrow_mut().remove(A);
            rig.state.on(1, || drop(user));
        }),
        op("end the space that is loaded", usual, |rig| rig.put(1, B)),
        op("a pin outlives the users", doomed, |rig| {
            let pin = rig.users.borrow()[A].grab();
            rig.put(0, A);
            rig.state.on(1, || { assert!(pin.upgrade().is_err()); drop(pin); });
        }),
        op("share or pin a tag", together, |rig| rig.state.on(1, || K::share(rig.engine, &rig.users.borrow()[A]))),
    ]
}

/// How safe code goes on.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// As the book says.
    Recovers,
    /// As if nothing had happened.
    GoesOn,
    /// The spaces end at once, on another CPU.
    EndsSpaces,
}

/// Every use of the machine once more, on each CPU.
fn use_all<K: Kind>(rig: &TestMachine<K>) {
    for cpu in 0..CPUS {
        rig.world.interrupt(cpu);
        if !rig.state.hardware_of(cpu).online {
            rig.world.online(cpu);
        }
    }
    let spaces = if cfg!(miri) { 2 } else { rig.users.borrow().len() };
    for space in 0..spaces {
        (0..CPUS).for_each(|cpu| rig.run(cpu, space));
        let freed = rig.state.freed.borrow().len();
        for cpu in 0..2 {
            rig.unmap(cpu, space, u64::from(cpu) % PAGES);
            (0..CPUS).for_each(|cpu| rig.state.touch_all(cpu));
        }
        assert_eq!(rig.state.freed.borrow().len(), freed + 2, "flushes go on as before");
    }
    (0..spaces).for_each(|space| rig.trim(0, space));
    rig.unmap_kernel(0);
    (0..CPUS).for_each(|cpu| rig.state.touch_all(cpu));
}

/// All spaces end, by CPU 2.
fn end<K: Kind>(rig: &TestMachine<K>) {
    let unwound = rig.state.exploded.get();
    (0..CPUS).filter(|&cpu| Some(cpu) != unwound).for_each(|cpu| rig.lazy(cpu));
    while !rig.users.borrow().is_empty() {
        rig.put(2, 0);
    }
    (0..CPUS).for_each(|cpu| rig.world.interrupt(cpu));
}

fn case<K: Kind>(operation: &Operation<K>, bomb: Bomb, next: Next) {
    let rig = TestMachine::<K>::new();
    (operation.before)(&rig);
    rig.state.arm(Some(bomb));
    let caught = catch_unwind(AssertUnwindSafe(|| (operation.act)(&rig)));
    rig.state.arm(None);
    if let Err(panic) = &caught {
        is_explosion(&**panic);
    }
    let Some(cpu) = rig.state.exploded.get() else { return };
    assert_eq!(rig.state.open.get(), 0, "interrupts are off, or a thread is pinned");
    match next {
        Next::Recovers => rig.world.recover(cpu),
        Next::GoesOn => {}
        Next::EndsSpaces => {
            end(&rig);
            let new: Vec<_> = (0..2).map(|number| space(rig.world, 0xd000 + number)).collect();
            *rig.users.borrow_mut() = new;
        }
    }
    use_all(&rig);
    rig.state.exploded.set(None);
    end(&rig);
    rig.state.check();
}

/// The case of an operation that runs under Miri.
const MIRI_CASE: u64 = 97;

/// Runs every case of a kind of machine; returns how many. Under Miri operation `from` is all, and one case of it.
fn all<K: Kind>(from: usize) -> usize {
    let (mut cases, mut failed) = (0, Vec::new());
    let mut turn = 0;
    let (from, most) = if cfg!(miri) { (from, 1) } else { (0, usize::MAX) };
    for operation in operations::<K>().iter().skip(from).take(most) {
        let rig = TestMachine::<K>::new();
        (operation.before)(&rig);
        rig.state.arm(None);
        (operation.act)(&rig);
        let calls = rig.state.calls.borrow().clone();
        for (callback, calls) in calls {
            for (nth, when) in (0..calls).flat_map(|nth| [(nth, When::Before), (nth, When::After)]) {
                for next in [Next::Recovers, Next::GoesOn, Next::EndsSpaces] {
                    turn += 1;
                    if cfg!(miri) && turn != MIRI_CASE {
                        continue;
                    }
                    cases += 1;
                    let bomb = Bomb { callback, nth, when };
                    let run = catch_unwind(AssertUnwindSafe(|| case(operation, bomb, next)));
                    if let Err(panic) = run {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or(panic.downcast_ref::<&str>().map(ToString::to_string));
                        failed.push(format!("{}: {bomb:?}, {next:?}: {text:?}", operation.name));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of {cases} cases failed:\n{}", failed.len(), failed.join("\n"));
    cases
}

macro_rules! kinds {
    ($($(#[$meta:meta])* $test:ident: $kind:ty, $from:literal;)*) => {$(
        $(#[$meta])*
        #[test]
        fn $test() {
            assert!(all::<$kind>($from) > if cfg!(miri) { 0 } else { 2000 });
        }
    )*};
}

kinds! {
    any_callback_may_unwind_with_exact_masks: Exact, 0;
    any_callback_may_unwind_with_bits_that_are_kept: Kept, 13;
    #[cfg_attr(miri, ignore = "half a minute; the engine's unsafe code is the same with any tags")]
    any_callback_may_unwind_with_asids_and_ipis: Ipis, 2;
    #[cfg_attr(miri, ignore = "half a minute; the engine's unsafe code is the same with any tags")]
    any_callback_may_unwind_with_asids_and_broadcasts: Broadcasts, 9;
    #[cfg_attr(miri, ignore = "half a minute; the engine's unsafe code is the same with any tags")]
    any_callback_may_unwind_with_versions: Versions, 10;
    #[cfg_attr(miri, ignore = "half a minute; the engine's unsafe code is the same with any tags")]
    any_callback_may_unwind_with_tags_that_are_shared: Shared, 25;
    any_callback_may_unwind_with_vmids: Guests, 21;
}
