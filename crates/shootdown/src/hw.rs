//! Every unsafe call of the engine.

use crate::percpu::Loaded;
use crate::platform::{LocalFlush, OnInstall, Platform};
use crate::space::AddressSpace;
use crate::types::Tag;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

/// Drops translations of this CPU. Only code that has interrupts off calls it.
#[inline]
pub(crate) fn flush_local<P: Platform>(platform: &P, what: LocalFlush) {
    // SAFETY: 1. `ThisCpu` exists only while interrupts are off; `handle_ipi`, `exit_user` and `in_nmi` are called so (their own
    // obligation 1).
    unsafe { platform.flush_local(what) }
}

/// Loads a root. Only [`crate::this_cpu::ThisCpu`] calls it, which has interrupts off.
#[inline]
pub(crate) fn install<P: Platform>(platform: &P, space: Option<&AddressSpace<P>>, tag: Tag, how: OnInstall) {
    // SAFETY: 1. as above; 2. SD-10: a root is freed only after every CPU in the mask has left it, and this CPU put
    // itself in before it came here; 3. SD-5 and SD-12: `how` was chosen from the generation read after that, and from the
    // tag policy's answer, which it promises to be right.
    unsafe { platform.install(space.map(AddressSpace::root), tag, how) }
}

/// Frees a root. Only [`crate::Shootdown::free_space`] calls it.
#[inline]
pub(crate) fn free_root<P: Platform>(platform: &P, handle: P::Handle) {
    // SAFETY: 1. all CPUs were evicted, and loading it again takes a reference, of which there is none.
    unsafe { platform.free_root(handle) }
}

/// Returns the space that `loaded` of the calling CPU names.
///
/// # Invariants
/// A space's memory outlives its being loaded: its last struct reference waits until no CPU has it loaded before the
/// handle is dropped (SD-10), or its owner has promised to retire it first
/// ([`Entry::loaded`](crate::coherence::Entry::loaded)). The caller must not use the answer after it has published
/// something else as loaded.
#[inline]
pub(crate) fn space_of<'a, P: Platform>(loaded: Loaded) -> Option<&'a AddressSpace<P>> {
    let address = loaded.address() as usize;
    if address == 0 {
        return None;
    }
    let space = core::ptr::with_exposed_provenance::<AddressSpace<P>>(address);
    // SAFETY: the address came from `AddressSpace::address` of a live space; it stays live by the invariant above.
    Some(unsafe { &*space })
}

/// Returns the space that the calling CPU had loaded when it began to load another.
///
/// # Invariants
/// The caller has not published what it has loaded since, so the space is waited for: in [`crate::this_cpu`] where it has called
/// nothing else, and for an [`Entry`](crate::coherence::Entry) where its owner has promised that.
#[inline]
pub(crate) fn still_loaded<'a, P: Platform>(space: NonNull<AddressSpace<P>>) -> &'a AddressSpace<P> {
    // SAFETY: it was made of a reference of `space_of`, and is live by the invariant above.
    unsafe { space.as_ref() }
}

/// Returns the space that a trim request names.
///
/// # Invariants
/// The CPU that asks keeps a reference until the request is answered or withdrawn.
#[inline]
pub(crate) fn space_at<'a, P: Platform>(address: u64) -> Option<&'a AddressSpace<P>> {
    space_of(Loaded::active(address))
}

/// Moves the handle out of a reference.
///
/// # Invariants
/// The reference ends with this call: its handle is not used again.
#[inline]
pub(crate) fn take_handle<H>(handle: &mut ManuallyDrop<H>) -> H {
    // SAFETY: 1. the handle is not used again, by the invariant above; fields in `ManuallyDrop` are not dropped either.
    unsafe { ManuallyDrop::take(handle) }
}
