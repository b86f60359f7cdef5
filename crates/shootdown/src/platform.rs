//! What the embedder provides.

use crate::event::Event;
use crate::mask::{CpuSet, MaskStore, Members};
use crate::percpu::CpuLocal;
use crate::refs::Teardown;
use crate::space::AddressSpace;
use crate::tags::TagPolicy;
use crate::types::{CpuId, FlushRequest, SpaceId, Tag};

/// A machine: CPUs, interrupts, TLB instructions. One value per machine (a kernel has one; a hypervisor one per guest, a
/// checker one per run).
///
/// A Rust fence orders no page walk and no TLB: the methods below are the only places where the engine relies on the
/// MMU, and each says what it must order against what.
///
/// # Safety
/// Implementers promise:
/// 1. [`cpu`](Self::cpu) names the CPU that runs the caller, and two CPUs never share a number;
/// 2. [`local`](Self::local) returns the same [`CpuLocal`] for the same CPU always, and different ones for different CPUs; none
///    is another machine's. [`tags`](Self::tags) returns the same policy always, and no other has been lent the memory that it
///    works on ([`TagStorage`](crate::tags::TagStorage));
/// 3. [`irq_save`](Self::irq_save) keeps interrupts that call into the engine, and preemption, away until
///    [`irq_restore`](Self::irq_restore); [`pin`](Self::pin) keeps the thread on its CPU, and other threads off it, until
///    the value is dropped. Between `irq_save` and `irq_restore` no method of this trait calls the engine on the same CPU;
/// 4. [`flush_local`](Self::flush_local) and [`install`](Self::install) do what they say, and are complete on return: no
///    access of this CPU uses a dropped translation afterwards;
/// 5. [`send_ipi`](Self::send_ipi) makes the target call [`Shootdown::handle_ipi`](crate::Shootdown::handle_ipi) soon, with
///    interrupts off; an IPI may be late or spurious, and is never lost for good (after a stall the engine sends another);
/// 6. [`flush_remote`](Self::flush_remote) answers [`Remote::Done`] only if every CPU's TLB has dropped the translations;
/// 7. where [`SECONDARY_TLBS`](Self::SECONDARY_TLBS) is set, [`invalidate_secondary`](Self::invalidate_secondary) and
///    [`secondary_is_done`](Self::secondary_is_done) do what they say. Where it is not, this promises nothing.
pub unsafe trait Platform: Sync + Sized {
    /// What the root register takes (CR3 or TTBR0 or satp without the tag, EPTP, an emulator's handle). The engine hands on
    /// what [`new_space`](crate::Shootdown::new_space) was given: that it names page tables is between the embedder and its
    /// [`install`](Self::install). Where code that is not trusted makes spaces, use a type that it cannot make up.
    type Root: Copy + Send + Sync;
    /// Storage of CPU masks.
    type Mask: MaskStore;
    /// The embedder's smart pointer to the object in which it keeps the [`AddressSpace`].
    type Handle: SpaceHandle<Self>;
    /// How spaces get tags.
    type Tags: TagPolicy;
    /// Keeps a thread on its CPU.
    type Pin;

    /// What flushes of the TLB cost on this machine (Linux: `tlb_single_page_flush_ceiling`, which this is the price of).
    const FLUSH_COSTS: FlushCosts = FlushCosts::TYPICAL;
    /// Most pages that are flushed one by one, of one request or of all that a CPU has missed; above, the tag and its refills
    /// are cheaper. Linux has a constant, 33 on x86 (`tlb_single_page_flush_ceiling`, about 100 ns each).
    const RANGE_CEILING: u64 = Self::FLUSH_COSTS.ceiling();
    /// Polls of one wait after which [`stalled`](Self::stalled) is told, or its like for devices, and again after as many more. Not 0.
    const STALL_POLLS: u64 = 1 << 24;
    /// Whether a CPU keeps its bit in the mask of a space that it leaves for another. It does where flushes trim masks.
    const ON_LEAVE: OnLeave =
        if Self::FLUSHES_ON_ENTRY || !Self::INTERRUPTS { OnLeave::RemoveBit } else { OnLeave::KeepBit };
    /// Flushes of a space after which one asks CPUs that [keep their bits](OnLeave::KeepBit) and run elsewhere to leave
    /// its mask (Linux: `should_trim_cpumask`, once a second). Until then each flush looks at such a CPU, for some 20
    /// cycles; so many looks cost about what the IPI does. Not 0; [`u64::MAX`] for never.
    ///
    /// A flush asks when it has waited. One that is left to a [`Ticket`](crate::flush::Ticket), a
    /// [`Retired`](crate::flush::Retired) queue or a [`Batch`](crate::flush::Batch) asks nobody, as it need not have
    /// the space any more when it ends: a kernel that has only such flushes calls [`trim`](crate::Shootdown::trim).
    const TRIM_EVERY: u64 = 256;

