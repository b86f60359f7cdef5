//! A platform that is provided at link time, by [`::crate_interface`], as ArceOS and its family provide
//! theirs.
//!
//! The crate that manages memory uses [`Linked`] and knows nothing of the hardware. The crate with the hardware
//! implements [`PlatformIf`] and knows nothing of memory management. Neither depends on the other. Here both are
//! modules:
//!
//! ```
//! /// The crate that manages memory.
//! mod memory {
//!     use shootdown::flush::{FlushRequest, PageRange, VirtAddr};
//!     use shootdown::mask::CpuMask;
//!     use shootdown::tags::Untagged;
//!     use shootdown::Shootdown;
//!     use shootdown_integrations::crate_interface::Linked;
//!
//!     // SAFETY: 1. the crate with the hardware says so.
//!     static ENGINE: Shootdown<Linked> = Shootdown::new(unsafe { Linked::new(Untagged) }, CpuMask::new());
//!
//!     /// Unmaps a page of a new space.
//!     pub fn unmap_something() -> Result<(), Box<dyn std::error::Error>> {
//!         ENGINE.online_cpu()?;
//!         let space = ENGINE.new_space(0x1000, CpuMask::new())?;
//!         ENGINE.flush(&space, FlushRequest::pages(PageRange::page(VirtAddr(0x40_0000))));
//!         Ok(())
//!     }
//! }
//!
//! /// The crate with the hardware.
//! mod hardware {
//!     use shootdown::flush::{FlushRequest, LocalFlush, Remote};
//!     use shootdown::tags::{OnInstall, Tag};
//!     use shootdown::trace::Event;
//!     use shootdown::trace::IrqReason;
//!     use shootdown::CpuLocal;
//!     use shootdown_integrations::crate_interface::PlatformIf;
//!
//!     static LOCAL: CpuLocal = CpuLocal::new();
//!
//!     struct Hardware;
//!
//!     #[crate_interface::impl_interface(namespace = Shootdown)]
//!     impl PlatformIf for Hardware {
//!         fn cpu() -> u32 {
//!             0
//!         }
//!         fn local(_cpu: u32) -> &'static CpuLocal {
//!             &LOCAL
//!         }
//!         fn pin() {}
//!         fn unpin() {}
//!         fn irq_save(_reason: IrqReason) -> bool {
//!             true
//!         }
//!         fn irq_restore(_were_on: bool) {}
//!         fn flush_local(what: LocalFlush) {
//!             println!("flush {what:?}");
//!         }
//!         fn flush_remote(_tag: Option<Tag>, _request: FlushRequest) -> Remote {
//!             Remote::NeedsIpi
//!         }
//!         fn install(_root: Option<u64>, _tag: Tag, _how: OnInstall) {}
//!         fn send_ipi(_cpu: u32) {}
//!         fn publish_tables() {}
//!         fn free_root(_root: u64) {}
//!         fn defer_teardown(_object: usize) {}
//!         fn retain(_object: usize) {}
//!         fn release(_object: usize) {}
//!         fn relax(_polls: u64) {}
//!         fn stalled(_cpu: u32, _polls: u64) {}
//!         fn event(event: Event) {
//!             println!("event {event:?}");
//!         }
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     memory::unmap_something()
//! }
//! ```
//!
//! Where nothing implements it, the linker names `__Shootdown_PlatformIf_cpu` and the others; where two do, it names
//! them as duplicates. An implementation that leaves a function out does not compile.
//!
//! Spaces are held by [`Handle`], which counts the kernel's own object (an `Arc`, by its pointer) through `retain` and
//! `release`.

use ::crate_interface::call_interface;
use core::fmt;
use core::ptr::NonNull;
use shootdown::flush::{FlushRequest, LocalFlush, Remote, RemoteFlush};
use shootdown::mask::CpuMask;
use shootdown::refs::{SpaceHandle, Teardown};
use shootdown::tags::{OnInstall, Tag, TagPolicy, Untagged};
use shootdown::trace::Event;
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform};

