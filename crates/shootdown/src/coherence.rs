//! The engine for embedders that load roots themselves: a kernel whose trampoline writes the root register, an owner of
//! spaces with references of its own, a guest that flushes by hypercalls, a machine without a root register.
//!
//! A [`Coherent`] engine knows which CPUs may hold translations of a space, tells them what to flush, and knows when
//! all have. It loads no root, counts no references and frees nothing but what a gather holds.
//!
//! | you | implement | get |
//! |---|---|---|
//! | load the root in assembly, on the way to user mode | [`Coherence`], [`SendIpis`] | [`enter`](Shootdown::enter), [`Entry::will_load`] |
//! | load it in the scheduler, and count references yourself | the same, and [`Coherence::unload`] | [`Entry::loaded`], [`retire`](Shootdown::retire), [`is_retired`](Shootdown::is_retired) |
//! | are a guest whose hypervisor flushes | [`Coherence`], [`FlushRemote`] | flushes without an IPI: [`Hypercalls`] |
//! | have isolated CPUs that no kernel flush may interrupt | [`Coherence`] with [`USER_MODE`](Coherence::USER_MODE), [`SendIpis`] | [`enter_user`](Shootdown::enter_user), [`exit_user`](Shootdown::exit_user); [`defer_into`](crate::flush::Gather::defer_into), [`catch_up`](Shootdown::catch_up) |
//! | share page tables with devices | [`Coherence`] with [`SECONDARY_TLBS`](Coherence::SECONDARY_TLBS) | completion that waits for them: [`invalidate_secondary`](Coherence::invalidate_secondary) |
//! | want loads, references and teardown too | [`Platform`] | [`switch_to`](Shootdown::switch_to), [`refs`](crate::refs) |
//!
//! All of them get [`flush`](Shootdown::flush), [`gather`](Shootdown::gather), [`kernel`](Shootdown::kernel) memory,
//! [batches](crate::flush::Batch) over many spaces, [tickets](crate::flush::Ticket), [retired
//! queues](crate::flush::Retired), [`trim`](Shootdown::trim), hotplug, and [requests for
//! contexts](crate::flush::FlushRequest::contexts) where code is changed (on hypercalls where [those do
//! it](FlushRemote::SYNCS_CONTEXTS)).
//!
//! # Examples
#![doc = concat!("```\n", include_str!("../examples/coherence.rs"), "```")]

use crate::engine::Shootdown;
use crate::flush::{LocalFlush, Remote, RemoteFlush};
use crate::mask::{CpuMask, CpuSet, MaskStore, OnLeave};
use crate::percpu::CpuLocal;
use crate::platform::{IrqReason, OnInstall, Platform, SpaceHandle};
use crate::refs::Teardown;
use crate::space::AddressSpace;
use crate::tags::{TagPolicy, Untagged};
use crate::types::{CpuId, FlushRequest, SpaceId, Tag};
use core::convert::Infallible;
use core::marker::PhantomData;

pub use crate::enter::{Entry, Evicted};

/// An engine that loads no roots.
pub type Coherent<C, M = CpuMask<1>, T = Untagged, X = Ipis> = Shootdown<Rootless<C, M, T, X>>;

/// A space of such an engine. Its [`root`](AddressSpace::root) is a word for [`FlushRemote`] and for traces.
pub type Space<C, M = CpuMask<1>, T = Untagged, X = Ipis> = AddressSpace<Rootless<C, M, T, X>>;