    /// Keeps the calling thread on its CPU, and running, until the answer is dropped (preemption off; `()` where
    /// nothing preempts). Held while waiting, so that the waiting CPU can poll its own IPI word instead of being
    /// interrupted. Called in any context; calls nest.
    fn pin(&self) -> Self::Pin;
    /// Number of the calling CPU. Called pinned or with interrupts off.
    fn cpu(&self) -> CpuId;
    /// The memory lent for `cpu`. Called in any context.
    fn local(&self, cpu: CpuId) -> &CpuLocal;
    /// Turns interrupts off and says whether they were on; `reason` says what for. Called in any context; calls nest.
    fn irq_save(&self, reason: IrqReason) -> bool;
    /// Undoes [`irq_save`](Self::irq_save) on the same CPU, from the inside out.
    fn irq_restore(&self, were_on: bool);
    /// Tag policy of this machine. Called in any context.
    fn tags(&self) -> &Self::Tags;

    /// Drops translations of this CPU (Linux: `__flush_tlb_one_user` and the like), and waits until that is complete.
    ///
    /// Where code is changed under [`FlushRequest::contexts`], this synchronises the context for such a request, and
    /// for one of everything under a tag or of kernel memory; so does [`install`](Self::install) with
    /// [`OnInstall::Flush`], and always where tags rest on broadcasts or a tag means one space on all CPUs
    /// ([`GlobalAsids`](crate::tags::GlobalAsids)): a CPU that holds nothing under it is told to keep that, whatever it
    /// has fetched of the code elsewhere. Code that is fetched afterwards is read from memory afterwards. x86: a
    /// serializing instruction (a write to CR3 is one, INVPCID and SYSRET are none); aarch64: `isb`, behind what
    /// maintains instruction caches; riscv64: `fence.i`.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU.
    unsafe fn flush_local(&self, what: LocalFlush);

    /// Loads a root, or for `None` one that maps kernel memory alone. Page walks through it begin after all earlier
    /// loads of this CPU, and so does what [`OnInstall::Flush`] drops: one of those loads read the generation that this CPU
    /// acknowledges afterwards. The load may be outstanding still, and an acquire load orders later accesses, not walks and
    /// not TLB maintenance. What waits for it:
    ///
    /// - x86: the write to CR3, which serializes (SDM volume 3, serializing instructions);
    /// - aarch64: `dsb ishld` (or `dsb ish`) before `msr ttbr0_el1; isb` and before the TLBI. `isb` alone does not: it waits
    ///   for changes of context, not for loads (Arm C6.2, DSB and ISB; D8.14);
    /// - riscv64: the `fence r, rw` that an acquire load of the engine ends with, and `sfence.vma` after `csrw satp`, which by
    ///   itself orders nothing (Priv, satp and sfence.vma);
    /// - where software fills the TLB (sparc64): nothing but what orders the handler's own loads.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU;
    /// 2. the root's space is not given to [`free_root`](Self::free_root) before another root is installed on this CPU;
    /// 3. `how` is such that no entry under `tag` belongs to another space or to an older state of this one.
    unsafe fn install(&self, root: Option<Self::Root>, tag: Tag, how: OnInstall);

    /// Sends an IPI to `cpu` (Linux: `arch_send_call_function_single_ipi`): an interrupt without payload. The request
    /// is visible before the interrupt (an interrupt controller reached by system registers may need a barrier for
    /// that, on GICv3 a `dsb ishst`). Called pinned or with interrupts off.
    fn send_ipi(&self, cpu: CpuId);
    /// Sends an IPI to each of these CPUs, as [`send_ipi`](Self::send_ipi) does to one.
    fn send_ipis(&self, cpus: CpuSet) {
        cpus.for_each(|cpu| self.send_ipi(cpu));
    }
    /// Whether [`send_ipis`](Self::send_ipis) is anything but its default. A flush then posts the requests of up to 64
    /// CPUs before it interrupts them all at once.
    const MULTICAST: bool = false;
    /// Whether IPIs reach CPUs. If not, [`flush_remote`](Self::flush_remote) must always return [`Remote::Done`], and
    /// no CPU can be evicted: [`enter_lazy`](crate::Shootdown::enter_lazy) does not build.
    const INTERRUPTS: bool = true;
    /// Whether [requests for contexts](FlushRequest::contexts) reach CPUs: by IPIs, or, on a machine without IPIs, by a
    /// [`flush_remote`](Self::flush_remote) that synchronises contexts. If neither does, the engine refuses such
    /// requests by a panic (SD-21).
    const SYNCS_CONTEXTS: bool = Self::INTERRUPTS;