/// What the crate with the hardware provides, by
/// `#[crate_interface::impl_interface(namespace = Shootdown)]`. Each function is the method of [`Platform`] of that
/// name, whose documentation says what it must do. Below are only the differences.
///
/// Constants cannot be linked in, nor the features that depend on them: virtual CPUs that flush on entry, user mode,
/// secondary TLBs. A machine with those implements [`Platform`] itself.
///
/// An `object` is the kernel's own object around a space, as one word: the pointer of an `Arc`, say.
///
/// All functions are required; an implementation that leaves one out does not compile:
///
/// ```compile_fail,E0046
/// use shootdown_integrations::crate_interface::PlatformIf;
///
/// struct Hardware;
/// #[crate_interface::impl_interface(namespace = Shootdown)]
/// impl PlatformIf for Hardware {
///     fn cpu() -> u32 {
///         0
///     }
/// }
/// ```
#[::crate_interface::def_interface(namespace = Shootdown)]
pub trait PlatformIf {
    /// Number of the calling CPU.
    fn cpu() -> u32;
    /// The memory lent for a CPU.
    fn local(cpu: u32) -> &'static CpuLocal;
    /// Keeps the calling thread on its CPU, and other threads off it, until as many calls of `unpin`.
    fn pin();
    /// Undoes one `pin`.
    fn unpin();
    /// Turns interrupts off and says whether they were on.
    fn irq_save(reason: IrqReason) -> bool;
    /// Undoes `irq_save`.
    fn irq_restore(were_on: bool);
    /// Drops translations of this CPU; interrupts are off.
    fn flush_local(what: LocalFlush);
    /// Drops translations on all CPUs by other means than IPIs; [`Remote::NeedsIpi`] where there are none.
    fn flush_remote(tag: Option<Tag>, request: FlushRequest) -> Remote;
    /// Loads a root; interrupts are off.
    fn install(root: Option<u64>, tag: Tag, how: OnInstall);
    /// Sends an IPI to a CPU.
    fn send_ipi(cpu: u32);
    /// Orders page-table stores before other CPUs' page walks.
    fn publish_tables();
    /// Frees the tables of a root that no CPU has loaded.
    fn free_root(root: u64);
    /// Takes over a teardown: keeps the object, and with it the count that it is handed. Later it turns the object into
    /// a [`Handle`], the handle into a `TeardownHandle` by `from_inner`, and that into a teardown by
    /// `teardown_from_handle`.
    fn defer_teardown(object: usize);
    /// Counts one more reference to the object around a space (`Arc::increment_strong_count`).
    fn retain(object: usize);
    /// Gives up one reference, and drops the object after the last (`Arc::decrement_strong_count`).
    fn release(object: usize);
    /// Called between polls of a wait.
    fn relax(polls: u64);
    /// Called when a CPU has not answered for long.
    fn stalled(cpu: u32, polls: u64);
    /// Called at each protocol event.
    fn event(event: Event);
}

/// A platform whose every part but the tags is linked in from the crate that implements [`PlatformIf`]. Roots are
/// words, and masks have room for `64 * WORDS` CPUs.
#[derive(Debug)]
pub struct Linked<T = Untagged, const WORDS: usize = 4> {
    tags: T,
}

impl<T, const WORDS: usize> Linked<T, WORDS> {
    /// Makes the platform, for one machine.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the program's implementation of [`PlatformIf`] keeps what [`Platform`] promises.
    pub const unsafe fn new(tags: T) -> Self {
        Self { tags }
    }
}

/// Keeps a thread on its CPU.
#[derive(Debug)]
pub struct Pinned(());

impl Drop for Pinned {
    #[inline]
    fn drop(&mut self) {
        call_interface!(namespace = Shootdown, PlatformIf::unpin());
    }
}

