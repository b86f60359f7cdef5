//! What the kernel of one CPU does, at random.

use super::hw::{BEHIND, Hw, KERNEL_PAGES, Kind, PAGES, kernel_scope, pages};
use super::oracle::Lease;
use super::run::{Machine, SPACES};
use shootdown_under_shuttle::Platform;
use shootdown_under_shuttle::flush::{Gather, PageTables, Scope};
use shootdown_under_shuttle::refs::{StructHandle, StructRef, Teardown, UserHandle, UserRef};
use shootdown_under_shuttle::trace::IrqReason;
use shuttle::rand::{Rng, thread_rng};

/// The kernel of one CPU: what references its threads hold.
pub struct Kernel<'m, K: Kind> {
    machine: &'m Machine<K>,
    users: Vec<Vec<UserRef<'m, Hw<K>>>>,
    pins: Vec<Vec<StructRef<'m, Hw<K>>>>,
}

/// A frame or table that was unmapped; dropped, it is given back.
struct Unmapped<'m, K: Kind>(&'m Hw<K>, Lease);

impl<K: Kind> Drop for Unmapped<'_, K> {
    fn drop(&mut self) {
        self.0.give_back(self.1);
    }
}

/// Room for all pages of a space, the table and one more.
type Gathering<'m, K> = Gather<'m, Hw<K>, Unmapped<'m, K>, { PAGES + 2 }>;

impl<'m, K: Kind> Kernel<'m, K> {
    /// Brings `cpu`, which must be the calling one, on line, with its share of the references.
    pub fn new(machine: &'m Machine<K>, cpu: usize) -> Self {
        machine.engine.online_cpu().expect("fits");
        machine.engine.platform().came_online();
        let share = std::mem::take(&mut machine.shares.lock().expect("no panic under this lock")[cpu]);
        let (mut users, mut pins): (Vec<Vec<_>>, Vec<Vec<_>>) =
            (0..SPACES).map(|_| (Vec::new(), Vec::new())).unzip();
        for (space, user) in share {
            let handle = machine.spaces[space].clone();
            if user {
                // SAFETY: 1. counted by `Machine::new`, and in one share only.
                let user = unsafe { UserHandle::from_inner(handle) };
                users[space].push(machine.engine.user_from_handle(user));
            } else {
                // SAFETY: 1. counted by `Machine::new`, and in one share only.
                let pin = unsafe { StructHandle::from_inner(handle) };
                pins[space].push(machine.engine.struct_from_handle(pin));
            }
        }
        Self { machine, users, pins }
    }

    /// Does one thing.
    pub fn act(&mut self) {
        let space = thread_rng().gen_range(0..SPACES);
        match thread_rng().gen_range(0..32) {
            0..=4 => self.run_user(space),
            5..=6 => self.map(space),
            7..=10 => self.unmap(space, false),
            11 => self.unmap(space, true),
            12..=13 => self.masked_unmap(space),
            14 => self.flush_everything(space),
            15..=16 => self.go_lazy(),
            17 => self.leave(),
            18..=20 => self.borrow(space),
            21 => self.patch(space),
            22..=23 => self.trim(space),
            24..=25 => self.remap_kernel(),
            26 => self.cycle(),
            27 => self.put(space),
            28 => self.upgrade(space),
            29 => self.drop_pin(space),
            30 => self.fork(space),
            _ => self.idle(),
        }
        self.touch();
    }

    /// Handles IPIs while there is nothing to do.
    pub fn idle(&self) {
        self.hw().poll();
        shuttle::thread::yield_now();
    }

    /// Ends all threads and gives all references up; tears down what dies by it.
    pub fn shut_down(&mut self) {
        self.go_lazy();
        for space in 0..SPACES {
            while !self.users[space].is_empty() {
                self.put(space);
            }
            self.pins[space].clear();
        }
    }

    /// Takes up the teardowns that were dropped.
    pub fn reap(&self) {
        loop {
            let deferred = self.hw().deferred.lock().expect("no panic under this lock").pop();
            let Some(handle) = deferred else { return };
            self.tear_down(self.machine.engine.teardown_from_handle(handle));
        }
    }

    fn run_user(&self, space: usize) {
        if let Some(user) = self.users[space].first() {
            self.hw().set_user(None);
            self.machine.engine.switch_to(user);
            self.hw().set_user(Some(space));
        }
    }

    fn touch(&self) {
        for _ in 0..2 {
            if self.hw().user().is_some() {
                self.hw().touch(thread_rng().gen_range(0..PAGES));
            }
        }
        self.hw().touch_kernel(thread_rng().gen_range(0..KERNEL_PAGES));
    }

    fn go_lazy(&self) {
        self.hw().set_user(None);
        self.machine.engine.enter_lazy();
    }

    fn leave(&self) {
        self.hw().set_user(None);
        self.machine.engine.enter_lazy();
        self.machine.engine.leave();
    }

    fn map(&self, space: usize) {
        if self.users[space].is_empty() {
            return;
        }
        let _held = self.lock(space);
        let first = thread_rng().gen_range(0..PAGES);
        let hw = self.hw();
        for page in first..PAGES {
            hw.tables(space, |tables| {
                if page >= BEHIND {
                    tables.table.get_or_insert_with(|| hw.oracle.take());
                }
                tables.pages[page].get_or_insert_with(|| hw.oracle.take());
            });
        }
    }

