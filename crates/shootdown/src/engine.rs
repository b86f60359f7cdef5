//! One machine's engine: spaces come and go, CPUs go on and off line.

use crate::fault::{Rule, Site, without};
use crate::handles::{StructHandle, TeardownHandle, UserHandle};
use crate::history::FlushHistory;
use crate::mask::{CpuSet, Members};
use crate::misuse::Identity;
use crate::platform::{IrqReason, Platform, SpaceHandle};
use crate::refs::{StructRef, Teardown, UserRef};
use crate::space::{AddressSpace, FRESH};
use crate::sync::{UNWINDS, Word, const_fn};
use crate::tags::TagPolicy;
use crate::this_cpu::{Cpu, ThisCpu};
use crate::types::{CpuId, SpaceId};
use crate::{
    event::Event,
    percpu::{IpiState, Loaded},
};
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::Ordering;

/// The engine of one machine. All of its methods take `&self`; none allocates, and none waits unless it says so.
pub struct Shootdown<P: Platform> {
    platform: P,
    pub(crate) identity: Identity,
    /// Identities that CPUs have taken, in blocks.
    ids_taken: Word,
    /// No ticket of a space waits for a later generation. New spaces begin above it. So if a space reuses the address
    /// of one that is gone, an acknowledgement of the new one also satisfies a ticket of the old one.
    pub(crate) last_ticket: OwnLine,
    online: P::Mask,
    pub(crate) kernel: FlushHistory,
    /// Gathers of kernel memory that are open or retired, as a space has them.
    pub(crate) kernel_gathers: Word,
    /// The last position that a flush has posted to secondary TLBs.
    pub(crate) last_secondary: Word,
}

/// A word on a cache line of its own.
#[repr(align(64))]
pub(crate) struct OwnLine(pub(crate) Word);

/// Identities that a CPU takes at a time.
#[cfg(not(any(shootdown_explore, shootdown_loom)))]
const ID_BLOCK: u64 = 64;
/// The same, small enough that the checkers see a block run out.
#[cfg(any(shootdown_explore, shootdown_loom))]
const ID_BLOCK: u64 = 2;

/// Why an operation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineError {
    /// The CPU's number does not fit a mask of this capacity.
    CpuTooLarge(CpuId, usize),
    /// The mask of a space holds fewer CPUs (first) than the machine's (second).
    MaskTooSmall(usize, usize),
    /// The space was registered before.
    AlreadyRegistered(SpaceId),
    /// This CPU runs a user thread: only a kernel thread may borrow.
    NotAKernelThread(CpuId),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::CpuTooLarge(cpu, capacity) => {
                write!(f, "{cpu} does not fit a mask of {capacity} CPUs; give the machine a larger mask")
            }
            EngineError::MaskTooSmall(space, machine) => {
                write!(f, "mask for {space} CPUs on a machine of {machine}; give the space as many words")
            }
            EngineError::AlreadyRegistered(id) => {
                write!(f, "space {} was registered before; clone its first reference instead", id.0)
            }
            EngineError::NotAKernelThread(cpu) => {
                write!(f, "{cpu} runs a user thread with a space of its own; borrow from a kernel thread")
            }
        }
    }
}

impl core::error::Error for EngineError {}

impl<P: Platform> Shootdown<P> {
    const_fn! {
        /// Makes the engine of a machine; `online` is an empty mask with room for every CPU.
        pub fn new(platform: P, online: P::Mask) -> Self {
            Self {
                platform,
                identity: Identity::new(),
                ids_taken: Word::new("ids_taken", 0),
                last_ticket: OwnLine(Word::new("last_ticket", 0)),
                online,
                kernel: FlushHistory::new(),
                kernel_gathers: Word::new("kernel_gathers", 0),
                last_secondary: Word::new("last_secondary", 0),
            }
        }
    }

