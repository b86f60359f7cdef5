//! What scenario code can have a CPU do: the verbs of a small kernel.

use super::nmi::Nmi;
use super::pages::page_address;
use super::sim::{Handle, IPI, Mask, Sim, TestMachine};
use super::world::{MISSING, Page, World, frame, kernel_frame};
use shootdown::flush::{FlushRequest, PageRange, PageSize};
use shootdown::refs::{SpaceExited, StructHandle, StructRef, TeardownHandle, UserHandle, UserRef};
use shootdown::{AddressSpace, Platform, Shootdown};
use shootdown_explore::sync;
use shootdown_machine::hw;
use std::sync::atomic::Ordering;

/// Words of requests.
const SUBMITTED: usize = 0;
const ANSWERED: usize = 1;

/// A CPU, for scenario code: the verbs of a small kernel.
pub struct Cpu<'w, S: TestMachine> {
    pub(crate) world: &'w World<S>,
    id: usize,
}

impl<'w, S: TestMachine> Cpu<'w, S> {
    pub(crate) fn new(world: &'w World<S>, id: usize) -> Self {
        Self { world, id }
    }
}

impl<'w, S: TestMachine> Cpu<'w, S> {
    /// The engine.
    pub fn engine(&self) -> &'static Shootdown<Sim<S>> {
        self.world.engine
    }

    /// The space's object, as a page-table lock's owner sees it.
    pub fn space(&self, space: usize) -> &'static AddressSpace<Sim<S>> {
        self.world.spaces[space]
    }

    /// The user reference that the thread on this CPU owns, or one of the sleepers'.
    pub fn user(&self, space: usize) -> UserRef<'static, Sim<S>> {
        // SAFETY: 1. the plan counted it; each scenario takes up each reference once.
        let user = unsafe { UserHandle::from_inner(Handle(self.space(space))) };
        self.engine().user_from_handle(user)
    }

    /// A struct reference that the plan counted.
    pub fn pinned(&self, space: usize) -> StructRef<'static, Sim<S>> {
        // SAFETY: 1. the plan counted it; each scenario takes up each reference once.
        let pin = unsafe { StructHandle::from_inner(Handle(self.space(space))) };
        self.engine().struct_from_handle(pin)
    }

    /// Schedules a thread of the space.
    pub fn run(&self, user: &UserRef<'_, Sim<S>>) {
        sync::note("switch");
        self.uses_memory(false);
        self.engine().switch_to(user);
        self.uses_memory(true);
    }

    /// Schedules a thread of each of these spaces in turn.
    pub fn run_in_turn(&self, spaces: &[usize]) {
        for &space in spaces {
            let user = self.user(space);
            self.run(&user);
            let _ = user.into_handle();
        }
    }

    /// Says whether user translations are used from now on, to the oracle and to this CPU's NMI handler.
    pub(crate) fn uses_memory(&self, on: bool) {
        match (S::NMI, on) {
            (Nmi::Never | Nmi::Profiles, _) => hw::user(on),
            (_, true) => {
                hw::user(true);
                self.world.nmi.mark(self.id, true);
            }
            (_, false) => {
                self.world.nmi.mark(self.id, false);
                hw::user(false);
            }
        }
    }

    /// Sends a spurious IPI: nothing was asked.
    pub fn send_spurious_ipi(&self, cpu: usize) {
        sync::note("spurious IPI");
        sync::raise(cpu, IPI);
    }

    /// Has the machine use broadcasts instead of IPIs from now on.
    pub fn switch_transport(&self) {
        sync::note("change to broadcasts");
        self.engine().platform().wires.use_broadcasts();
    }

    /// Schedules a kernel thread.
    pub fn run_kernel_thread(&self) {
        sync::note("go lazy");
        self.uses_memory(false);
        self.engine().enter_lazy();
    }

    /// Makes a space that nobody uses, which gets an identity that no space has had.
    pub fn make_space(&self) {
        sync::note("make a space");
        let made = self.engine().new_space(0, Mask::new()).expect("masks are equally large");
        let identity = 1 << made.id().number();
        // ORDER: relaxed; read by nobody but for this assertion.
        let given = self.world.identities.fetch_or(identity, Ordering::Relaxed);
        assert_eq!(given & identity, 0, "two spaces have one identity");
    }

    /// Unmaps a page and gives its frame back.
    pub fn unmap(&self, space: usize, page: usize) {
        sync::note(["munmap page 0", "munmap page 1"][page]);
        let range = PageRange::page(page_address(page));
        let mut gather = self.engine().gather_within::<Page, 1>(self.space(space), range);
        if let Some(frame) = self.clear(space, page) {
            let full = gather.unmapped(range, frame);
            assert!(full.is_ok(), "one frame fits");
        }
        gather.finish();
        hw::unreachable(space, page);
    }

    /// Clears a page-table entry; the page-table lock is held, by name only.
    pub(crate) fn clear(&self, space: usize, page: usize) -> Option<Page> {
        let old = self.take_entry(self.world.machine.tables.leaf(space, page));
        (old != 0).then(|| Page::Frame(old as usize))
    }

    /// Clears an entry: by a plain store, which may linger in the store buffer, unless others clear it too. Then the
    /// page-table lock orders what its holders did (`Shootdown::gather` rests on that), and the exchange stands for it.
    pub(crate) fn take_entry(&self, entry: &sync::Word) -> u64 {
        if self.world.contested {
            return entry.swap(0, Ordering::AcqRel);
        }
        let old = entry.load(Ordering::Relaxed);
        if old != 0 {
            entry.store(0, Ordering::Relaxed);
        }
        old
    }

    /// Unhooks the leaf table and gives back whatever it held, and itself.
    pub fn unmap_table(&self, space: usize) {
        sync::note("free the page table");
        let mut gather = self.engine().gather::<Page, 3>(self.space(space));
        self.gather_all(&mut gather, space);
        gather.finish();
    }

    pub(crate) fn gather_all(
        &self,
        gather: &mut shootdown::flush::Gather<'_, Sim<S>, Page, 3>,
        space: usize,
    ) {
        for page in 0..2 {
            if let Some(frame) = self.clear(space, page) {
                assert!(gather.unmapped(PageRange::page(page_address(page)), frame).is_ok(), "three fit");
            }
        }
        let table = self.take_entry(self.world.machine.tables.root(space, 0));
        if table != 0 {
            assert!(gather.table_freed(whole_table(), Page::Table(table)).is_ok(), "three fit");
        }
    }

    /// Unmaps a page, and waits outside the page-table lock.
    pub fn unmap_split(&self, space: usize, page: usize) {
        sync::note(["send unmap of page 0", "send unmap of page 1"][page]);
        let mut gather = self.engine().gather::<Page, 1>(self.space(space));
        if let Some(frame) = self.clear(space, page) {
            assert!(gather.unmapped(PageRange::page(page_address(page)), frame).is_ok(), "one frame fits");
        }
        let pending = gather.send();
        pending.finish();
    }

    /// Unmaps a page with interrupts off all along.
    pub fn unmap_masked(&self, space: usize, page: usize) {
        let were_on = sync::irq_save();
        self.unmap(space, page);
        sync::irq_restore(were_on);
    }

    /// Flushes the whole space, to no purpose.
    pub fn flush_all(&self, space: usize) {
        sync::note("flush all");
        self.engine().flush(self.space(space), FlushRequest::all());
    }

    /// Flushes one page, to no purpose.
    pub fn flush_page(&self, space: usize, page: usize) {
        sync::note(["flush page 0", "flush page 1"][page]);
        let request = FlushRequest::pages(PageRange::page(page_address(page)));
        self.engine().flush(self.space(space), request);
    }

    /// Sends a flush of page 0, to no purpose, unmaps page 1 and gives its frame back, and waits for the first flush
    /// last.
    pub fn unmap_behind_a_flush(&self, space: usize) {
        sync::note("flush page 0, munmap page 1");
        let first = FlushRequest::pages(PageRange::page(page_address(0)));
        let first = self.engine().send(self.space(space), first);
        let mut gather = self.engine().gather::<Page, 1>(self.space(space));
        if let Some(frame) = self.clear(space, 1) {
            assert!(gather.unmapped(PageRange::page(page_address(1)), frame).is_ok(), "one frame fits");
        }
        gather.finish();
        first.finish();
    }

    /// Unmaps a kernel page and gives its frame back.
    pub fn unmap_kernel(&self, page: usize) {
        sync::note("unmap kernel page");
        self.world.machine.tables.kernel(page).store(0, Ordering::Relaxed);
        let request = FlushRequest::pages(PageRange::page(page_address(page)));
        let platform = self.engine().platform();
        let number = platform.removed(None, request);
        self.engine().flush_kernel(request);
        platform.released(number);
        hw::free_frame(kernel_frame(self.world.spaces.len(), page));
    }

    /// Ends the thread that runs here: its CPU goes lazy, its reference goes, and the last one tears down.
    pub fn exit(&self, space: usize) {
        self.run_kernel_thread();
        self.put(space, self.user(space));
    }

    /// Gives up a user reference; tears down if it was the last.
    pub fn put(&self, space: usize, user: UserRef<'_, Sim<S>>) {
        sync::note("put user");
        let last = user.put();
        if let Some(teardown) = last {
            self.tear_down(space, teardown);
        }
    }

    /// Unmaps all of a space that has no user left.
    pub fn tear_down(&self, space: usize, teardown: shootdown::refs::Teardown<'_, Sim<S>>) {
        sync::note("teardown");
        hw::teardown(space);
        let mut gather = self.engine().gather::<Page, 3>(&teardown);
        self.gather_all(&mut gather, space);
        gather.finish();
        sync::note("drop struct");
        teardown.finish();
    }

    /// Runs a teardown that was handed to the platform.
    pub fn reap(&self, space: usize) {
        let deferred = &self.engine().platform().deferred[space];
        if deferred.load(Ordering::Acquire) == 1 {
            // SAFETY: 1. `defer_teardown` took it apart, and this is the only reaper.
            let teardown = unsafe { TeardownHandle::from_inner(Handle(self.space(space))) };
            let teardown = self.engine().teardown_from_handle(teardown);
            self.tear_down(space, teardown);
        }
    }

    /// Gives up a struct reference.
    pub fn drop_pin(&self, pin: StructRef<'_, Sim<S>>) {
        sync::note("drop struct");
        drop(pin);
    }

    /// What an outsider with a struct reference does: upgrade, borrow, touch a page, give everything back.
    pub fn upgrade_and_borrow(&self, space: usize, pin: &StructRef<'_, Sim<S>>) {
        sync::note("mmget_not_zero");
        let upgraded = pin.upgrade();
        if let Ok(user) = upgraded {
            self.borrow(&user);
            self.put(space, user);
        } else {
            assert_eq!(upgraded.err(), Some(SpaceExited), "the only reason");
        }
    }

    /// The same with a struct reference that the plan counted, which is given up.
    pub fn upgrade_and_borrow_once(&self, space: usize) {
        let pin = self.pinned(space);
        self.upgrade_and_borrow(space, &pin);
        self.drop_pin(pin);
    }

    /// Asks a kernel thread for something, by a word that it looks at: request `number`, counted from 1.
    pub fn submit(&self, number: u64) {
        sync::note("submit");
        self.engine().platform().requests[SUBMITTED].store(number, Ordering::Release);
    }

    /// Sleeps until there are so many requests.
    pub fn await_request(&self, number: u64) {
        self.await_word(SUBMITTED, number);
    }

    /// Sleeps until so many requests were answered.
    pub fn await_answer(&self, number: u64) {
        self.await_word(ANSWERED, number);
    }

    fn await_word(&self, word: usize, number: u64) {
        sync::wait_until(|| self.engine().platform().requests[word].load(Ordering::Acquire) >= number);
    }

    /// What a fault handler does for page 1 of the first space, whose thread sleeps until request `number` is answered:
    /// upgrade, map a frame, answer, look through the space, give everything back.
    pub fn resolve(&self, number: u64, pin: &StructRef<'_, Sim<S>>) {
        let (space, page) = MISSING;
        sync::note("mmget_not_zero");
        let user = pin.upgrade().expect("the thread that took the fault has not exited");
        sync::note("map page 1");
        let entry = self.world.machine.tables.leaf(space, page);
        entry.store(frame(space, page) as u64, Ordering::Release);
        self.engine().platform().requests[ANSWERED].store(number, Ordering::Release);
        self.borrow(&user);
        self.put(space, user);
    }

    /// Borrows a space for one touch.
    pub fn borrow(&self, user: &UserRef<'_, Sim<S>>) {
        sync::note("kthread_use_mm");
        let borrow = self.engine().borrow(user).expect("this CPU runs a kernel thread");
        self.uses_memory(true);
        self.uses_memory(false);
        sync::note("kthread_unuse_mm");
        drop(borrow);
    }

    /// Maps another space for a moment.
    pub fn patch(&self, space: usize, returns_to_user: bool) {
        let temporary = self.user(space);
        sync::note("temporary space");
        self.uses_memory(false);
        let body = || {
            self.uses_memory(true);
            self.uses_memory(false);
        };
        // SAFETY: 1. the thread's reference is counted, and given up by none of the verbs in between.
        unsafe { self.engine().with_temporary_space(&temporary, body) };
        if returns_to_user {
            self.uses_memory(true);
        }
        let _ = temporary.into_handle();
    }

    /// Asks idle members to leave the mask.
    pub fn trim(&self, space: usize) {
        sync::note("trim");
        self.engine().trim(self.space(space));
    }

    /// Asks the same and goes on as where a callback unwinds when all have been asked.
    pub fn trim_that_unwinds(&self, space: usize) {
        sync::note("trim that unwinds");
        self.engine().trim_that_unwinds(self.space(space));
    }

    /// Goes off line and comes back.
    pub fn cycle(&self) {
        self.go_offline();
        self.come_online();
    }

    /// Goes off line, for good if nothing comes after.
    pub fn go_offline(&self) {
        sync::note("offline");
        self.uses_memory(false);
        // The CPU runs no more code: interrupts stay off until it comes back.
        sync::irq_save();
        // An idle thread runs by now, which is lazy.
        self.engine().enter_lazy();
        self.engine().offline_cpu();
    }

    /// Comes on line.
    pub fn come_online(&self) {
        sync::note("online");
        if self.world.resets {
            sync::lose_interrupts(1 << IPI);
        }
        hw::online();
        self.engine().online_cpu().expect("a mask holds eight CPUs");
        sync::irq_restore(true);
    }

    /// The CPU's number.
    pub fn id(&self) -> usize {
        self.id
    }
}

pub(crate) fn whole_table() -> PageRange {
    PageRange::new(page_address(0), 2, PageSize::Size4K).expect("two pages from 0")
}
