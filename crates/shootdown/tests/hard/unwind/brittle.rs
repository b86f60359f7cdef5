//! Masks, tag policies and handles whose every method may unwind, and that know whether their space is gone.

use crate::machine::bomb::{Callback, When};
use crate::machine::state::{Everywhere, OnDefer, State, Unwinding};
use crate::machine::{self, Machine, User, storage};
use shootdown::mask::{CpuMask, MaskStore, MaskSummary, MaskWord, OnLeave};
use shootdown::refs::SpaceHandle;
use shootdown::tags::{
    Assignment, FlushByBroadcast, FlushByIpi, FlushMethod, GlobalAsids, GlobalOverLocal, PerCpuSlots,
    PinTags, ShareTags, Tag, TagCpu, TagPolicy, TagSpace, TagStorage, TagsError, VersionedContexts, Vmids,
};
use shootdown::{AddressSpace, Shootdown};
use std::cell::Cell;
use std::ptr::NonNull;

pub const CPUS: u32 = 3;

/// A kind of machine, by its tags.
pub trait Kind:
    machine::Kind<Mask = Mask, Handle = Counted<Self>, Tags = Brittle<<Self as Kind>::Policy>>
{
    type Policy: TagPolicy + 'static;
    fn policy(state: &'static State) -> Self::Policy;
    /// What only this kind can do with a space, if anything.
    fn share(engine: &Shootdown<Machine<Self>>, space: &AddressSpace<Machine<Self>>) {
        let _ = (engine, space);
    }
}

/// A machine whose CPUs are on line.
pub fn world<K: Kind>() -> &'static Machine<K> {
    let state = State::new(CPUS);
    state.walks.set(true);
    state.on_defer.set(OnDefer::Finish);
    state.unwinding.set(Unwinding::Recovers);
    // After a stall.
    state.device.answers_at.set(K::STALL_POLLS + 1);
    machine::machine(state, Mask::new(state), Brittle(K::policy(state), state))
}

/// A space, with its one user.
pub fn space<K: Kind>(world: &Machine<K>, root: u64) -> User<K> {
    let space = world.engine().new_space(root, Mask::new(world.state)).expect("the masks are equally large");
    let registered = world.engine().register(Counted::new(space, world.state));
    registered.map_err(|(refused, _)| refused).expect("it is new")
}

/// A mask that belongs to a space or to the machine.
pub struct Mask {
    words: CpuMask<3>,
    state: &'static State,
    /// Identity of its space, once that is known.
    pub of: Cell<u64>,
}

impl Mask {
    pub fn new(state: &'static State) -> Self {
        Self { words: CpuMask::new(), state, of: Cell::new(u64::MAX) }
    }
}

// SAFETY: each machine is used by one thread.
unsafe impl Sync for Mask {}

// SAFETY: 1. and 2. those of the field.
unsafe impl MaskStore for Mask {
    fn words(&self) -> &[MaskWord] {
        self.state.uses(self.of.get(), "the mask");
        self.state.calls(Callback::MaskWords, When::Before);
        self.words.words()
    }
    fn summary(&self) -> Option<&MaskSummary> {
        self.state.uses(self.of.get(), "the summary");
        self.state.calls(Callback::MaskSummary, When::Before);
        self.words.summary()
    }
}

