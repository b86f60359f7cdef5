//! A platform over the machine, its tag policies, and a handle that knows whether its space is gone.

use super::state::{CPUS, Callback, Everywhere, Hardware, Mask, State, When};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, Remote, RemoteFlush, VirtAddr};
use shootdown::mask::OnLeave;
use shootdown::refs::{SpaceHandle, Teardown, UserRef};
use shootdown::tags::{
    Assignment, CpuTags, FlushByBroadcast, FlushByIpi, FlushMethod, GlobalAsids, GlobalOverLocal, OnInstall,
    PerCpuSlots, PinError, PinTags, ShareError, ShareTags, Tag, TagCpu, TagPolicy, TagSpace, TagStorage,
    TagWord, VersionedContexts, Vmids, tag_words,
};
use shootdown::trace::Event;
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::cell::{Cell, OnceCell, RefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// A kind of machine.
pub trait Kind: Sized + 'static {
    type Policy: TagPolicy + 'static;
    const ON_LEAVE: OnLeave = OnLeave::RemoveBit;
    const FLUSHES_ON_ENTRY: bool = false;
    fn policy(state: &'static State) -> Self::Policy;
    /// What only this kind can do with a space, if anything.
    fn share(engine: &Shootdown<World<Self>>, space: &AddressSpace<World<Self>>) {
        let _ = (engine, space);
    }
}

pub struct World<K: Kind> {
    pub state: &'static State,
    locals: Vec<CpuLocal>,
    tags: Brittle<K::Policy>,
    engine: OnceCell<&'static Shootdown<Self>>,
}

pub type User<K> = UserRef<'static, World<K>>;

// SAFETY: each machine is used by one thread.
unsafe impl<K: Kind> Sync for World<K> {}

pub struct Pinned(&'static State);

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.ends(Callback::PinDrop);
    }
}

impl<K: Kind> World<K> {
    fn here(&self) -> RefMut<'static, Hardware> {
        RefMut::map(self.state.hardware.borrow_mut(), |cpus| &mut cpus[self.state.cpu.get() as usize])
    }

    fn around<R>(&self, callback: Callback, body: impl FnOnce() -> R) -> R {
        self.state.calls(callback, When::Before);
        let answer = body();
        self.state.calls(callback, When::After);
        answer
    }

    pub fn engine(&self) -> &'static Shootdown<Self> {
        self.engine.get().expect("the engine is made first")
    }

    /// An IPI on `cpu`. The code that it interrupts does not see that the handler unwinds.
    pub fn interrupt(&self, cpu: u32) {
        // SAFETY: 1. nothing interrupts the thread that plays the CPUs; 2. interrupts come where CPU `cpu` has them on.
        let handler = AssertUnwindSafe(|| self.state.on(cpu, || unsafe { self.engine().handle_ipi() }));
        if let Err(panic) = catch_unwind(handler) {
            super::is_explosion(&*panic);
        }
    }

    /// What a CPU does after a panic in one of its callbacks was caught.
    pub fn recover(&self, cpu: u32) {
        self.state.hardware.borrow_mut()[cpu as usize].active = false;
        self.state.on(cpu, || {
            self.engine().enter_lazy();
            self.engine().leave();
            self.engine().online_cpu().expect("it fits");
        });
        self.state.hardware.borrow_mut()[cpu as usize].online = true;
    }

    fn poll(&self, polls: u64) {
        for cpu in self.state.pending_ipis.take() {
            if self.state.masked.borrow().contains(&cpu) {
                self.state.pending_ipis.borrow_mut().push(cpu);
            } else {
                self.interrupt(cpu);
            }
        }
        // A CPU on which a callback panicked goes on some time later.
        let away = self.state.exploded.get().filter(|&cpu| cpu != self.state.cpu.get());
        if let Some(cpu) = away.filter(|_| polls == 20 && !self.state.stays_away.get()) {
            self.recover(cpu);
        }
    }
}

// SAFETY: 1. `on` sets the number; 2. a fixed vector; 3. one thread; 4. the model does as told, or unwinds; 5. the target of
// an IPI handles it when a waiter polls; 6. the model drops the tag on all CPUs.
unsafe impl<K: Kind> Platform for World<K> {
    type Root = u64;
    type Mask = Mask;
    type Handle = Residue<K>;
    type Tags = Brittle<K::Policy>;
    type Pin = Pinned;
    const STALL_POLLS: u64 = 4;
    const ON_LEAVE: OnLeave = K::ON_LEAVE;
    const FLUSHES_ON_ENTRY: bool = K::FLUSHES_ON_ENTRY;