// SAFETY: 1. to 6. the caller of `Linked::new` promises them for the functions that are linked in.
unsafe impl<T: TagPolicy + 'static, const WORDS: usize> Platform for Linked<T, WORDS> {
    type Root = u64;
    type Mask = CpuMask<WORDS>;
    type Handle = Handle<T, WORDS>;
    type Tags = T;
    type Pin = Pinned;

    #[inline]
    fn pin(&self) -> Pinned {
        call_interface!(namespace = Shootdown, PlatformIf::pin());
        Pinned(())
    }
    #[inline]
    fn cpu(&self) -> CpuId {
        CpuId::new(call_interface!(namespace = Shootdown, PlatformIf::cpu()))
    }
    #[inline]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        call_interface!(namespace = Shootdown, PlatformIf::local(cpu.number()))
    }
    #[inline]
    fn irq_save(&self, reason: IrqReason) -> bool {
        call_interface!(namespace = Shootdown, PlatformIf::irq_save(reason))
    }
    #[inline]
    fn irq_restore(&self, were_on: bool) {
        call_interface!(namespace = Shootdown, PlatformIf::irq_restore(were_on));
    }
    #[inline]
    fn tags(&self) -> &T {
        &self.tags
    }
    #[inline]
    unsafe fn flush_local(&self, what: LocalFlush) {
        call_interface!(namespace = Shootdown, PlatformIf::flush_local(what));
    }
    #[inline]
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        call_interface!(namespace = Shootdown, PlatformIf::flush_remote(what.tag, what.request))
    }
    #[inline]
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        call_interface!(namespace = Shootdown, PlatformIf::install(root, tag, how));
    }
    #[inline]
    fn send_ipi(&self, cpu: CpuId) {
        call_interface!(namespace = Shootdown, PlatformIf::send_ipi(cpu.number()));
    }
    #[inline]
    fn publish_tables(&self) {
        call_interface!(namespace = Shootdown, PlatformIf::publish_tables());
    }
    #[inline]
    unsafe fn free_root(&self, handle: Self::Handle) {
        call_interface!(namespace = Shootdown, PlatformIf::free_root(handle.space().root()));
    }
    #[inline]
    fn defer_teardown(&self, late: Teardown<'_, Self>) {
        // SAFETY: 1. it is taken apart here, still counted; the implementation keeps the object (`Linked::new`).
        let handle = unsafe { late.into_handle().into_inner() };
        call_interface!(namespace = Shootdown, PlatformIf::defer_teardown(handle.into_object()));
    }
    #[inline]
    fn relax(&self, polls: u64) {
        call_interface!(namespace = Shootdown, PlatformIf::relax(polls));
    }
    #[inline]
    fn stalled(&self, cpu: CpuId, polls: u64) {
        call_interface!(namespace = Shootdown, PlatformIf::stalled(cpu.number(), polls));
    }
    #[inline]
    fn event(&self, event: Event) {
        call_interface!(namespace = Shootdown, PlatformIf::event(event));
    }
}

/// A counted pointer to a space inside an object of the kernel.
///
/// # Invariants
/// This value owns one count of `object`, which keeps the space in place.
pub struct Handle<T: TagPolicy + 'static, const WORDS: usize> {
    space: NonNull<AddressSpace<Linked<T, WORDS>>>,
    object: usize,
}

// SAFETY: the space is shared, as its type allows; the count is the implementation's, which any CPU may call
// (obligation 2 of `new`).
unsafe impl<T: TagPolicy + 'static, const WORDS: usize> Send for Handle<T, WORDS> {}
// SAFETY: as above.
unsafe impl<T: TagPolicy + 'static, const WORDS: usize> Sync for Handle<T, WORDS> {}

impl<T: TagPolicy + 'static, const WORDS: usize> Handle<T, WORDS> {
    /// Takes over one count of `object`, in which `space` lies.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. `space` stays valid and where it is while `object` is counted;
    /// 2. `retain` and `release` of the implementation count `object`, from any CPU;
    /// 3. the caller owns one count of it, which it hands to this value.
    pub const unsafe fn new(space: NonNull<AddressSpace<Linked<T, WORDS>>>, object: usize) -> Self {
        // INVARIANT: 3. and 1.
        Self { space, object }
    }

    /// Takes the handle apart, still counted.
    pub fn into_object(self) -> usize {
        core::mem::ManuallyDrop::new(self).object
    }
}

impl<T: TagPolicy + 'static, const WORDS: usize> Clone for Handle<T, WORDS> {
    #[inline]
    fn clone(&self) -> Self {
        call_interface!(namespace = Shootdown, PlatformIf::retain(self.object));
        // INVARIANT: the count is the new value's.
        Self { space: self.space, object: self.object }
    }
}

impl<T: TagPolicy + 'static, const WORDS: usize> Drop for Handle<T, WORDS> {
    #[inline]
    fn drop(&mut self) {
        call_interface!(namespace = Shootdown, PlatformIf::release(self.object));
    }
}

// SAFETY: 1. clones copy the pointer; 2. every clone has a count, which keeps the space (see Invariants).
unsafe impl<T: TagPolicy + 'static, const WORDS: usize> SpaceHandle<Linked<T, WORDS>> for Handle<T, WORDS> {
    #[inline]
    fn space(&self) -> &AddressSpace<Linked<T, WORDS>> {
        // SAFETY: this value's count keeps it valid (see Invariants).
        unsafe { self.space.as_ref() }
    }
}

impl<T: TagPolicy + 'static, const WORDS: usize> fmt::Debug for Handle<T, WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.object).finish()
    }
}