/// A machine that loads no roots for the engine: five functions, and one more of [`SendIpis`] or [`FlushRemote`].
///
/// # Safety
/// Implementers promise:
/// 1. [`cpu`](Self::cpu) names the CPU that runs the caller, and two CPUs never share a number;
/// 2. [`local`](Self::local) returns the same [`CpuLocal`] for the same CPU always, and different ones for different
///    CPUs; none is another machine's;
/// 3. [`irq_save`](Self::irq_save) keeps interrupts that call into the engine, and preemption, away until
///    [`irq_restore`](Self::irq_restore); [`preempt_disable`](Self::preempt_disable) keeps the thread on its CPU, and
///    other threads off it, until [`preempt_enable`](Self::preempt_enable);
/// 4. [`flush_local`](Self::flush_local) does what it says, and is complete on return;
/// 5. while the engine is called, either no space's root is loaded on this CPU but the one that was entered, or
///    [`unload`](Self::unload) loads the kernel's own and is complete on return, as [`Platform::install`] says;
/// 6. where [`SECONDARY_TLBS`](Self::SECONDARY_TLBS) is set, [`invalidate_secondary`](Self::invalidate_secondary) and
///    [`secondary_is_done`](Self::secondary_is_done) do what they say. Where it is not, this promises nothing.
pub unsafe trait Coherence: Sync + Sized {
    /// Number of the calling CPU. Called with interrupts off or preemption off.
    fn cpu(&self) -> CpuId;
    /// The memory lent for `cpu`. Called in any context.
    fn local(&self, cpu: CpuId) -> &CpuLocal;
    /// Turns interrupts off and says whether they were on. Called in any context; calls nest.
    fn irq_save(&self) -> bool;
    /// Undoes [`irq_save`](Self::irq_save) on the same CPU, from the inside out.
    fn irq_restore(&self, were_on: bool);
    /// Drops translations of this CPU, and waits until that is complete. [`Platform::flush_local`] says what it does
    /// for contexts.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU.
    unsafe fn flush_local(&self, what: LocalFlush);

    /// Most pages that are flushed one by one; above, a full flush is cheaper.
    const RANGE_CEILING: u64 = 33;
    /// Polls of one wait after which [`stalled`](Self::stalled) is told, and again after as many more. Not 0.
    const STALL_POLLS: u64 = 1 << 24;
    /// Whether CPUs call [`enter_user`](Shootdown::enter_user). Where none does, no flush of kernel memory asks which
    /// mode a CPU is in.
    const USER_MODE: bool = false;

    /// Loads the kernel's own root. Called with interrupts off, where a lazy CPU leaves its space or an [`Entry`] is
    /// dropped unused. The default does nothing, which is right where kernel code never runs on a space's root.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU, and no user code runs before a space is entered.
    unsafe fn unload(&self) {}
    /// Turns preemption off; calls nest. Held around waits. The default suits where nothing preempts. Called in any
    /// context.
    fn preempt_disable() {}
    /// Undoes [`preempt_disable`](Self::preempt_disable) on the same CPU.
    fn preempt_enable() {}
    /// Orders the caller's page-table stores before later page walks of other CPUs (aarch64: `dsb ishst`). Called in
    /// the context of the flush.
    fn publish_tables(&self) {}
    /// Whether something besides CPUs keeps translations (Linux: `mmu_notifier_arch_invalidate_secondary_tlbs`); see
    /// [`Platform::SECONDARY_TLBS`].
    const SECONDARY_TLBS: bool = false;
    /// Has secondary TLBs drop what is asked (Linux: `mmu_notifier_arch_invalidate_secondary_tlbs`), as
    /// [`Platform::invalidate_secondary`] does, and answers the same. Must not wait. Called in the context of the
    /// flush.
    fn invalidate_secondary(&self, what: &SecondaryRequest) -> u64 {
        const { assert!(!Self::SECONDARY_TLBS, "`SECONDARY_TLBS` without `invalidate_secondary`") };
        let _ = what;
        0
    }
    /// Whether secondary TLBs have worked off their queue up to `position`; see [`Platform::secondary_is_done`]. Only
    /// reads. Called in any context.
    fn secondary_is_done(&self, position: u64) -> bool {
        const { assert!(!Self::SECONDARY_TLBS, "`SECONDARY_TLBS` without `secondary_is_done`") };
        let _ = position;
        true
    }
    /// Reports that secondary TLBs are late; see [`Platform::secondary_stalled`]. Must return. Called as
    /// [`relax`](Self::relax) is.
    fn secondary_stalled(&self, position: u64, polls: u64) {
        let _ = (position, polls);
    }
    /// Called between polls of a wait, with the number of polls so far. Must not block. Called with preemption off, and
    /// with interrupts as the waiter has them.
    fn relax(&self, polls: u64) {
        let _ = polls;
    }
    /// Reports a stall (Linux: csd lock debugging, `csd_lock_wait`): `cpu` has not answered for another
    /// [`STALL_POLLS`](Self::STALL_POLLS) polls. Must return. Called as [`relax`](Self::relax) is.
    fn stalled(&self, cpu: CpuId, polls: u64) {
        let _ = (cpu, polls);
    }
}

