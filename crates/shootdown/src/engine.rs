//! One machine's engine: spaces come and go, CPUs go on and off line.

use crate::clock::Clock;
use crate::fault::{Rule, Site, without};
use crate::handles::{StructHandle, TeardownHandle, UserHandle};
use crate::here::Here;
use crate::mask::Members;
use crate::misuse::Identity;
use crate::platform::{Platform, SpaceHandle, Span};
use crate::refs::{StructRef, Teardown, UserRef};
use crate::space::{AddressSpace, FRESH};
use crate::sync::{UNWINDS, Word, const_fn};
use crate::tags::TagPolicy;
use crate::types::{CpuId, SpaceId};
use crate::{
    event::Event,
    percpu::{Bell, Loaded},
};
use core::fmt;
use core::sync::atomic::Ordering;

/// The engine of one machine. All of its methods take `&self`; none allocates, and none waits unless it says so.
pub struct Shootdown<P: Platform> {
    platform: P,
    pub(crate) identity: Identity,
    /// Identities that CPUs have taken, in blocks.
    ids_taken: Word,
    online: P::Mask,
    pub(crate) kernel: Clock,
}

/// Identities that a CPU takes at a time.
#[cfg(not(any(shootdown_explore, shootdown_loom, shootdown_shuttle)))]
const ID_BLOCK: u64 = 64;
/// The same, small enough that the checkers see a block run out.
#[cfg(any(shootdown_explore, shootdown_loom, shootdown_shuttle))]
const ID_BLOCK: u64 = 2;

/// Why an operation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The CPU's number does not fit a mask of this capacity.
    CpuTooLarge(CpuId, usize),
    /// The mask of a space holds fewer CPUs (first) than the machine's (second).
    MaskTooSmall(usize, usize),
    /// The space was adopted before.
    AlreadyAdopted(SpaceId),
    /// This CPU runs a user thread: only a kernel thread may borrow.
    NotAKernelThread(CpuId),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::CpuTooLarge(cpu, capacity) => {
                write!(f, "{cpu} does not fit a mask of {capacity} CPUs; give the machine a larger mask")
            }
            Refused::MaskTooSmall(space, machine) => {
                write!(f, "mask for {space} CPUs on a machine of {machine}; give the space as many words")
            }
            Refused::AlreadyAdopted(id) => {
                write!(f, "space {} was adopted before; clone its first reference instead", id.0)
            }
            Refused::NotAKernelThread(cpu) => {
                write!(f, "{cpu} runs a user thread with a space of its own; borrow from a kernel thread")
            }
        }
    }
}

impl core::error::Error for Refused {}

impl<P: Platform> Shootdown<P> {
    const_fn! {
        /// Makes the engine of a machine; `online` is an empty mask with room for every CPU.
        pub fn new(platform: P, online: P::Mask) -> Self {
            Self { platform, identity: Identity::new(), ids_taken: Word::new("ids_taken", 0), online, kernel: Clock::new() }
        }
    }

    /// The platform.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// Makes the engine's part of a space; put it into your own object and hand that to [`adopt`](Self::adopt). The calling
    /// CPU's memory must be in place; it need not be on line.
    ///
    /// Use a space only with the engine that made it: another one of the same type panics, in release builds too.
    ///
    /// # Errors
    /// [`Refused::MaskTooSmall`].
    pub fn new_space(&self, root: P::Root, mask: P::Mask) -> Result<AddressSpace<P>, Refused> {
        let (space, machine) = (Members::of(&mask).capacity(), self.online().capacity());
        if space < machine {
            return Err(Refused::MaskTooSmall(space, machine));
        }
        Ok(AddressSpace::new(
            self.new_id(),
            self.identity.get_or_take(),
            root,
            mask,
            self.platform.tags().new_space(),
        ))
    }