    /// The platform.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// Makes the engine's part of a space (Linux: `mm_alloc`); put it into your own object and hand that to
    /// [`register`](Self::register). The calling CPU's memory must be in place; it need not be on line.
    ///
    /// Use a space only with the engine that created it: another engine of the same type panics, in release builds too.
    ///
    /// # Errors
    /// [`EngineError::MaskTooSmall`].
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::mask::CpuMask;
    /// let space = ENGINE.new_space(0x1000, CpuMask::new())?;
    /// let other = ENGINE.new_space(0x1000, CpuMask::new())?;
    /// assert_ne!(space.id(), other.id());
    /// assert_eq!(space.users(), 0); // until it is registered
    /// # Ok::<(), shootdown::EngineError>(())
    /// ```
    pub fn new_space(&self, root: P::Root, mask: P::Mask) -> Result<AddressSpace<P>, EngineError> {
        let (space, machine) = (Members::of(&mask).capacity(), self.online().capacity());
        if space < machine {
            return Err(EngineError::MaskTooSmall(space, machine));
        }
        Ok(AddressSpace::new(
            self.new_id(),
            self.identity.get_or_take(),
            root,
            mask,
            self.platform.tags().new_space(),
            // ORDER: relaxed; a CPU that makes a space in the place of another got the memory from the CPU that freed it
            // (`spaces_made_at_once`).
            self.last_ticket.0.load(Ordering::Relaxed),
        ))
    }

    /// Takes an identity from this CPU's block, so that CPUs that make spaces share a line only once a block.
    /// Identities are only ever compared for equality (SD-12).
    fn new_id(&self) -> SpaceId {
        let this_cpu = ThisCpu::enter(self, IrqReason::Create);
        let last = &this_cpu.local.own.last_id;
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
    /// [`EngineError::AlreadyRegistered`], with the handle.
    ///
    /// # Panics
    /// If another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::{EngineError, mask::CpuMask};
    /// let space: &_ = Box::leak(Box::new(ENGINE.new_space(0x1000, CpuMask::new())?));
    /// let user = ENGINE.register(space).map_err(|(error, _)| error)?;
    /// assert_eq!(user.users(), 1);
    ///
    /// let (error, _) = ENGINE.register(space).unwrap_err();
    /// assert_eq!(error, EngineError::AlreadyRegistered(user.id()));
    /// # Ok::<(), EngineError>(())
    /// ```
    pub fn register(&self, handle: P::Handle) -> Result<UserRef<'_, P>, (EngineError, P::Handle)> {
        let space = handle.space();
        self.must_own(space);
        // ORDER: relaxed; only this CPU knows the space as counted, until it hands on the reference that is returned.
        if space.structs.compare_exchange(FRESH, 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            let refused = EngineError::AlreadyRegistered(space.id());
            return Err((refused, handle));
        }
        space.users.store(1, Ordering::Relaxed);
        Ok(UserRef::counted(self, handle))
    }