/// Interrupts to other CPUs.
///
/// # Safety
/// Implementers promise:
/// 1. [`send_ipis`](Self::send_ipis) makes each of the CPUs call [`Shootdown::handle_ipi`] soon, with interrupts off;
///    an IPI may be late or spurious, and is never lost for good (after a stall the engine sends another).
#[diagnostic::on_unimplemented(
    message = "`{Self}` sends no IPIs",
    note = "implement `SendIpis`, or have the engine flush by `Hypercalls`"
)]
pub unsafe trait SendIpis: Coherence {
    /// Sends an IPI to each of these CPUs; requests are visible before. Called with interrupts off or preemption off.
    fn send_ipis(&self, cpus: CpuSet);
}

/// Flushes that a hypervisor or firmware carries out on other CPUs (Hyper-V: `HvCallFlushVirtualAddressSpace`).
///
/// # Safety
/// Implementers promise:
/// 1. when [`flush_remote`](Self::flush_remote) returns, none of the CPUs that [`RemoteRequest::for_each_set`] names
///    uses what it was to flush; [`SYNCS_CONTEXTS`](Self::SYNCS_CONTEXTS) is `true` only if those CPUs, this one among
///    them, have synchronised their contexts when it returns from a request for that.
#[diagnostic::on_unimplemented(message = "`{Self}` makes no hypercalls", note = "implement `FlushRemote`")]
pub unsafe trait FlushRemote: Coherence {
    /// Whether [`flush_remote`](Self::flush_remote) synchronises contexts too ([`FlushRequest::syncs_contexts`]). The
    /// calls of Hyper-V do not; the SBI has one for `fence.i`. If this is `false`, the engine refuses
    /// [`FlushRequest::contexts`] by a panic (SD-21): a guest that changes code sends its own IPIs for that.
    const SYNCS_CONTEXTS: bool = false;
    /// Flushes, and returns when it is done: it repeats a hypercall that ended halfway. Called with interrupts off, so
    /// it may use a hypercall page of this CPU's own.
    fn flush_remote(&self, what: &RemoteRequest<'_>);
}

/// What [`FlushRemote`] must flush.
pub struct RemoteRequest<'a> {
    /// The space; nothing for kernel memory.
    pub space: Option<SpaceId>,
    /// What [`new_space`](Shootdown::new_space) was given for it.
    pub root: Option<u64>,
    /// What of it goes.
    pub request: FlushRequest,
    each: &'a ForEachSet<'a>,
}

/// What [`Coherence::invalidate_secondary`] must have secondary TLBs drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondaryRequest {
    /// The space; nothing for kernel memory.
    pub space: Option<SpaceId>,
    /// What [`new_space`](Shootdown::new_space) was given for it.
    pub root: Option<u64>,
    /// What of it goes.
    pub request: FlushRequest,
}

impl SecondaryRequest {
    /// What an engine asks of its platform.
    #[inline]
    pub(crate) fn of<P: Platform<Root = u64>>(
        space: Option<&AddressSpace<P>>,
        request: FlushRequest,
    ) -> Self {
        Self { space: space.map(AddressSpace::id), root: space.map(AddressSpace::root), request }
    }
}

type ForEachSet<'a> = dyn Fn(&mut dyn FnMut(CpuSet)) + 'a;

impl RemoteRequest<'_> {
    /// Calls `visit` with the CPUs that must be reached, up to 64 at a time, this one among them where it holds
    /// translations: members of the space, or for kernel memory all CPUs on line. No set is empty. If `visit` is never
    /// called, no CPU holds a translation.
    pub fn for_each_set(&self, mut visit: impl FnMut(CpuSet)) {
        (self.each)(&mut visit);
    }
}

