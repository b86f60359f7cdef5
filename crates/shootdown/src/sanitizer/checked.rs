//! The platform that tells a sanitizer all that it is asked to do.

use super::shadow::Sanitizer;
use super::verdict::{Panics, Tally, Verdict};
use crate::event::Event;
use crate::mask::CpuSet;
use crate::percpu::CpuLocal;
use crate::platform::{
    FlushCosts, IrqReason, LocalFlush, OnInstall, OnLeave, Platform, Remote, RemoteFlush, SpaceHandle,
};
use crate::refs::Teardown;
use crate::space::AddressSpace;
use crate::tags::TagPolicy;
use crate::types::{CpuId, FlushRequest, SpaceId, Tag};

/// What a platform says once more for the machine `M` that is made around it, [`Checked`]: the four methods that name
/// the machine's own type. Of the platform's own [`Handle`](Platform::Handle), [`free_root`](Platform::free_root),
/// [`defer_teardown`](Platform::defer_teardown), [`flush_remote`](Platform::flush_remote) and
/// [`invalidate_secondary`](Platform::invalidate_secondary) nothing is used then.
///
/// # Safety
/// Implementers promise:
/// 1. of [`flush_remote`](Self::flush_remote) and [`invalidate_secondary`](Self::invalidate_secondary) what [`Platform`] does
///    of its own (6 and 7 there).
pub unsafe trait Wrapped<M: Platform>: Platform {
    /// The embedder's smart pointer to the object in which it keeps the [`AddressSpace`].
    type Handle: SpaceHandle<M>;

    /// As [`Platform::free_root`].
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. no CPU has the root loaded, and no CPU will load it again.
    unsafe fn free_root(&self, handle: <Self as Wrapped<M>>::Handle);

    /// As [`Platform::defer_teardown`].
    fn defer_teardown(&self, teardown: Teardown<'_, M>);

    /// As [`Platform::flush_remote`].
    fn flush_remote(&self, what: RemoteFlush<'_, M>) -> Remote {
        let _ = what;
        Remote::NeedsIpi
    }

    /// As [`Platform::invalidate_secondary`].
    fn invalidate_secondary(&self, space: Option<&AddressSpace<M>>, request: FlushRequest) -> u64 {
        const { assert!(!Self::SECONDARY_TLBS, "`SECONDARY_TLBS` without `Wrapped::invalidate_secondary`") };
        let _ = (space, request);
        0
    }
}

/// A platform under watch; see the [module's page](super).
#[derive(Debug)]
pub struct Checked<P, V = Panics, const CPUS: usize = 64, const PENDING: usize = 32> {
    platform: P,
    sanitizer: Sanitizer<V, CPUS, PENDING>,
}

impl<P: Platform, V: Verdict, const CPUS: usize, const PENDING: usize> Checked<P, V, CPUS, PENDING> {
    /// Wraps a platform.
    pub const fn new(platform: P, verdict: V) -> Self {
        Self { platform, sanitizer: Sanitizer::new(verdict) }
    }

    /// The platform inside.
    pub const fn inner(&self) -> &P {
        &self.platform
    }

    /// The sanitizer.
    pub const fn sanitizer(&self) -> &Sanitizer<V, CPUS, PENDING> {
        &self.sanitizer
    }

    /// What was seen so far.
    pub fn tally(&self) -> Tally {
        self.sanitizer.tally()
    }

    /// Notes that translations were taken out of the page tables other than through a [`Gather`](crate::flush::Gather):
    /// out of kernel memory (if `space` is `None`), or before a bare flush. Call it before that flush; what it returns
    /// goes to [`about_to_free`](Self::about_to_free).
    pub fn removed(&self, space: Option<SpaceId>, request: FlushRequest) -> u64 {
        let pinned = self.platform.pin();
        let number = self.sanitizer.removed(self.platform.cpu(), space, request);
        drop(pinned);
        number
    }

