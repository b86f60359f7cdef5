//! Every callback unwinds, in every operation, at each of its calls, before and after its work; and safe code goes on
//! in each of three ways. `docs/hard-life.md` says what holds.

mod brittle;
mod directed;

use crate::machine::bomb::{Bomb, Callback, When, is_explosion};
use crate::machine::state::{Frame, PAGES, State};
use crate::machine::{Machine, User, page_range};
use brittle::{Broadcasts, CPUS, Devices, Exact, Guests, Ipis, Kept, Kind, Shared, Versions, space, world};
use shootdown::Shootdown;
use shootdown::flush::{Deferral, FlushRequest, Gather, Retired};
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
        world.state.device.shares.set(K::SECONDARY_TLBS.then_some(0xa000));
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

    /// Unmaps a page, and has its frame wait in a queue.
    fn retire<'m>(
        &'m self,
        page: u64,
        queue: &mut Queue<'m, K>,
        send: impl FnOnce(Gather<'_, Machine<K>, Frame, 1>, &mut Queue<'m, K>),
    ) {
        let users = self.users.borrow();
        let mut gather = self.engine.gather::<_, 1>(&users[A]);
        assert!(gather.unmapped(page_range(page), self.state.clear(users[A].root(), page)).is_ok());
        send(gather, queue);
    }

    /// Gives back frames whose flush is complete, lets a moment pass, does so again, and waits for the others.
    fn reclaim(&self, mut queue: Queue<'_, K>) {
        queue.reclaim(drop);
        self.world.poll();
        queue.reclaim(drop);
        queue.finish_with(drop);
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

    /// Takes the last user of a space, which the device leaves before.
    fn last_user(&self, space: usize) -> User<K> {
        // The first space is the one that the device shares, if it shares any.
        if space == A {
            self.state.device.leave();
        }
        self.users.borrow_mut().remove(space)
    }

    fn put(&self, cpu: u32, space: usize) {
        let user = self.last_user(space);
        self.state.on(cpu, || user.put().into_iter().for_each(Teardown::finish));
    }
}

/// Frames behind flushes that nobody waits for.
type Queue<'m, K> = Retired<'m, Machine<K>, Frame, 4>;

/// What unwinds: what comes before, and the operation, which is CPU 1's.
struct Operation<K: Kind> {
    name: &'static str,
    before: fn(&TestMachine<K>),
    act: fn(&TestMachine<K>),
}

/// CPU 0 runs A, CPU 1 is lazy on B and has been in A, CPU 2 is lazy on A; A and the kernel were changed meanwhile.
fn usual<K: Kind>(machine: &TestMachine<K>) {
    machine.run(2, A);
    machine.lazy(2);
    machine.run(1, A);
    machine.run(1, B);
    machine.lazy(1);
    machine.run(0, A);
    machine.unmap(0, A, 0);
}

/// The same, and CPU 1 runs B.
fn running<K: Kind>(machine: &TestMachine<K>) {
    usual(machine);
    machine.run(1, B);
}

/// All CPUs run A.
fn together<K: Kind>(machine: &TestMachine<K>) {
    usual(machine);
    (0..CPUS).for_each(|cpu| machine.run(cpu, A));
}

/// CPU 1 has A loaded lazily, which was changed meanwhile.
fn behind<K: Kind>(machine: &TestMachine<K>) {
    usual(machine);
    machine.run(1, A);
    machine.lazy(1);
    machine.unmap(0, A, 1);
}

/// All tags are in use, and the next is to be taken from another space.
fn short_of_tags<K: Kind>(machine: &TestMachine<K>) {
    usual(machine);
    for space in [2, 3, B] {
        machine.run(0, space);
    }
    machine.run(1, A);
    machine.run(1, B);
}

/// A is B's neighbour on CPU 2, and nobody but its user keeps it.
fn doomed<K: Kind>(machine: &TestMachine<K>) {
    usual(machine);
    machine.lazy(0);
}