    /// Frees the tables of a root: nobody refers to the space and no CPU has it loaded. Called once per space, with the
    /// handle of the last reference: the object around the space may go with it, here or later. Called where that
    /// reference was given up, with interrupts as they were there.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. no CPU has the root loaded, and no CPU will load it again.
    unsafe fn free_root(&self, handle: Self::Handle);

    /// Takes over a teardown that was dropped in a place where it cannot run (Linux: `mmput_async`): keeps it, and runs
    /// it later from a context that may wait (see [`Teardown::into_handle`]). Must not drop it; what it drops in its
    /// place, a [`TeardownHandle`](crate::refs::TeardownHandle), leaks. Called in any context.
    fn defer_teardown(&self, teardown: Teardown<'_, Self>);

    /// Drops translations on all CPUs by other means than IPIs (Linux: `broadcast_tlb_flush`): `TLBI ...IS`, INVLPGB
    /// and TLBSYNC, SBI RFENCE, a hypercall (`hyperv_flush_tlb_multi`). Anything short of done is [`Remote::NeedsIpi`],
    /// which tags that rest on broadcasts forbid ([`FlushMethod::Broadcast`](crate::tags::FlushMethod::Broadcast)).
    /// Requests for contexts come here only where there are no [`INTERRUPTS`](Self::INTERRUPTS). Called in the context
    /// of the flush, before [`pin`](Self::pin).
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        let _ = what;
        Remote::NeedsIpi
    }
    /// Whether completion must wait for `cpu`; `false` only for a CPU that is certain to flush everything before it
    /// next uses a translation (Linux: `flush_tlb_multi` of KVM, which leaves it out of the mask; a virtual CPU outside
    /// guest mode that calls [`catch_up`](crate::Shootdown::catch_up) or flushes everything on its way in, or one that
    /// [`flush_on_entry`](Self::flush_on_entry) answered for), and to synchronise its context before it runs code that
    /// was changed. Only reads. Called in any context.
    ///
    /// It does not learn which flush the engine asks about, since a [`Ticket`](crate::flush::Ticket) asks after its
    /// request and its space may be gone. So the answer must hold for every flush, those of kernel memory too: it says
    /// where the CPU is.
    fn needs_ack(&self, cpu: CpuId) -> bool {
        let _ = cpu;
        true
    }
    /// Whether [`needs_ack`](Self::needs_ack) or [`flush_on_entry`](Self::flush_on_entry) is anything but its default:
    /// a CPU that was skipped may then turn out to be running, and is sent an IPI after all.
    const FLUSHES_ON_ENTRY: bool = false;
    /// Whether CPUs call [`enter_user`](crate::Shootdown::enter_user) (Linux: `ct_user_enter`). If this is `false`,
    /// flushes of kernel memory do not look at the mode of a CPU.
    const USER_MODE: bool = false;
    /// Has `cpu` flush everything before it next uses a translation, if that takes no interrupt: a virtual CPU that is
    /// preempted and whose hypervisor flushes when it enters (Linux: `KVM_VCPU_FLUSH_TLB`, commit 858a43aae236). `true`
    /// only if that is certain, and [`needs_ack`](Self::needs_ack) then answers `false` until the CPU runs again.
    /// Called pinned.
    ///
    /// `request` is of `space`, or of kernel memory if that is `None`. The platform may return `false` for a request
    /// that deserves an interrupt. After `true` the CPU flushes everything, whatever the request is: global
    /// translations and cached tables too, and it synchronises its context.
    fn flush_on_entry(&self, cpu: CpuId, space: Option<SpaceId>, request: FlushRequest) -> bool {
        let _ = (cpu, space, request);
        false
    }
    /// Orders the caller's page-table stores before later page walks of other CPUs (aarch64: `dsb ishst`). The engine's
    /// own full fence follows. Called in the context of the flush, before [`pin`](Self::pin).
    fn publish_tables(&self) {}
    /// Whether something besides CPUs keeps translations of the page tables: an IOMMU that shares them, a device's TLB,
    /// a shadow MMU (Linux: `mmu_notifier`, `mmu_notifier_arch_invalidate_secondary_tlbs`). A flush then calls
    /// [`invalidate_secondary`](Self::invalidate_secondary), and is complete once what that posted is
    /// [done](Self::secondary_is_done) (SD-22). If it is `false`, the embedder must end such translations itself before
    /// it frees anything.
    const SECONDARY_TLBS: bool = false;
    /// Has secondary TLBs drop what `request` covers of `space`, or of kernel memory if that is `None`: posts to a
    /// queue, and does not wait (Linux: `mmu_notifier_arch_invalidate_secondary_tlbs`). Returns the position up to
    /// which the queue must be worked off before the flush is complete, or 0 if there is nothing to wait for. Positions
    /// rise; with several queues, they are numbers of the platform's own.
    ///
    /// Called once a flush, after page-table stores were [published](Self::publish_tables) and the generation was
    /// announced, before CPUs are told; also where no CPU has the space loaded, and where CPUs are told
    /// [later](crate::flush::Gather::defer_into). Where one TLB fills from another, post the other first: an IOMMU's,
    /// then those of its devices. Under [`tables_freed`](FlushRequest::tables_freed) what walkers cache goes too. Not
    /// called for [contexts](FlushRequest::contexts). Called in the context of the flush, before [`pin`](Self::pin):
    /// with locks of the caller held, on several CPUs at once, and in interrupt handlers that flush.
    ///
    /// A device that is to leave a space does so before the space's last reference goes (Linux: the notifier's
    /// `release`): take the root out of its table, then [`flush`](crate::Shootdown::flush) everything with tables
    /// freed.
    ///
    /// # Examples
    /// ```
    /// use core::sync::atomic::{AtomicU64, Ordering};
    ///
    /// // What two of the methods come to, for a queue in memory whose slots a lock hands out.
    /// struct Queue {
    ///     posted: AtomicU64,
    ///     // The device writes it behind each batch (VT-d: a wait descriptor; SMMU: `CMD_SYNC`).
    ///     done: AtomicU64,
    /// }
    /// impl Queue {
    ///     fn invalidate_secondary(&self) -> u64 {
    ///         // ... lock, write the descriptors and the one that writes `done`, move the tail, unlock ...
    ///         self.posted.fetch_add(1, Ordering::Relaxed) + 1
    ///     }
    ///     fn secondary_is_done(&self, position: u64) -> bool {
    ///         self.done.load(Ordering::Acquire) >= position
    ///     }
    /// }
    /// let queue = Queue { posted: AtomicU64::new(0), done: AtomicU64::new(0) };
    /// let position = queue.invalidate_secondary();
    /// assert!(!queue.secondary_is_done(position));
    /// queue.done.store(1, Ordering::Release); // the device's part
    /// assert!(queue.secondary_is_done(position));
    /// ```
    fn invalidate_secondary(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        const { assert!(!Self::SECONDARY_TLBS, "`SECONDARY_TLBS` without `invalidate_secondary`") };
        let _ = (space, request);
        0
    }
    /// Whether secondary TLBs have worked off their queue up to `position`: they no longer use what they had to drop,
    /// and their accesses through it are ordered before what the caller does next (by an acquire load, say). Once it is
    /// true it stays true. Only reads. Called in any context.
    fn secondary_is_done(&self, position: u64) -> bool {
        const { assert!(!Self::SECONDARY_TLBS, "`SECONDARY_TLBS` without `secondary_is_done`") };
        let _ = position;
        true
    }
    /// Reports that secondary TLBs have not worked off their queue up to `position` for another
    /// [`STALL_POLLS`](Self::STALL_POLLS) polls; the wait goes on until [`secondary_is_done`](Self::secondary_is_done)
    /// says so. An embedder that gives a device up resets it first. Must return. Called as [`relax`](Self::relax) is.
    fn secondary_stalled(&self, position: u64, polls: u64) {
        let _ = (position, polls);
    }
    /// Called between polls of a wait, with the number of polls so far. Must not block. Called pinned, with interrupts
    /// as the waiter has them.
    fn relax(&self, polls: u64) {
        let _ = polls;
    }
    /// Reports a stall (Linux: csd lock debugging, `csd_lock_wait`): `cpu` has not answered for another
    /// [`STALL_POLLS`](Self::STALL_POLLS) polls; then it is sent another IPI and the wait goes on. Must return. Called
    /// as [`relax`](Self::relax) is.
    fn stalled(&self, cpu: CpuId, polls: u64) {
        let _ = (cpu, polls);
    }
    /// Called on a CPU that goes off line, after its last flush. After it returns, this CPU touches nothing that can be
    /// unmapped. Called with interrupts off.
    fn before_offline(&self) {}
    /// Called when a [`Gather`](crate::flush::Gather) has recorded all that it holds, before it announces its flush:
    /// entries that `request` covers were cleared, of `space`, or of kernel memory if that is `None`. The engine passes
    /// the returned number to [`released`](Self::released); 0 stands for nothing. For the TLB sanitizer; any context.
    #[inline]
    fn gathered(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        let _ = (space, request);
        0
    }
    /// Called when the flush of the gather with this number is complete, before its frames go (with 0 where nothing was
    /// recorded). Called in any context.
    #[inline]
    fn released(&self, number: u64) {
        let _ = number;
    }
    /// Called at each protocol event, for tracing (Linux: `trace_tlb_flush`); any context, interrupts on or off.
    #[inline]
    fn event(&self, event: Event) {
        let _ = event;
    }
}