    /// Checks that no CPU can use any more what was [`removed`](Self::removed).
    pub fn about_to_free(&self, number: u64) {
        self.sanitizer.released(number);
    }
}

// SAFETY: 1. to 5. are the wrapped platform's promises, since each call goes there unchanged; 6. `Wrapped`, 1.; 7. the same of
// what is posted, and the wrapped platform's own 7. of what is answered.
unsafe impl<P, V, const CPUS: usize, const PENDING: usize> Platform for Checked<P, V, CPUS, PENDING>
where
    P: Wrapped<Self>,
    V: Verdict,
{
    type Root = P::Root;
    type Mask = P::Mask;
    type Handle = <P as Wrapped<Self>>::Handle;
    type Tags = P::Tags;
    type Pin = P::Pin;

    const FLUSH_COSTS: FlushCosts = P::FLUSH_COSTS;
    const RANGE_CEILING: u64 = P::RANGE_CEILING;
    const STALL_POLLS: u64 = P::STALL_POLLS;
    const ON_LEAVE: OnLeave = P::ON_LEAVE;
    const TRIM_EVERY: u64 = P::TRIM_EVERY;
    const FLUSHES_ON_ENTRY: bool = P::FLUSHES_ON_ENTRY;
    const USER_MODE: bool = P::USER_MODE;
    const MULTICAST: bool = P::MULTICAST;
    const INTERRUPTS: bool = P::INTERRUPTS;
    const SYNCS_CONTEXTS: bool = P::SYNCS_CONTEXTS;
    const SECONDARY_TLBS: bool = P::SECONDARY_TLBS;

    #[inline(always)]
    fn pin(&self) -> P::Pin {
        self.platform.pin()
    }
    #[inline(always)]
    fn cpu(&self) -> CpuId {
        self.platform.cpu()
    }
    #[inline(always)]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        self.platform.local(cpu)
    }
    #[inline(always)]
    fn irq_save(&self, reason: IrqReason) -> bool {
        let were_on = self.platform.irq_save(reason);
        if reason == IrqReason::EnterLazy {
            // User code has stopped here before others are told so.
            self.sanitizer.idle(self.platform.cpu());
        }
        were_on
    }
    #[inline(always)]
    fn irq_restore(&self, were_on: bool) {
        self.platform.irq_restore(were_on);
    }
    #[inline(always)]
    fn tags(&self) -> &P::Tags {
        self.platform.tags()
    }
    #[inline(always)]
    unsafe fn flush_local(&self, what: LocalFlush) {
        let now = self.sanitizer.now();
        // SAFETY: 1. the caller promises it.
        unsafe { self.platform.flush_local(what) };
        self.sanitizer.flushed(self.platform.cpu(), what, now);
    }
    #[inline(always)]
    unsafe fn install(&self, root: Option<P::Root>, tag: Tag, how: OnInstall) {
        let (now, is_root) = (self.sanitizer.now(), root.is_some());
        // SAFETY: 1. to 3. the caller promises them.
        unsafe { self.platform.install(root, tag, how) };
        self.sanitizer.installed(self.platform.cpu(), is_root, tag, how, now);
    }
    #[inline(always)]
    fn send_ipi(&self, cpu: CpuId) {
        self.platform.send_ipi(cpu);
    }
    #[inline(always)]
    fn send_ipis(&self, cpus: CpuSet) {
        self.platform.send_ipis(cpus);
    }
    unsafe fn free_root(&self, handle: Self::Handle) {
        let pinned = self.platform.pin();
        self.sanitizer.root_freed(self.platform.cpu(), handle.space().id());
        drop(pinned);
        // SAFETY: 1. the caller promises it.
        unsafe { Wrapped::<Self>::free_root(&self.platform, handle) };
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        Wrapped::<Self>::defer_teardown(&self.platform, teardown);
    }
    #[inline(always)]
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        let (space, tag, request) = (what.space, what.tag, what.request);
        let now = self.sanitizer.now();
        let answer = Wrapped::<Self>::flush_remote(&self.platform, what);
        if answer == Remote::Done {
            self.sanitizer.broadcast(space.map(AddressSpace::id), tag, request, now);
        }
        answer
    }
    #[inline(always)]
    fn needs_ack(&self, cpu: CpuId) -> bool {
        let must = self.platform.needs_ack(cpu);
        if P::FLUSHES_ON_ENTRY && !must {
            self.sanitizer.excused(cpu);
        }
        must
    }
    #[inline(always)]
    fn flush_on_entry(&self, cpu: CpuId, space: Option<SpaceId>, request: FlushRequest) -> bool {
        let deferred = self.platform.flush_on_entry(cpu, space, request);
        if deferred {
            self.sanitizer.excused(cpu);
        }
        deferred
    }
    #[inline(always)]
    fn publish_tables(&self) {
        self.platform.publish_tables();
    }
    #[inline(always)]
    fn relax(&self, polls: u64) {
        self.platform.relax(polls);
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.platform.stalled(cpu, polls);
    }
    #[inline(always)]
    fn invalidate_secondary(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        Wrapped::<Self>::invalidate_secondary(&self.platform, space, request)
    }
    #[inline(always)]
    fn secondary_is_done(&self, position: u64) -> bool {
        self.platform.secondary_is_done(position)
    }
    fn secondary_stalled(&self, position: u64, polls: u64) {
        self.platform.secondary_stalled(position, polls);
    }
    fn before_offline(&self) {
        self.platform.before_offline();
        self.sanitizer.offline(self.platform.cpu());
    }
    #[inline(always)]
    fn gathered(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        self.removed(space.map(AddressSpace::id), request)
    }
    #[inline(always)]
    fn released(&self, number: u64) {
        self.sanitizer.released(number);
    }
    #[inline(always)]
    fn event(&self, event: Event) {
        match event {
            Event::Switched(space) => self.sanitizer.begun(self.platform.cpu(), space),
            Event::CaughtUp(space, _) if P::Tags::CAN_REASSIGN => {
                self.sanitizer.moved(self.platform.cpu(), space)
            }
            Event::Online => self.sanitizer.online(self.platform.cpu()),
            _ => {}
        }
        self.platform.event(event);
    }
}