    fn pin(&self) -> Pinned {
        self.state.calls(Callback::Pin, When::Before);
        self.state.open.set(self.state.open.get() + 1);
        Pinned(self.state)
    }
    fn cpu(&self) -> CpuId {
        self.state.calls(Callback::Cpu, When::Before);
        CpuId::new(self.state.cpu.get())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        self.state.calls(Callback::Local, When::Before);
        &self.locals[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.state.calls(Callback::IrqSave, When::Before);
        self.state.open.set(self.state.open.get() + 1);
        true
    }
    fn irq_restore(&self, _: bool) {
        self.state.open.set(self.state.open.get() - 1);
        self.state.ends(Callback::IrqRestore);
    }
    fn tags(&self) -> &Self::Tags {
        self.state.calls(Callback::Tags, When::Before);
        &self.tags
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.around(Callback::FlushLocal, || {
            let mut cpu = self.here();
            match (what.tag, what.request.range()) {
                (Some(tag), Some(range)) => {
                    cpu.tlb.retain(|&(of, page), _| of != tag.number() || !holds(range, page));
                }
                (Some(tag), None) => cpu.tlb.retain(|&(of, _), _| of != tag.number()),
                (None, Some(range)) => cpu.kernel.retain(|&page, _| !holds(range, page)),
                (None, None) => {
                    cpu.tlb.clear();
                    cpu.kernel.clear();
                }
            }
        });
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        self.around(Callback::Install, || {
            if root.is_some_and(|root| self.state.freed_roots.borrow().contains(&root)) {
                self.state.find(format!("root {root:x?} is loaded, which was freed"));
            }
            let mut cpu = self.here();
            (cpu.root, cpu.tag) = (root, tag.number());
            if how == OnInstall::Flush {
                cpu.tlb.retain(|&(of, _), _| of != tag.number());
            }
        });
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.around(Callback::SendIpi, || self.state.pending_ipis.borrow_mut().push(cpu.number()));
    }
    unsafe fn free_root(&self, space: &AddressSpace<Self>) {
        self.around(Callback::FreeRoot, || {
            let root = space.root();
            if self.state.hardware.borrow().iter().any(|cpu| cpu.root == Some(root)) {
                self.state.find(format!("root {root:#x} is freed while it is loaded"));
            }
            if !self.state.freed_roots.borrow_mut().insert(root) {
                self.state.find(format!("root {root:#x} is freed twice"));
            }
        });
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.around(Callback::DeferTeardown, || teardown.finish());
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        self.around(Callback::FlushRemote, || {
            let Some(tag) = what.tag else { return Remote::NeedsIpi };
            for cpu in self.state.hardware.borrow_mut().iter_mut() {
                cpu.tlb.retain(|&(of, _), _| of != tag.number());
            }
            Remote::Done
        })
    }
    fn needs_ack(&self, _: CpuId) -> bool {
        self.state.calls(Callback::NeedsAck, When::Before);
        true
    }
    fn flush_on_entry(&self, _: CpuId) -> bool {
        self.state.calls(Callback::Defer, When::Before);
        false
    }
    fn publish_tables(&self) {
        self.state.calls(Callback::PublishTables, When::Before);
    }
    fn relax(&self, polls: u64) {
        self.around(Callback::Relax, || {
            if polls > 200 {
                self.state.find(format!("CPU {} waits for ever", self.state.cpu.get()));
                panic!("a wait goes on for ever");
            }
            self.poll(polls);
        });
    }
    fn stalled(&self, _: CpuId, _: u64) {
        self.state.calls(Callback::Stalled, When::Before);
    }
    fn before_offline(&self) {
        self.state.calls(Callback::BeforeOffline, When::Before);
    }
    fn gathered(&self, _: Option<&AddressSpace<Self>>, _: FlushRequest) -> u64 {
        self.state.calls(Callback::Gathered, When::Before);
        1
    }
    fn released(&self, _: u64) {
        self.state.calls(Callback::Released, When::Before);
    }
    fn event(&self, event: Event) {
        if let Event::Switched(id) | Event::Left(id) | Event::CaughtUp(id, _) = event {
            self.state.uses(id.number(), "an event");
        }
        self.state.calls(Callback::Event, When::Before);
    }
}

fn holds(range: PageRange, page: u64) -> bool {
    let first = range.start().0 >> 12;
    page >= first && page - first < range.count() << (range.size().shift() - 12)
}

pub fn page_range(page: u64) -> PageRange {
    PageRange::page(VirtAddr(page << 12))
}

/// A policy whose every method may unwind.
pub struct Brittle<T>(T, &'static State);

// SAFETY: each machine is used by one thread.
unsafe impl<T> Sync for Brittle<T> {}

impl<T> Brittle<T> {
    fn around<R>(&self, callback: Callback, body: impl FnOnce(&T) -> R) -> R {
        self.1.calls(callback, When::Before);
        let answer = body(&self.0);
        self.1.calls(callback, When::After);
        answer
    }
}

// SAFETY: 1. to 4. as the policy inside.
unsafe impl<T: TagPolicy> TagPolicy for Brittle<T> {
    type Space = T::Space;
    const ENTRIES_SURVIVE_SWITCH: bool = T::ENTRIES_SURVIVE_SWITCH;
    const NEEDS_NULL_ROOT: bool = T::NEEDS_NULL_ROOT;
    const CAN_REASSIGN: bool = T::CAN_REASSIGN;
    const FREES_TAGS: bool = true;

    fn new_space(&self) -> T::Space {
        self.around(Callback::TagNewSpace, T::new_space)
    }
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, T::Space>) -> Assignment {
        self.1.uses(space.id.number(), "a tag");
        self.around(Callback::TagAssign, |tags| tags.assign(cpu, space))
    }
    fn on_switch_out(&self, cpu: TagCpu<'_>, space: TagSpace<'_, T::Space>, tag: Tag, generation: u64) {
        self.1.uses(space.id.number(), "the tag that is left");
        self.around(Callback::TagOnSwitchOut, |tags| tags.on_switch_out(cpu, space, tag, generation));
    }
    fn on_unload(&self, cpu: TagCpu<'_>) {
        if self.1.hardware.borrow()[cpu.id.index()].root.is_some() {
            self.1.find(format!("{} has a root loaded, and its policy is told that it has none", cpu.id));
        }
        self.around(Callback::TagOnUnload, |tags| tags.on_unload(cpu));
    }
    fn flushed(&self, cpu: TagCpu<'_>) {
        self.around(Callback::TagFlushed, |tags| tags.flushed(cpu));
    }
    fn reassigned(&self, space: &T::Space, tag: Tag) -> Option<Tag> {
        self.around(Callback::TagReassigned, |tags| tags.reassigned(space, tag))
    }
    fn flush_method(&self, space: &T::Space) -> FlushMethod {
        self.around(Callback::TagFlushMethod, |tags| tags.flush_method(space))
    }
    fn retire(&self, space: TagSpace<'_, T::Space>) {
        self.around(Callback::TagRetire, |tags| tags.retire(space));
    }
}

impl<T: ShareTags> ShareTags for Brittle<T> {
    fn begin_share(&self, space: TagSpace<'_, T::Space>) -> Result<Tag, ShareError> {
        self.around(Callback::TagShare, |tags| tags.begin_share(space))
    }
    fn finish_share(&self, space: TagSpace<'_, T::Space>) {
        self.around(Callback::TagShare, |tags| tags.finish_share(space));
    }
}

impl<T: PinTags> PinTags for Brittle<T> {
    fn pin(&self, space: &T::Space) -> Result<Tag, PinError> {
        self.around(Callback::TagShare, |tags| tags.pin(space))
    }
    fn unpin(&self, space: &T::Space) {
        self.around(Callback::TagShare, |tags| tags.unpin(space));
    }
}

/// A counted pointer. Under Miri the memory goes with the last one; else it stays, and whoever uses it is found out.
pub struct Residue<K: Kind>(NonNull<Object<K>>);

pub struct Object<K: Kind> {
    space: AddressSpace<World<K>>,
    state: &'static State,
    handles: Cell<u32>,
}

impl<K: Kind> Residue<K> {
    pub fn new(space: AddressSpace<World<K>>, state: &'static State) -> Self {
        space.mask().of.set(space.id().number());
        let object = Box::new(Object { space, state, handles: Cell::new(1) });
        Self(NonNull::from(Box::leak(object)))
    }