/// Costs of TLB flushes, in cycles or any other unit. From them the engine decides whether to flush pages one by one or
/// the whole tag.
///
/// # Examples
/// ```
/// use shootdown::flush::FlushCosts;
///
/// // A core that drops a tag for the price of two pages, and walks fast.
/// let costs = FlushCosts { page: 200, tag: 400, refill: 60, refills: 20 };
/// assert_eq!(costs.ceiling(), 8);
/// // Where refills are dear, more pages go one by one.
/// assert!(FlushCosts { refill: 300, ..costs }.ceiling() > 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushCosts {
    /// Cost to flush one page.
    pub page: u64,
    /// Cost to flush everything under a tag.
    pub tag: u64,
    /// Cost to load one translation again.
    pub refill: u64,
    /// Number of translations that a CPU loads again after its tag was flushed: what it uses of a space until the next
    /// flush.
    pub refills: u64,
}

impl FlushCosts {
    /// Costs on a server of the 2020s.
    pub const TYPICAL: Self = Self { page: 200, tag: 400, refill: 60, refills: 20 };

    /// The most pages that cost no more to flush one by one than the tag and its refills. At least 1.
    pub const fn ceiling(self) -> u64 {
        let whole = self.tag.saturating_add(self.refill.saturating_mul(self.refills));
        let page = if self.page == 0 { 1 } else { self.page };
        if whole > page { whole / page } else { 1 }
    }
}

