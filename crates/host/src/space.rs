//! Where the engine's part of an address space lives.

use shootdown::refs::{Teardown, TeardownHandle};
use shootdown::{AddressSpace, Platform};
use std::fmt;
use std::sync::Arc;

/// The engine's pointer to an address space of a hosted machine.
pub struct SpaceHandle<P: Platform>(Arc<AddressSpace<P>>);

impl<P: Platform> SpaceHandle<P> {
    pub(crate) fn new(space: AddressSpace<P>) -> Self {
        Self(Arc::new(space))
    }
}

/// A teardown that waits for a thread to run it.
///
/// # Invariants
/// It lies in the list of its machine's platform until it is [taken](Self::take) out.
pub(crate) struct DeferredTeardown<P: Platform>(Option<TeardownHandle<P>>);

impl<P: Platform> DeferredTeardown<P> {
    pub(crate) fn of(teardown: Teardown<'_, P>) -> Self {
        Self(Some(teardown.into_handle()))
    }

    pub(crate) fn take(mut self) -> TeardownHandle<P> {
        self.0.take().expect("it is taken once")
    }
}

impl<P: Platform> Drop for DeferredTeardown<P> {
    fn drop(&mut self) {
        if let Some(never_run) = self.0.take() {
            // SAFETY: 1. the list goes with its platform, after the engine and with the memory of its CPUs (see Invariants):
            // nothing looks for the space any more.
            drop(unsafe { never_run.into_inner() });
        }
    }
}

impl<P: Platform> Clone for SpaceHandle<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Platform> fmt::Debug for SpaceHandle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpaceHandle").field(&self.0).finish()
    }
}

// SAFETY: 1. clones of an `Arc` lead to the same value; 2. it neither moves nor goes while one of them exists.
unsafe impl<P: Platform> shootdown::refs::SpaceHandle<P> for SpaceHandle<P> {
    fn space(&self) -> &AddressSpace<P> {
        &self.0
    }
}