    fn object(&self) -> &Object<K> {
        // SAFETY: this handle is one of those that are counted, so the memory is there.
        unsafe { self.0.as_ref() }
    }
}

// SAFETY: 1. it is a field of the object; 2. the object goes with the last handle.
unsafe impl<K: Kind> SpaceHandle<World<K>> for Residue<K> {
    fn space(&self) -> &AddressSpace<World<K>> {
        let object = self.object();
        object.state.calls(Callback::HandleSpace, When::Before);
        &object.space
    }
}

impl<K: Kind> Clone for Residue<K> {
    fn clone(&self) -> Self {
        let object = self.object();
        object.state.calls(Callback::HandleClone, When::Before);
        object.handles.set(object.handles.get() + 1);
        Self(self.0)
    }
}

impl<K: Kind> Drop for Residue<K> {
    fn drop(&mut self) {
        let object = self.object();
        let (state, left) = (object.state, object.handles.get() - 1);
        object.handles.set(left);
        if left == 0 {
            state.goes(object.space.id().number(), object.space.root());
            if cfg!(miri) {
                // SAFETY: this was the last handle.
                drop(unsafe { Box::from_raw(self.0.as_ptr()) });
            }
        }
        state.ends(Callback::HandleDrop);
    }
}

/// A machine whose CPUs are on line.
pub fn world<K: Kind>() -> &'static World<K> {
    let state = State::new();
    let world = World {
        state,
        locals: (0..CPUS).map(|_| CpuLocal::new()).collect(),
        tags: Brittle(K::policy(state), state),
        engine: OnceCell::new(),
    };
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(world, Mask::new(state))));
    let world = engine.platform();
    assert!(world.engine.set(engine).is_ok());
    (0..CPUS).for_each(|cpu| world.recover(cpu));
    world
}