#[rustfmt::skip]
fn operations<K: Kind>() -> Vec<Operation<K>> {
    let op = |name, before, act| Operation { name, before, act };
    vec![
        op("switch", running, |machine| machine.run(1, A)),
        op("switch, lazy before", usual, |machine| machine.run(1, 2)),
        op("switch, short of tags", short_of_tags, |machine| { machine.run(1, 4); machine.run(1, 5); machine.run(1, A); }),
        op("return from lazy", behind, |machine| machine.run(1, A)),
        op("enter lazy", running, |machine| machine.lazy(1)),
        op("leave", usual, |machine| machine.state.on(1, || machine.engine.leave())),
        op("borrow", usual, |machine| machine.state.on(1, || {
            drop(machine.engine.borrow(&machine.users.borrow()[A]).expect("a kernel thread"));
        })),
        op("temporary", running, |machine| machine.state.on(1, || {
            let (users, state) = (machine.users.borrow(), machine.state);
            machine.active(1, false);
            // SAFETY: 1. the body puts nothing.
            unsafe { machine.engine.with_temporary_space(&users[A], || state.calls(Callback::Closure, When::Before)) };
            machine.active(1, true);
        })),
        op("temporary, lazy", usual, |machine| machine.state.on(1, || {
            let (users, state) = (machine.users.borrow(), machine.state);
            // SAFETY: 1. the body puts nothing.
            unsafe { machine.engine.with_temporary_space(&users[A], || state.calls(Callback::Closure, When::Before)) };
        })),
        op("gather, finish", together, |machine| machine.unmap(1, A, 1)),
        op("gather, send", together, |machine| machine.send_unmap(1, A, 1)),
        op("flush another's space", usual, |machine| machine.unmap(1, A, 1)),
        op("flush kernel memory", together, |machine| machine.unmap_kernel(1)),
        op("trim", usual, |machine| { machine.trim(1, A); machine.trim(1, B); }),
        op("trim by another", running, |machine| machine.trim(2, A)),
        op("answer", together, |machine| {
            let users = machine.users.borrow();
            let pending = machine.state.on(0, || machine.engine.send(&users[A], FlushRequest::all().tables_freed()));
            machine.world.interrupt(1);
            pending.finish();
        }),
        op("answer, lazy", behind, |machine| {
            let users = machine.users.borrow();
            let pending = machine.state.on(0, || machine.engine.send(&users[A], FlushRequest::all().tables_freed()));
            machine.world.interrupt(1);
            pending.finish();
        }),
        op("go off line", usual, |machine| machine.world.offline(1)),
        op("come on line", |machine| { usual(machine); machine.world.offline(1); machine.unmap_kernel(0); }, |machine| machine.world.online(1)),
        op("make a space", usual, |machine| {
            let new = machine.state.on(1, || space(machine.world, 0xb000));
            machine.users.borrow_mut().push(new);
        }),
        op("count references", usual, |machine| machine.state.on(1, || {
            let users = machine.users.borrow();
            let pin = users[A].grab();
            drop((users[A].clone(), pin.clone(), pin.upgrade().expect("it lives")));
        })),
        op("put the last user", doomed, |machine| machine.put(1, A)),
        op("drop the last user", doomed, |machine| {
            let user = machine.last_user(A);
            machine.state.on(1, || drop(user));
        }),
        op("end the space that is loaded", usual, |machine| machine.put(1, B)),
        op("a pin outlives the users", doomed, |machine| {
            let pin = machine.users.borrow()[A].grab();
            machine.put(0, A);
            machine.state.on(1, || { assert!(pin.upgrade().is_err()); drop(pin); });
        }),
        op("share or pin a tag", together, |machine| machine.state.on(1, || K::share(machine.engine, &machine.users.borrow()[A]))),
    ]
}

