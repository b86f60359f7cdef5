//! What a CPU of a scenario does: the kernel code around the engine.

use super::hw::{Hw, Kind, Mask};
use super::machine::{KERNEL, Machine, page};
use super::memory::{Memory, Owned};
use shootdown_under_loom::flush::{FlushRequest, Gather, PendingFrames};
use shootdown_under_loom::refs::{SpaceHandle, StructHandle, StructRef, UserHandle, UserRef};
use shootdown_under_loom::{AddressSpace, Shootdown};
use std::sync::atomic::Ordering::Relaxed;

/// One CPU, for the script that it runs.
pub struct Cpu<'m, K: Kind> {
    machine: &'m Machine<K>,
}

impl<'m, K: Kind> Cpu<'m, K> {
    pub(super) fn new(machine: &'m Machine<K>) -> Self {
        Self { machine }
    }

    /// The engine.
    pub fn engine(&self) -> &'m Shootdown<Hw<K>> {
        &self.machine.engine
    }

    /// A space, without a reference.
    pub fn space(&self, space: usize) -> &'m AddressSpace<Hw<K>> {
        self.machine.spaces[space].space()
    }

    /// Takes up a user reference that the plan counted.
    pub fn user(&self, space: usize) -> UserRef<'m, Hw<K>> {
        // SAFETY: 1. the plan counted it; scenarios take up no more than they asked for.
        let user = unsafe { UserHandle::from_inner(self.machine.spaces[space].clone()) };
        self.engine().user_from_handle(user)
    }

    /// Takes up a struct reference that the plan counted.
    pub fn pin(&self, space: usize) -> StructRef<'m, Hw<K>> {
        // SAFETY: 1. the plan counted it; scenarios take up no more than they asked for.
        let pin = unsafe { StructHandle::from_inner(self.machine.spaces[space].clone()) };
        self.engine().struct_from_handle(pin)
    }

    /// Runs user code of `space` here from now on; the reference stays counted.
    pub fn run(&self, space: usize) {
        let user = self.user(space);
        self.engine().switch_to(&user);
        let _ = user.into_handle();
        self.hw().poll();
    }

    /// User code touches `page`, if it is mapped.
    pub fn touch(&self, page: usize) {
        self.hw().poll();
        if let Some(frame) = self.hw().translate(page) {
            self.hw().memory[frame].used();
            if let Some(address) = self.machine.addresses.get(page) {
                address.used();
            }
        }
    }

    /// The caller of an unmap relies on nobody using the address any more.
    pub fn address_is_free(&self, page: usize) {
        self.machine.addresses[page].reused();
    }

    /// Runs `body` under the page-table lock.
    pub fn locked<R>(&self, body: impl FnOnce() -> R) -> R {
        let _held = self.machine.lock.lock().expect("failures are collected, not thrown");
        body()
    }

    /// User code is over; a kernel thread runs.
    pub fn go_lazy(&self) {
        self.engine().enter_lazy();
        self.hw().poll();
    }

    /// Takes a pending interrupt.
    pub fn poll(&self) {
        self.hw().poll();
    }

    /// Leaves the machine, and takes no interrupts any more.
    pub fn go_offline(&self) {
        self.engine().enter_lazy();
        self.engine().offline_cpu();
        self.hw().halt(true);
    }

    /// Comes back.
    pub fn go_online(&self) {
        self.engine().online_cpu().expect("fits");
        self.hw().halt(false);
    }

    /// Goes to user mode.
    pub fn enter_user(&self) {
        // SAFETY: 1. interrupts come when the CPU polls; 2. and 3. scenarios use kernel memory after `exit_user`, and nothing before.
        unsafe { self.engine().enter_user() };
    }

    /// Comes back from there.
    pub fn exit_user(&self) {
        // SAFETY: 1. and 2. interrupts come when the CPU polls.
        unsafe { self.engine().exit_user() };
    }

    /// Unmaps one page and gives its frame back.
    pub fn unmap(&self, space: usize, which: usize) {
        self.send_unmap(space, which).finish();
    }

    /// Clears an entry and sends the flush.
    pub fn send_unmap(&self, space: usize, which: usize) -> Unmapping<'m, K> {
        let mut gather = self.gather(space);
        self.clear(space, which, &mut gather);
        gather.send()
    }

    /// Opens a gather.
    pub fn gather(&self, space: usize) -> Gathering<'m, K> {
        self.engine().gather(self.space(space))
    }

    /// Clears the entry of a page, if it is there.
    pub fn clear(&self, space: usize, which: usize, gather: &mut Gathering<'m, K>) {
        let word = &self.hw().roots[space].pages[which];
        let Some(frame) = (word.load(Relaxed) as usize).checked_sub(1) else { return };
        word.store(0, Relaxed);
        gather.unmapped(page(which), Owned(self.hw().memory[frame].clone())).expect("room for one");
    }

    /// Says so many times that page 0 of a space has changed, and flushes each time.
    pub fn change(&self, space: usize, times: usize) {
        for _ in 0..times {
            let mut gather = self.gather(space);
            gather.changed(page(0));
            gather.finish();
        }
    }

    /// Unhooks the second table and gives it back, with the page behind it.
    pub fn free_table(&self, space: usize) {
        let mut gather = self.gather(space);
        let directory = self.hw().roots[space].directory.as_ref().expect("the plan asks for tables");
        let table = directory.load(Relaxed) as usize - 1;
        directory.store(0, Relaxed);
        gather.table_freed(page(super::TABLE), Owned(self.hw().memory[table].clone())).expect("room for one");
        gather.finish();
    }

    /// Unmaps a kernel page and gives its frame back.
    pub fn unmap_kernel(&self, which: usize) {
        let word = &self.hw().kernel[which];
        let frame = word.load(Relaxed) as usize - 1;
        word.store(0, Relaxed);
        self.engine().flush_kernel(FlushRequest::pages(page(KERNEL + which)));
        self.hw().memory[frame].reused();
    }

    /// A user of the space reads what users share beside the page tables.
    pub fn read_notes(&self, space: usize) {
        self.machine.notes[space].used();
    }

    /// The teardown throws it away.
    pub fn drop_notes(&self, space: usize) {
        self.machine.notes[space].reused();
    }

    /// The process on this CPU ends: its last user reference goes, its pages too if it was the last.
    pub fn exit(&self, space: usize) {
        self.engine().enter_lazy();
        let Some(teardown) = self.user(space).put() else { return };
        for which in 0..self.hw().roots[space].pages.len() {
            self.unmap(space, which);
        }
        teardown.finish();
    }

    /// Whether a space's root was freed.
    pub fn is_freed(&self, space: usize) -> bool {
        self.hw().roots[space].memory.is_gone()
    }

    /// Makes a space that nobody will use.
    pub fn make_space(&self) {
        let mask = Mask::new::<K>(&Memory::new("mask".to_string(), &self.hw().blame));
        let space = self.engine().new_space(0, mask).expect("masks of one size");
        self.machine.identify(space.id());
    }

    /// Handles IPIs until no CPU has anything left to do.
    pub(super) fn serve_until_all_finish(&self) {
        let (finished, all) = (&self.hw().finished, self.hw().cores.len() - self.hw().puppets.len());
        finished.fetch_add(1, Relaxed);
        while finished.load(Relaxed) < all {
            self.hw().poll();
            loom::thread::yield_now();
        }
    }

    fn hw(&self) -> &'m Hw<K> {
        self.machine.engine.platform()
    }
}

/// A gather of at most two pieces of memory.
pub type Gathering<'m, K> = Gather<'m, Hw<K>, Owned, 2>;
/// The same, sent.
pub type Unmapping<'m, K> = PendingFrames<'m, Hw<K>, Owned, 2>;
