//! A place for teardowns that must run later.

use crate::handles::TeardownHandle;
use crate::platform::Platform;
use crate::space::AddressSpace;
use crate::sync::Word;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// Places for `N` teardowns that were deferred. Any context may put one in, interrupt handlers too; none
/// waits.
pub struct Deferred<P: Platform + 'static, const N: usize> {
    /// Address of a space, or 0.
    places: [Word; N],
    spaces: PhantomData<fn(P)>,
}

impl<P: Platform + 'static, const N: usize> Deferred<P, N> {
    /// Makes empty places.
    pub const fn new() -> Self {
        Self { places: [const { Word::new("deferred", 0) }; N], spaces: PhantomData }
    }
}

impl<P: Platform<Handle = &'static AddressSpace<P>>, const N: usize> Deferred<P, N> {
    /// Keeps a teardown.
    ///
    /// # Errors
    /// Hands it back if every place is taken.
    pub fn put(&self, teardown: TeardownHandle<P>) -> Result<(), TeardownHandle<P>> {
        let address = core::ptr::from_ref::<AddressSpace<P>>(*teardown.inner()).expose_provenance() as u64;
        // ORDER(SD-10): release, so that the CPU that takes it up sees what was done with the space before.
        let taken =
            |place: &&Word| place.compare_exchange(0, address, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        self.places.iter().find(taken).map(|_| ()).ok_or(teardown)
    }

    /// Takes one up, if there is any.
    #[expect(unsafe_code, reason = "addresses go through words that CPUs share")]
    pub fn take(&self) -> Option<TeardownHandle<P>> {
        // ORDER(SD-10): acquire; see `put`.
        let address =
            self.places.iter().map(|place| place.swap(0, Ordering::AcqRel)).find(|&address| address != 0)?;
        let space = core::ptr::with_exposed_provenance(address as usize);
        // SAFETY: 1. only `put` writes a place, an address of a reference of this type that lives for ever.
        let space: &'static AddressSpace<P> = unsafe { &*space };
        // SAFETY: 1. `put` took the teardown, and its place is empty from now on.
        Some(unsafe { TeardownHandle::from_inner(space) })
    }
}

impl<P: Platform + 'static, const N: usize> Default for Deferred<P, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform + 'static, const N: usize> fmt::Debug for Deferred<P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").field("places", &N).finish_non_exhaustive()
    }
}