/// A space, with its one user.
pub fn space<K: Kind>(world: &World<K>, root: u64) -> User<K> {
    let space = world.engine().new_space(root, Mask::new(world.state)).expect("the masks are equally large");
    let registered = world.engine().register(Residue::new(space, world.state));
    registered.map_err(|(refused, _)| refused).expect("it is new")
}

fn storage(tags: u32) -> TagStorage<'static> {
    let words = |count| Vec::leak((0..count).map(|_| TagWord::new()).collect());
    TagStorage {
        taken: words(tag_words(tags)),
        pinned: words(tag_words(tags)),
        cpus: Vec::leak((0..CPUS).map(|_| CpuTags::new()).collect()),
        caught: words(CPUS as usize * tags as usize),
    }
}

/// As few tags as there may be, so that they change hands often.
const TAGS: u32 = CPUS + 2;

macro_rules! kinds {
    ($($name:ident: $policy:ty = $make:expr; { $($more:item)* })*) => {$(
        pub struct $name;
        impl Kind for $name {
            type Policy = $policy;
            fn policy(state: &'static State) -> $policy {
                let make: fn(&'static State) -> $policy = $make;
                make(state)
            }
            $($more)*
        }
    )*};
}

kinds! {
    Exact: PerCpuSlots<2> = |_| PerCpuSlots; {}
    Kept: PerCpuSlots<2> = |_| PerCpuSlots; {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
        const FLUSHES_ON_ENTRY: bool = true;
    }
    Ipis: GlobalAsids<'static, FlushByIpi> = |_| GlobalAsids::new(TAGS, storage(TAGS)).expect("enough"); {
        fn share(engine: &Shootdown<World<Self>>, space: &AddressSpace<World<Self>>) {
            if engine.pin_tag(space).is_ok() {
                engine.unpin_tag(space);
            }
        }
    }
    Broadcasts: GlobalAsids<'static, FlushByBroadcast> = |_| GlobalAsids::new(TAGS, storage(TAGS)).expect("enough"); {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
    }
    Versions: VersionedContexts<'static, 3> = |_| VersionedContexts::new(TAGS, storage(TAGS)).expect("enough"); {}
    Shared: GlobalOverLocal<'static, Everywhere, 2> = |state| {
        let TagStorage { taken, pinned, .. } = storage(TAGS);
        GlobalOverLocal::new(Tag::new(3), TAGS, taken, pinned, Everywhere(state)).expect("enough")
    }; {
        fn share(engine: &Shootdown<World<Self>>, space: &AddressSpace<World<Self>>) {
            let _ = engine.share_tag(space);
        }
    }
    Guests: Vmids<'static, Everywhere> =
        |state| Vmids::new(TAGS, storage(TAGS), Everywhere(state)).expect("enough"); {}
}