/// The embedder's smart pointer to the object that holds an [`AddressSpace`].
///
/// # Safety
/// Implementers promise:
/// 1. [`space`](Self::space) of a value and of all its clones returns the same reference;
/// 2. the [`AddressSpace`] does not move and is not dropped while a clone exists.
pub unsafe trait SpaceHandle<P: Platform>: Clone {
    /// The address space inside.
    fn space(&self) -> &AddressSpace<P>;
}

// SAFETY: 1. it is one reference; 2. it borrows for ever.
unsafe impl<P: Platform> SpaceHandle<P> for &'static AddressSpace<P> {
    fn space(&self) -> &AddressSpace<P> {
        self
    }
}

/// A flush of this CPU's TLB, for [`Platform::flush_local`] (Linux: `__flush_tlb_one_user` and the like).
///
/// - With a tag and [pages](FlushRequest::range): these pages under the tag; where
///   [tables are freed](FlushRequest::frees_tables), whatever the walker caches of that tag too.
/// - With a tag alone: everything under the tag, walk caches included.
/// - With pages alone: these pages of kernel memory, under all tags; where tables are freed, walk caches too.
/// - With neither: everything, global entries included.
/// - For [contexts](FlushRequest::syncs_contexts): no translation; this CPU's context is synchronised.
///
/// # Examples
/// ```
/// use shootdown::flush::LocalFlush;
///
/// fn instruction(what: LocalFlush) -> &'static str {
///     match (what.tag, what.request.range()) {
///         (Some(_), Some(_)) => "INVLPG, or INVPCID of an address",
///         (Some(_), None) => "INVPCID of a context",
///         (None, Some(_)) => "INVLPG",
///         (None, None) => "INVPCID of all contexts and globals",
///     }
/// }
/// assert_eq!(instruction(LocalFlush::EVERYTHING), "INVPCID of all contexts and globals");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalFlush {
    /// The tag under which entries are dropped; `None` for kernel memory.
    pub tag: Option<Tag>,
    /// What of it goes.
    pub request: FlushRequest,
}