/// How CPUs are told to flush. Only [`Ipis`] and [`Hypercalls`] implement it.
pub trait Transport<C: Coherence>: sealed::Sealed + Sync {
    #[doc(hidden)]
    const INTERRUPTS: bool;
    #[doc(hidden)]
    const SYNCS_CONTEXTS: bool;
    #[doc(hidden)]
    fn send_ipis(platform: &C, cpus: CpuSet);
    #[doc(hidden)]
    fn flush_remote(platform: &C, what: &RemoteRequest<'_>) -> Remote;
}

/// CPUs are told by IPIs.
#[derive(Clone, Copy, Debug)]
pub struct Ipis;

/// A hypervisor or firmware flushes, and no IPI is sent. No CPU can be lazy then:
/// [`enter_lazy`](Shootdown::enter_lazy) does not build. Contexts are synchronised where the machine says so
/// ([`FlushRemote::SYNCS_CONTEXTS`]); otherwise the engine refuses a request for that.
#[derive(Clone, Copy, Debug)]
pub struct Hypercalls;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Ipis {}
    impl Sealed for super::Hypercalls {}
}

impl<C: SendIpis> Transport<C> for Ipis {
    const INTERRUPTS: bool = true;
    const SYNCS_CONTEXTS: bool = true;
    #[inline]
    fn send_ipis(platform: &C, cpus: CpuSet) {
        platform.send_ipis(cpus);
    }
    #[inline]
    fn flush_remote(_: &C, _: &RemoteRequest<'_>) -> Remote {
        Remote::NeedsIpi
    }
}

impl<C: FlushRemote> Transport<C> for Hypercalls {
    const INTERRUPTS: bool = false;
    const SYNCS_CONTEXTS: bool = C::SYNCS_CONTEXTS;
    /// A flush waits only for a CPU that is between two roots, and such a CPU finishes its switch by itself.
    #[inline]
    fn send_ipis(_: &C, _: CpuSet) {}
    fn flush_remote(platform: &C, what: &RemoteRequest<'_>) -> Remote {
        let were_on = platform.irq_save();
        platform.flush_remote(what);
        platform.irq_restore(were_on);
        Remote::Done
    }
}

/// The platform of an engine that loads no roots: `C` is the machine, `M` its masks, `T` its tags, `X` how CPUs are
/// told.
pub struct Rootless<C, M = CpuMask<1>, T = Untagged, X = Ipis> {
    machine: C,
    tags: T,
    masks: PhantomData<fn() -> (M, X)>,
}

impl<C, M, X> Rootless<C, M, Untagged, X> {
    /// Makes that of a machine without tags.
    pub const fn new(machine: C) -> Self {
        Self::tagged(machine, Untagged)
    }
}

impl<C, M, T, X> Rootless<C, M, T, X> {
    /// Makes that of a machine with a tag policy.
    pub const fn tagged(machine: C, tags: T) -> Self {
        Self { machine, tags, masks: PhantomData }
    }

    /// The machine.
    pub const fn machine(&self) -> &C {
        &self.machine
    }
}