/// Operations that do not wait for their flush, and those of several spaces.
#[rustfmt::skip]
fn later_operations<K: Kind>() -> Vec<Operation<K>> {
    let op = |name, before, act| Operation { name, before, act };
    vec![
        op("retire, reclaim", together, |machine| machine.state.on(1, || {
            let mut queue = Retired::new(machine.engine);
            machine.retire(1, &mut queue, |gather, queue| assert!(gather.send().retire_into(queue).is_ok()));
            machine.reclaim(queue);
        })),
        op("defer, reclaim", together, |machine| machine.state.on(1, || {
            let mut queue = Retired::new(machine.engine);
            machine.retire(1, &mut queue, |gather, queue| assert!(gather.defer_into(queue, Deferral::polls(2)).is_ok()));
            machine.reclaim(queue);
        })),
        op("wait for a ticket", together, |machine| machine.state.on(1, || {
            let mut ticket = machine.engine.send(&machine.users.borrow()[A], FlushRequest::all()).detach();
            if machine.engine.is_complete(&mut ticket) != Ok(true) {
                assert_eq!(machine.engine.wait(ticket), Ok(()));
            }
        })),
        op("batch", together, |machine| machine.state.on(1, || {
            let users = machine.users.borrow();
            let mut batch = machine.engine.batch::<Frame, 2, 2>();
            for space in [A, B] {
                let mut part = batch.gather(&users[space]).expect("two fit");
                assert!(part.unmapped(page_range(1), machine.state.clear(users[space].root(), 1)).is_ok());
            }
            batch.finish();
        })),
        op("batch, reclaim", together, |machine| machine.state.on(1, || {
            let (users, mut queue) = (machine.users.borrow(), Retired::new(machine.engine));
            let mut batch = machine.engine.batch::<Frame, 2, 2>();
            for space in [A, B] {
                let mut part = batch.gather(&users[space]).expect("two fit");
                assert!(part.unmapped(page_range(1), machine.state.clear(users[space].root(), 1)).is_ok());
            }
            assert!(batch.retire_into(&mut queue).is_ok());
            machine.reclaim(queue);
        })),
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
fn use_all<K: Kind>(machine: &TestMachine<K>) {
    for cpu in 0..CPUS {
        machine.world.interrupt(cpu);
        if !machine.state.hardware_of(cpu).online {
            machine.world.online(cpu);
        }
    }
    let spaces = if cfg!(miri) { 2 } else { machine.users.borrow().len() };
    for space in 0..spaces {
        (0..CPUS).for_each(|cpu| machine.run(cpu, space));
        let freed = machine.state.freed.borrow().len();
        for cpu in 0..2 {
            machine.unmap(cpu, space, u64::from(cpu) % PAGES);
            (0..CPUS).for_each(|cpu| machine.state.touch_all(cpu));
        }
        assert_eq!(machine.state.freed.borrow().len(), freed + 2, "flushes go on as before");
    }
    (0..spaces).for_each(|space| machine.trim(0, space));
    machine.unmap_kernel(0);
    (0..CPUS).for_each(|cpu| machine.state.touch_all(cpu));
}

/// All spaces end, by CPU 2.
fn end<K: Kind>(machine: &TestMachine<K>) {
    let unwound = machine.state.exploded.get();
    (0..CPUS).filter(|&cpu| Some(cpu) != unwound).for_each(|cpu| machine.lazy(cpu));
    while !machine.users.borrow().is_empty() {
        machine.put(2, 0);
    }
    (0..CPUS).for_each(|cpu| machine.world.interrupt(cpu));
}

fn case<K: Kind>(operation: &Operation<K>, bomb: Bomb, next: Next) {
    let machine = TestMachine::<K>::new();
    (operation.before)(&machine);
    machine.state.arm(Some(bomb));
    let caught = catch_unwind(AssertUnwindSafe(|| (operation.act)(&machine)));
    machine.state.arm(None);
    if let Err(panic) = &caught {
        is_explosion(&**panic);
    }
    let Some(cpu) = machine.state.exploded.get() else { return };
    assert_eq!(machine.state.open.get(), 0, "interrupts are off, or a thread is pinned");
    match next {
        Next::Recovers => machine.world.recover(cpu),
        Next::GoesOn => {}
        Next::EndsSpaces => {
            end(&machine);
            let new: Vec<_> = (0..2).map(|number| space(machine.world, 0xd000 + number)).collect();
            *machine.users.borrow_mut() = new;
            machine.state.device.shares.set(K::SECONDARY_TLBS.then_some(0xd000));
        }
    }
    use_all(&machine);
    machine.state.exploded.set(None);
    end(&machine);
    machine.state.check();
}

/// The case of an operation that runs under Miri.
const MIRI_CASE: u64 = 97;

/// Runs every case of a kind of machine; returns how many. Under Miri operation `from` is all, and one case of it.
fn all<K: Kind>(from: usize) -> usize {
    let (mut cases, mut failed) = (0, Vec::new());
    let mut turn = 0;
    let (from, most) = if cfg!(miri) { (from, 1) } else { (0, usize::MAX) };
    for operation in operations::<K>().iter().chain(&later_operations()).skip(from).take(most) {
        let machine = TestMachine::<K>::new();
        (operation.before)(&machine);
        machine.state.arm(None);
        (operation.act)(&machine);
        let calls = machine.state.calls.borrow().clone();
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
    any_callback_may_unwind_with_secondary_tlbs: Devices, 26;
}