/// A policy whose every method may unwind.
pub struct Brittle<T>(T, &'static State);

// SAFETY: each machine is used by one thread.
unsafe impl<T> Sync for Brittle<T> {}

impl<T> Brittle<T> {
    fn around<R>(&self, callback: Callback, body: impl FnOnce(&T) -> R) -> R {
        self.1.around(callback, || body(&self.0))
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
    fn begin_share(&self, space: TagSpace<'_, T::Space>) -> Result<Tag, TagsError> {
        self.around(Callback::TagShare, |tags| tags.begin_share(space))
    }
    fn finish_share(&self, space: TagSpace<'_, T::Space>) {
        self.around(Callback::TagShare, |tags| tags.finish_share(space));
    }
}

impl<T: PinTags> PinTags for Brittle<T> {
    fn pin(&self, space: &T::Space) -> Result<Tag, TagsError> {
        self.around(Callback::TagShare, |tags| tags.pin(space))
    }
    fn unpin(&self, space: &T::Space) {
        self.around(Callback::TagShare, |tags| tags.unpin(space));
    }
}

/// A counted pointer. Under Miri the memory goes with the last one; otherwise it stays, and a use after that is
/// detected.
pub struct Counted<K: machine::Kind>(NonNull<Object<K>>);

pub struct Object<K: machine::Kind> {
    space: AddressSpace<Machine<K>>,
    state: &'static State,
    handles: Cell<u32>,
}

impl<K: machine::Kind<Mask = Mask>> Counted<K> {
    fn new(space: AddressSpace<Machine<K>>, state: &'static State) -> Self {
        space.mask().of.set(space.id().number());
        let object = Box::new(Object { space, state, handles: Cell::new(1) });
        Self(NonNull::from(Box::leak(object)))
    }
}

impl<K: machine::Kind> Counted<K> {
    fn object(&self) -> &Object<K> {
        // SAFETY: this handle is one of those that are counted, so the memory is there.
        unsafe { self.0.as_ref() }
    }
}

// SAFETY: 1. it is a field of the object; 2. the object goes with the last handle.
unsafe impl<K: machine::Kind> SpaceHandle<Machine<K>> for Counted<K> {
    fn space(&self) -> &AddressSpace<Machine<K>> {
        let object = self.object();
        object.state.calls(Callback::HandleSpace, When::Before);
        &object.space
    }
}

impl<K: machine::Kind> Clone for Counted<K> {
    fn clone(&self) -> Self {
        let object = self.object();
        object.state.calls(Callback::HandleClone, When::Before);
        object.handles.set(object.handles.get() + 1);
        Self(self.0)
    }
}

impl<K: machine::Kind> Drop for Counted<K> {
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

/// As few tags as there may be, so that they change hands often.
const TAGS: u32 = CPUS + 2;

macro_rules! kinds {
    ($($name:ident: $policy:ty = $make:expr; { $($consts:item)* } { $($more:item)* })*) => {$(
        pub struct $name;
        impl machine::Kind for $name {
            type Mask = Mask;
            type Handle = Counted<Self>;
            type Tags = Brittle<$policy>;
            fn mask(state: &'static State) -> Mask {
                Mask::new(state)
            }
            $($consts)*
        }
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
    Exact: PerCpuSlots<2> = |_| PerCpuSlots; {} {}
    Kept: PerCpuSlots<2> = |_| PerCpuSlots; {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
        const FLUSHES_ON_ENTRY: bool = true;
    } {}
    Ipis: GlobalAsids<'static, FlushByIpi> = |_| GlobalAsids::new(TAGS, storage(CPUS, TAGS)).expect("enough"); {} {
        fn share(engine: &Shootdown<Machine<Self>>, space: &AddressSpace<Machine<Self>>) {
            if engine.pin_tag(space).is_ok() {
                engine.unpin_tag(space);
            }
        }
    }
    Broadcasts: GlobalAsids<'static, FlushByBroadcast> = |_| GlobalAsids::new(TAGS, storage(CPUS, TAGS)).expect("enough"); {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
    } {}
    Versions: VersionedContexts<'static, 3> = |_| VersionedContexts::new(TAGS, storage(CPUS, TAGS)).expect("enough"); {} {}
    Shared: GlobalOverLocal<'static, Everywhere, 2> = |state| {
        let TagStorage { taken, pinned, .. } = storage(CPUS, TAGS);
        GlobalOverLocal::new(Tag::new(3), TAGS, taken, pinned, Everywhere(state)).expect("enough")
    }; {} {
        fn share(engine: &Shootdown<Machine<Self>>, space: &AddressSpace<Machine<Self>>) {
            let _ = engine.share_tag(space);
        }
    }
    Devices: PerCpuSlots<2> = |_| PerCpuSlots; {
        const SECONDARY_TLBS: bool = true;
    } {}
    Guests: Vmids<'static, Everywhere> =
        |state| Vmids::new(TAGS, storage(CPUS, TAGS), Everywhere(state)).expect("enough"); {} {}
}