    /// Takes an identity from this CPU's block, so that CPUs that make spaces share no line but once a block. Identities are
    /// compared for being the same and nothing else (SD-12).
    fn new_id(&self) -> SpaceId {
        let here = Here::enter(self, Span::Create);
        let last = &here.local.own.last_id;
        // ORDER: relaxed, as only this CPU uses it, and no interrupt comes in between.
        let mut used = last.load(Ordering::Relaxed);
        if used % ID_BLOCK == 0 {
            // ORDER: relaxed; only uniqueness matters (`spaces_made_at_once`).
            used = self.ids_taken.fetch_add(ID_BLOCK, Ordering::Relaxed);
        }
        last.store(used + 1, Ordering::Relaxed);
        SpaceId(used + 1)
    }

    /// Starts counting references to a new space and returns the first one.
    ///
    /// # Errors
    /// [`Refused::AlreadyAdopted`], with the handle.
    ///
    /// # Panics
    /// If another engine made the space.
    pub fn adopt(&self, handle: P::Handle) -> Result<UserRef<'_, P>, (Refused, P::Handle)> {
        let space = handle.space();
        self.must_own(space);
        // ORDER: relaxed; only this CPU knows the space as counted, until it hands on the reference that is returned.
        if space.structs.compare_exchange(FRESH, 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            let refused = Refused::AlreadyAdopted(space.id());
            return Err((refused, handle));
        }
        space.users.store(1, Ordering::Relaxed);
        Ok(UserRef::counted(self, handle))
    }

    /// Puts a user reference together that [`UserRef::into_handle`] took apart.
    ///
    /// # Panics
    /// If another engine made the space, which then leaks.
    pub fn user_from_handle(&self, handle: UserHandle<P>) -> UserRef<'_, P> {
        self.must_own(&handle);
        UserRef::counted(self, handle.into_counted())
    }

    /// Puts a struct reference together that [`StructRef::into_handle`] took apart.
    ///
    /// # Panics
    /// If another engine made the space, which then leaks.
    pub fn struct_from_handle(&self, handle: StructHandle<P>) -> StructRef<'_, P> {
        self.must_own(&handle);
        StructRef::counted(self, handle.into_counted())
    }

    /// Takes up a teardown that [`Teardown::into_handle`] took apart.
    ///
    /// # Panics
    /// If another engine made the space, which then leaks.
    pub fn teardown_from_handle(&self, handle: TeardownHandle<P>) -> Teardown<'_, P> {
        self.must_own(&handle);
        Teardown::counted(self, handle.into_counted())
    }

    /// Brings the calling CPU on line: from now on it takes part in kernel-memory flushes and may load spaces. Its TLB
    /// may hold anything before (SD-13). On a CPU that is on line already it flushes everything, and what is loaded stays.
    ///
    /// # Errors
    /// [`Refused::CpuTooLarge`].
    pub fn online_cpu(&self) -> Result<(), Refused> {
        let here = Here::enter(self, Span::Hotplug);
        let (me, capacity) = (here.me(), self.online().capacity());
        if me.index() >= capacity {
            return Err(Refused::CpuTooLarge(me, capacity));
        }
        let newcomer = Newcomer { engine: self, me: (UNWINDS && !self.online().contains(me)).then_some(me) };
        self.online().add_self(me);
        // ORDER(SD-13): as at switch-in: either a flush of kernel memory sees this CPU on line, or this CPU sees the
        // flush's generation; partner: the fence in `send_kernel`.
        Site::OnlineFence.full_fence();
        let kernel = self.kernel.now();
        if !without(Rule::HotplugFlushes) {
            here.flush_everything();
        }
        // ORDER(SD-6): relaxed. What this CPU did before the online fence is ordered by that fence, which is a release
        // fence too; since then it has only flushed, which is complete on return (`back_on_line_vs_kernel_flush`).
        here.local.published.kernel_caught.store(kernel, Ordering::Relaxed);
        core::mem::forget(newcomer);
        // Who rang in this CPU's former life may still wait for an answer (a trim), and while the bell is up nobody kicks.
        here.serve();
        if here.loaded() == Loaded::OFF_LINE {
            here.publish_loaded(Loaded::NOTHING);
        }
        self.platform.event(Event::Online);
        Ok(())
    }

    /// Takes the calling CPU off line: it leaves every space, flushes everything, and then is no longer waited for. The
    /// caller only halts it from here on, and brings it back with [`online_cpu`](Self::online_cpu). On a CPU that is off line
    /// already it flushes, and nothing more.
    ///
    /// # Panics
    /// If user code runs on this CPU: call [`enter_lazy`](Self::enter_lazy) first.
    pub fn offline_cpu(&self) {
        let here = Here::enter(self, Span::Hotplug);
        here.leave_unless_active();
        here.flush_everything();
        self.platform.quiesce();
        self.online().remove_self(here.me());
        here.publish_loaded(Loaded::OFF_LINE);
        self.platform.event(Event::Offline);
    }

    /// Last struct reference gone: makes every CPU leave the root, then frees it, once (SD-10).
    pub(crate) fn free_space(&self, space: &AddressSpace<P>) {
        if !without(Rule::TeardownEvicts) {
            self.evict(space);
        }
        if P::Tags::RETIRES {
            let _here = Here::enter(self, Span::Tags);
            self.platform.tags().retire(space.tag_space());
        }
        self.platform.event(Event::RootFreed(space.id()));
        crate::hw::free_root(&self.platform, space);
    }

    /// Makes every CPU leave `space`, which has no references left: nobody can begin to use it (that is what owning the
    /// last reference means), and whoever still has it loaded is lazy on it.
    fn evict(&self, space: &AddressSpace<P>) {
        {
            let here = Here::enter(self, Span::Leave);
            if here.loaded().address() == space.address() {
                here.leave();
            }
            space.members().for_each_other(Some(here.me()), |cpu| {
                let loaded = self.loaded_of(cpu);
                if loaded.address() == space.address() || loaded == Loaded::SWITCHING {
                    self.ring(cpu);
                }
            });
        }
        space.members().for_each_other(None, |cpu| {
            self.wait_for(cpu, &|| {
                let loaded = self.loaded_of(cpu);
                loaded.address() != space.address() && loaded != Loaded::SWITCHING
            });
        });
    }

    /// The generation of kernel memory, for a checker's judge to watch.
    #[cfg(shootdown_explore)]
    pub fn kernel_generation(&self) -> &Word {
        self.kernel.cell()
    }

    /// Rings `cpu`, with an interrupt unless it is rung already or listens. Called pinned or with interrupts off.
    pub(crate) fn ring(&self, cpu: CpuId) {
        let platform = self.platform();
        let counters = &platform.local(platform.cpu()).own.counters;
        // ORDER(SD-6): the request (a generation, an empty count, a trim address) before the ring; partner:
        // `CpuLocal::exchange_bell`.
        // Where the bell was up, its answer is still to come and will see the request; where that CPU listens, it answers
        // by itself; where an interrupt is on its way to it, that one's handler will.
        let bell = Bell(platform.local(cpu).mail.rung.fetch_add(Bell::RUNG.0, Site::Ring.release()));
        if bell != Bell::QUIET {
            return if bell.listens() { counters.heard.bump() } else { counters.merged.bump() };
        }
        counters.sent.bump();
        platform.kick(cpu);
        platform.event(Event::Rang(cpu));
    }

    /// What `cpu` says it has loaded.
    pub(crate) fn loaded_of(&self, cpu: CpuId) -> Loaded {
        // ORDER(SD-8): what that CPU did before it published this is over; partner: `Cpu::publish_loaded`.
        Loaded(self.platform.local(cpu).published.loaded.load(Site::LoadedSeen.acquire()))
    }

    pub(crate) fn online(&self) -> Members<'_, P::Mask> {
        Members::of(&self.online)
    }
}

/// A CPU that comes on line. Dropped while a callback unwinds, it is off line again: its TLB may hold anything (SD-13).
struct Newcomer<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    /// Nothing where it was on line before, and kept its TLB in order.
    me: Option<CpuId>,
}

impl<P: Platform> Drop for Newcomer<'_, P> {
    #[cold]
    fn drop(&mut self) {
        if let Some(me) = self.me {
            self.engine.online().remove_self(me);
        }
    }
}

impl<P: Platform> fmt::Debug for Shootdown<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shootdown").finish_non_exhaustive()
    }
}