    /// Puts a user reference together that [`UserRef::into_handle`] took apart.
    ///
    /// # Panics
    /// If another engine made the space, which then leaks.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let user = boot(0x1000);
    /// let kept = user.into_handle(); // has no lifetime: a thread's control block can hold it
    /// assert_eq!(kept.users(), 1);
    /// let user = ENGINE.user_from_handle(kept);
    /// assert_eq!(user.users(), 1);
    /// ```
    pub fn user_from_handle(&self, handle: UserHandle<P>) -> UserRef<'_, P> {
        self.must_own(&handle);
        UserRef::counted(self, handle.into_counted())
    }

    /// Puts a struct reference together that [`StructRef::into_handle`] took apart.
    ///
    /// # Panics
    /// If another engine made the space, which then leaks.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let user = boot(0x1000);
    /// let kept = user.grab().into_handle();
    /// let pin = ENGINE.struct_from_handle(kept);
    /// assert!(pin.upgrade().is_ok());
    /// ```
    pub fn struct_from_handle(&self, handle: StructHandle<P>) -> StructRef<'_, P> {
        self.must_own(&handle);
        StructRef::counted(self, handle.into_counted())
    }

    /// Takes up a teardown that [`Teardown::into_handle`] took apart.
    ///
    /// # Panics
    /// If another engine made the space, which then leaks.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let user = boot(0x1000);
    /// drop(user); // in an interrupt handler, say: `Platform::defer_teardown` queues what is left to do
    ///
    /// let queued = ENGINE.platform().next_deferred().unwrap();
    /// ENGINE.teardown_from_handle(queued).finish();
    /// assert!(ENGINE.platform().is_freed(0x1000));
    /// ```
    pub fn teardown_from_handle(&self, handle: TeardownHandle<P>) -> Teardown<'_, P> {
        self.must_own(&handle);
        Teardown::counted(self, handle.into_counted())
    }

    /// Brings the calling CPU on line (Linux: `initialize_tlbstate_and_flush`): from now on it takes part in
    /// kernel-memory flushes and may load spaces. Before the call its TLB may hold anything (SD-13). On a CPU that is
    /// on line already it flushes everything and keeps what is loaded.
    ///
    /// # Errors
    /// [`EngineError::CpuTooLarge`].
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// on(0, || ENGINE.online_cpu())?;
    /// on(1, || ENGINE.online_cpu())?;
    /// ENGINE.flush_kernel(FlushRequest::all());
    /// assert_eq!(ipis(), 1); // CPU 1 takes part, CPUs 2 and 3 do not
    /// # Ok::<(), shootdown::EngineError>(())
    /// ```
    pub fn online_cpu(&self) -> Result<(), EngineError> {
        let this_cpu = ThisCpu::enter(self, IrqReason::Hotplug);
        let (me, capacity) = (this_cpu.me(), self.online().capacity());
        if me.index() >= capacity {
            return Err(EngineError::CpuTooLarge(me, capacity));
        }
        let newcomer = Newcomer { engine: self, me: (UNWINDS && !self.online().contains(me)).then_some(me) };
        self.online().add_self(me);
        // ORDER(SD-13): as at switch-in: either a flush of kernel memory sees this CPU on line, or this CPU sees the
        // flush's generation; partner: the fence in `Shootdown::set_out`.
        Site::OnlineFence.full_fence();
        let kernel = self.kernel.now();
        if !without(Rule::HotplugFlushes) {
            this_cpu.flush_everything();
        }
        // ORDER(SD-6): relaxed. What this CPU did before the online fence is ordered by that fence, which is a release
        // fence too; since then it has only flushed, which is complete on return (`back_on_line_vs_kernel_flush`).
        this_cpu.local.published.kernel_caught.store(kernel, Ordering::Relaxed);
        core::mem::forget(newcomer);
        // A request from before this CPU went off line may still wait for its answer (SD-19), a trim say.
        if !without(Rule::OnlineAnswers) {
            this_cpu.handle_ipi();
        }
        if this_cpu.loaded() == Loaded::OFF_LINE {
            this_cpu.publish_loaded(Loaded::NOTHING);
        }
        self.platform.event(Event::Online);
        Ok(())
    }

    /// Takes the calling CPU off line (Linux: `takedown_cpu`, `idle_task_exit`): it leaves every space and flushes
    /// everything; from then on no flush waits for it. After this the caller may only halt it, or bring it back with
    /// [`online_cpu`](Self::online_cpu). On a CPU that is off line already it flushes, and nothing more.
    ///
    /// # Panics
    /// If user code runs on this CPU: call [`enter_lazy`](Self::enter_lazy) first.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000); // four CPUs
    /// on(3, || ENGINE.switch_to(&user));
    /// on(3, || {
    ///     ENGINE.enter_lazy();
    ///     ENGINE.offline_cpu();
    /// });
    /// ENGINE.flush(&user, FlushRequest::all().tables_freed());
    /// assert_eq!(ipis(), 0); // CPU 3 has left the mask
    /// ENGINE.flush_kernel(FlushRequest::all());
    /// assert_eq!(ipis(), 2); // to CPUs 1 and 2
    /// ```
    pub fn offline_cpu(&self) {
        let this_cpu = ThisCpu::enter(self, IrqReason::Hotplug);
        this_cpu.leave_unless_active();
        this_cpu.flush_everything();
        self.platform.before_offline();
        self.online().remove_self(this_cpu.me());
        this_cpu.publish_loaded(Loaded::OFF_LINE);
        self.platform.event(Event::Offline);
    }

    /// Last struct reference gone: makes every CPU leave the root, then frees it, once (SD-10).
    pub(crate) fn free_space(&self, handle: P::Handle) {
        // Leaked where a callback unwinds: a CPU may have the space loaded (SD-10).
        let handle = ManuallyDrop::new(handle);
        if !without(Rule::TeardownEvicts) {
            self.evict(handle.space());
        }
        self.forget(handle.space());
        self.platform.event(Event::RootFreed(handle.space().id()));
        crate::hw::free_root(&self.platform, ManuallyDrop::into_inner(handle));
    }

    /// Takes back what the engine gave a space that no CPU has loaded any more.
    pub(crate) fn forget(&self, space: &AddressSpace<P>) {
        if P::Tags::FREES_TAGS {
            let _this_cpu = ThisCpu::enter(self, IrqReason::Tags);
            self.platform.tags().retire(space.tag_space());
        }
    }

    /// Makes every CPU leave `space`, which has no references left. No CPU can begin to use it, since that takes a
    /// reference, and a CPU that still has it loaded is lazy on it.
    fn evict(&self, space: &AddressSpace<P>) {
        ThisCpu::enter(self, IrqReason::Leave).ask_to_leave(space);
        space.members().for_each_other(None, |cpu| {
            self.wait_for(cpu, &|| {
                let loaded = self.loaded_of(cpu);
                loaded.address() != space.address() && loaded != Loaded::SWITCHING
            });
        });
    }

    /// The generation of kernel memory, for a checker's oracle to watch.
    #[cfg(shootdown_explore)]
    pub fn kernel_generation(&self) -> &Word {
        self.kernel.cell()
    }

    /// Posts an IPI request to `cpu`, and sends the interrupt unless one is pending or `cpu` is polling. Called pinned
    /// or with interrupts off.
    pub(crate) fn request_ipi(&self, cpu: CpuId) {
        if self.post_request(cpu) {
            self.platform().send_ipi(cpu);
            self.platform().event(Event::IpiSent(cpu));
        }
    }

    /// Posts an IPI request to `cpu`. Says whether it needs an interrupt.
    #[inline]
    pub(crate) fn post_request(&self, cpu: CpuId) -> bool {
        let platform = self.platform();
        let counters = &platform.local(platform.cpu()).own.counters;
        // ORDER(SD-6): what is asked (a generation, an empty count, a trim address) before the IPI request; partners:
        // `CpuLocal::exchange_ipi_state`, `CpuLocal::requests`. If a request was already pending, its handler has not
        // ended and looks again before it does. If that CPU is polling, it handles the request itself. If an interrupt
        // to it is in flight, that interrupt's handler does.
        let state = IpiState(
            platform.local(cpu).mail.ipi_pending.fetch_add(IpiState::REQUESTED.0, Site::IpiRequest.release()),
        );
        if state != IpiState::IDLE {
            if state.is_polling() {
                counters.polled.bump()
            } else {
                counters.coalesced.bump()
            }
            return false;
        }
        counters.sent.bump();
        true
    }

    /// Interrupts CPUs to which requests were posted.
    #[inline]
    pub(crate) fn interrupt(&self, cpus: CpuSet) {
        if cpus.bits() == 0 {
            return;
        }
        self.platform().send_ipis(cpus);
        // The number of rounds is known, so that the loop is gone where nobody listens to events.
        cpus.take(cpus.bits().count_ones() as usize)
            .for_each(|cpu| self.platform().event(Event::IpiSent(cpu)));
    }

    /// What `cpu` says it has loaded.
    pub(crate) fn loaded_of(&self, cpu: CpuId) -> Loaded {
        // ORDER(SD-8): what that CPU did before it published this is over; partners: `Cpu::publish_loaded`,
        // `Cpu::enter_lazy`, `Cpu::leave_lazy`.
        Loaded(self.platform.local(cpu).published.loaded.load(Site::LoadedSeen.acquire()))
    }

    #[inline]
    pub(crate) fn online_store(&self) -> &P::Mask {
        &self.online
    }

    pub(crate) fn online(&self) -> Members<'_, P::Mask> {
        Members::of(&self.online)
    }
}

impl<P: Platform> Cpu<'_, P> {
    /// Asks every CPU that has `space` loaded to leave it; this one does.
    pub(crate) fn ask_to_leave(self, space: &AddressSpace<P>) {
        if self.loaded().address() == space.address() {
            self.leave();
        }
        let engine = self.engine;
        space.members().for_each_other(Some(self.me()), |cpu| {
            let loaded = engine.loaded_of(cpu);
            if loaded.address() == space.address() || loaded == Loaded::SWITCHING {
                engine.request_ipi(cpu);
            }
        });
    }
}

/// A CPU that comes on line. If this is dropped while a callback unwinds, the CPU is off line again: its TLB may hold
/// anything (SD-13).
struct Newcomer<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    /// `None` if the CPU was on line before, and kept its TLB up to date.
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