/// Has a machine's transport answer what the engine asks of a platform.
pub(crate) fn asked<C, X, P>(machine: &C, what: &RemoteFlush<'_, P>) -> Remote
where
    C: Coherence,
    X: Transport<C>,
    P: Platform<Root = u64>,
{
    let each = |visit: &mut dyn FnMut(CpuSet)| what.for_each_set(visit);
    let (space, root) = (what.space.map(AddressSpace::id), what.space.map(AddressSpace::root));
    X::flush_remote(machine, &RemoteRequest { space, root, request: what.request, each: &each })
}

/// The pointer to a counted space. It has no values: such an engine has no references and loads no root.
#[derive(Clone, Copy, Debug)]
pub struct Uncounted(Infallible);

// SAFETY: 1. and 2. there is no value of it.
unsafe impl<P: Platform> SpaceHandle<P> for Uncounted {
    fn space(&self) -> &AddressSpace<P> {
        match self.0 {}
    }
}

/// Preemption is off as long as this exists.
pub struct Preemption<C: Coherence> {
    /// Another thread is on another CPU.
    machine: PhantomData<*const C>,
}

impl<C: Coherence> Drop for Preemption<C> {
    #[inline]
    fn drop(&mut self) {
        C::preempt_enable();
    }
}

// SAFETY: 1. to 3. `Coherence`, 1. to 3., and the policy is a field, made for this value; 4. `Coherence`, 4., and 5. of the one
// root that is loaded here, none: `unload`. There is no handle, and so no reference that a switch takes; 5. `SendIpis`, 1., or
// nobody waits for an interrupt (`Hypercalls`); 6. `FlushRemote`, 1.; 7. `Coherence`, 6.
unsafe impl<C, M, T, X> Platform for Rootless<C, M, T, X>
where
    C: Coherence,
    M: MaskStore,
    T: TagPolicy,
    X: Transport<C>,
{
    type Root = u64;
    type Mask = M;
    type Handle = Uncounted;
    type Tags = T;
    type Pin = Preemption<C>;

    const RANGE_CEILING: u64 = C::RANGE_CEILING;
    const STALL_POLLS: u64 = C::STALL_POLLS;
    const USER_MODE: bool = C::USER_MODE;
    const ON_LEAVE: OnLeave = OnLeave::RemoveBit;
    const MULTICAST: bool = true;
    const INTERRUPTS: bool = X::INTERRUPTS;
    const SYNCS_CONTEXTS: bool = X::SYNCS_CONTEXTS;
    const SECONDARY_TLBS: bool = C::SECONDARY_TLBS;

    #[inline]
    fn pin(&self) -> Preemption<C> {
        C::preempt_disable();
        Preemption { machine: PhantomData }
    }
    #[inline]
    fn cpu(&self) -> CpuId {
        self.machine.cpu()
    }
    #[inline]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        self.machine.local(cpu)
    }
    #[inline]
    fn irq_save(&self, _: IrqReason) -> bool {
        self.machine.irq_save()
    }
    #[inline]
    fn irq_restore(&self, were_on: bool) {
        self.machine.irq_restore(were_on);
    }
    #[inline]
    fn tags(&self) -> &T {
        &self.tags
    }
    #[inline]
    unsafe fn flush_local(&self, what: LocalFlush) {
        // SAFETY: 1. the caller's obligation 1.
        unsafe { self.machine.flush_local(what) }
    }
    unsafe fn install(&self, root: Option<u64>, _: Tag, _: OnInstall) {
        debug_assert!(root.is_none(), "there is no reference to switch to");
        // SAFETY: 1. the caller's obligation 1, and this CPU is lazy or about to have nothing loaded.
        unsafe { self.machine.unload() }
    }
    #[inline]
    fn send_ipi(&self, cpu: CpuId) {
        X::send_ipis(&self.machine, CpuSet::of(cpu));
    }
    #[inline]
    fn send_ipis(&self, cpus: CpuSet) {
        X::send_ipis(&self.machine, cpus);
    }
    unsafe fn free_root(&self, handle: Uncounted) {
        match handle.0 {}
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        match teardown.into_handle().inner().0 {}
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        asked::<C, X, Self>(&self.machine, &what)
    }
    #[inline]
    fn publish_tables(&self) {
        self.machine.publish_tables();
    }
    #[inline]
    fn relax(&self, polls: u64) {
        self.machine.relax(polls);
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.machine.stalled(cpu, polls);
    }
    #[inline]
    fn invalidate_secondary(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        self.machine.invalidate_secondary(&SecondaryRequest::of(space, request))
    }
    #[inline]
    fn secondary_is_done(&self, position: u64) -> bool {
        self.machine.secondary_is_done(position)
    }
    fn secondary_stalled(&self, position: u64, polls: u64) {
        self.machine.secondary_stalled(position, polls);
    }
}