    /// Unmaps some pages, with the table if `all`, and gives them back, now or a little later.
    fn unmap(&self, space: usize, all: bool) {
        let Some(user) = self.users[space].first() else { return };
        let mut gather = self.machine.engine.gather(user);
        let held = self.lock(space);
        let (first, count) = if all { (0, PAGES) } else { (thread_rng().gen_range(0..PAGES), 2) };
        self.clear(space, first, count, all, &mut gather);
        let sent = gather.send();
        drop(held);
        self.touch();
        sent.finish();
    }

    fn clear(&self, space: usize, first: usize, count: usize, all: bool, gather: &mut Gathering<'m, K>) {
        let hw = self.hw();
        for page in first..PAGES.min(first + count) {
            if let Some(lease) = hw.tables(space, |tables| tables.pages[page].take()) {
                gather.unmapped(pages(page, 1), Unmapped(hw, lease)).expect("room for all");
            }
        }
        if let Some(table) = hw.tables(space, |tables| tables.table.take_if(|_| all)) {
            gather.table_freed(pages(BEHIND, PAGES - BEHIND), Unmapped(hw, table)).expect("room for all");
        }
    }

    /// Unmaps with interrupts off: the wait must handle IPIs.
    fn masked_unmap(&self, space: usize) {
        let were_on = self.hw().irq_save(IrqReason::Temporary);
        // A lock that is waited for with interrupts off must not be held by a CPU that waits for IPIs to be handled; a
        // holder of this one only sends.
        self.unmap(space, false);
        self.hw().irq_restore(were_on);
    }

    fn flush_everything(&self, space: usize) {
        if let Some(user) = self.users[space].first() {
            self.machine.engine.flush(user, Scope::All, PageTables::Kept);
        }
    }

    fn borrow(&self, space: usize) {
        self.go_lazy();
        let upgraded = self.pins[space].first().map(StructRef::upgrade);
        let Some(Ok(user)) = upgraded else { return };
        {
            let _borrowed = self.machine.engine.borrow(&user).expect("a kernel thread");
            self.hw().set_user(Some(space));
            self.touch();
            self.unmap(space, false);
            self.touch();
            self.hw().set_user(None);
        }
        // Dropped where a teardown cannot run: somebody reaps it.
        drop(user);
    }

    fn patch(&self, space: usize) {
        let Some(user) = self.users[space].first() else { return };
        let before = self.hw().user();
        self.hw().set_user(None);
        let body = || {
            self.hw().set_user(Some(space));
            self.touch();
            self.hw().set_user(None);
        };
        // SAFETY: 1. the references of this thread are in `self`, and stay there.
        unsafe { self.machine.engine.with_temporary_space(user, body) };
        self.hw().set_user(before);
    }

    fn trim(&self, space: usize) {
        if let Some(pin) = self.pins[space].first() {
            self.machine.engine.trim(pin);
        }
    }

    /// Gives a page of kernel memory another frame.
    fn remap_kernel(&self) {
        let (hw, page) = (self.hw(), thread_rng().gen_range(0..KERNEL_PAGES));
        let held = self.lock(hw.kernel());
        let Some(old) = hw.tables(hw.kernel(), |tables| tables.pages[page].take()) else { return };
        drop(held);
        self.machine.engine.flush_kernel(kernel_scope(page), PageTables::Kept);
        hw.give_back(old);
        let new = hw.oracle.take();
        hw.tables(hw.kernel(), |tables| tables.pages[page] = Some(new));
    }

    fn cycle(&self) {
        self.go_lazy();
        self.machine.engine.offline_cpu();
        for _ in 0..8 {
            shuttle::thread::yield_now();
        }
        self.machine.engine.online_cpu().expect("fits");
        self.hw().came_online();
    }

    fn put(&mut self, space: usize) {
        if self.hw().user() == Some(space) {
            self.go_lazy();
        }
        if let Some(teardown) = self.users[space].pop().and_then(UserRef::put) {
            self.tear_down(teardown);
        }
    }

    fn tear_down(&self, teardown: Teardown<'_, Hw<K>>) {
        let space = teardown.root();
        let mut gather = self.machine.engine.gather(&self.machine.spaces[space].space);
        let held = self.lock(space);
        self.clear(space, 0, PAGES, true, &mut gather);
        drop(held);
        gather.finish();
        teardown.finish();
    }

    fn upgrade(&mut self, space: usize) {
        let upgraded = self.pins[space].first().map(StructRef::upgrade);
        if let Some(Ok(user)) = upgraded {
            self.users[space].push(user);
        }
    }

    /// Starts another thread of the process.
    fn fork(&mut self, space: usize) {
        let (user, pin) = match self.users[space].first() {
            Some(user) => (user.clone(), user.grab()),
            None => return,
        };
        self.users[space].push(user);
        self.pins[space].push(pin);
    }

    fn drop_pin(&mut self, space: usize) {
        self.pins[space].pop();
    }

    fn lock(&self, space: usize) -> shuttle::sync::MutexGuard<'m, ()> {
        self.machine.locks[space].lock().expect("failures are collected, not thrown")
    }

    fn hw(&self) -> &'m Hw<K> {
        self.machine.engine.platform()
    }
}