impl LocalFlush {
    /// Everything, global entries included.
    pub const EVERYTHING: Self = Self { tag: None, request: FlushRequest::all() };
}

/// What happens to the entries under the tag when a root is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInstall {
    /// They stay (x86: CR3 with bit 63).
    Keep,
    /// They are dropped. On hardware without tags every install does this.
    Flush,
}

/// A flush of all CPUs' TLBs, for [`Platform::flush_remote`] (Linux: `broadcast_tlb_flush`).
pub struct RemoteFlush<'a, P: Platform> {
    /// The space; `None` for kernel memory.
    pub space: Option<&'a AddressSpace<P>>,
    /// The tag under which every CPU runs it, where there is one such tag (see
    /// [`FlushMethod`](crate::tags::FlushMethod)).
    pub tag: Option<Tag>,
    /// What of it goes.
    pub request: FlushRequest,
    /// Storage of the CPUs on line.
    pub(crate) online: &'a P::Mask,
}

impl<P: Platform> RemoteFlush<'_, P> {
    /// Calls `visit` with the CPUs that must be reached, up to 64 at a time: the number of the first, and a bit for it
    /// and each of the 63 that follow (a hart mask, a processor set): members of the space's mask, or for kernel memory
    /// all CPUs on line. The caller's own bit is among them where it holds translations.
    ///
    /// A CPU that joins the mask after this has been read sees the page tables as they are now.
    pub fn for_each_target(&self, mut visit: impl FnMut(CpuId, u64)) {
        self.for_each_set(|set| visit(set.first(), set.bits()));
    }

    /// The same, as sets.
    pub fn for_each_set(&self, visit: impl FnMut(CpuSet)) {
        self.space.map_or(Members::of(self.online), AddressSpace::members).for_each_batch(None, visit);
    }
}

/// Answer of [`Platform::flush_remote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// No CPU can use the old translations any more.
    Done,
    /// Not done, or not by all CPUs: send IPIs.
    NeedsIpi,
}

/// What a CPU does about its bit in the mask of a space that it leaves for another (SD-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLeave {
    /// Removes it: masks are exact, a switch writes two masks.
    RemoveBit,
    /// Keeps it until asked to trim, by [`trim`](crate::Shootdown::trim) or by a flush
    /// [now and then](Platform::TRIM_EVERY): a switch back writes none, a flush looks at one more CPU.
    KeepBit,
}

/// Why the engine has interrupts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqReason {
    /// From marking the CPU as switching to publishing what it has loaded.
    Switch,
    /// Marking a CPU lazy.
    EnterLazy,
    /// Leaving a root for none.
    Leave,
    /// The initiator's own flush.
    LocalFlush,
    /// Handling an IPI request from a wait.
    HandleIpi,
    /// A temporary space is loaded: lasts as long as the caller's closure.
    Temporary,
    /// Going on or off line.
    Hotplug,
    /// Working on the tag policy's tables.
    Tags,
    /// Taking an identity for a new space.
    Create,
}

impl IrqReason {
    /// All reasons that there are.
    pub const ALL: [Self; 9] = [
        Self::Switch,
        Self::EnterLazy,
        Self::Leave,
        Self::LocalFlush,
        Self::HandleIpi,
        Self::Temporary,
        Self::Hotplug,
        Self::Tags,
        Self::Create,
    ];
}

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom))))]
mod tests {
    use super::FlushCosts;

    #[test]
    fn pages_go_one_by_one_while_they_cost_no_more_than_the_tag_and_its_refills() {
        let costs = FlushCosts { page: 100, tag: 300, refill: 50, refills: 10 };
        assert_eq!(costs.ceiling(), 8);
        assert_eq!(FlushCosts { tag: 0, ..costs }.ceiling(), 5);
        assert_eq!(FlushCosts { refills: 0, ..costs }.ceiling(), 3);
        assert_eq!(FlushCosts { page: 10_000, ..costs }.ceiling(), 1, "one page goes by itself");
        assert_eq!(FlushCosts { page: 0, ..costs }.ceiling(), 800);
        assert_eq!(FlushCosts { page: 1, refill: u64::MAX, ..costs }.ceiling(), u64::MAX);
    }
}
