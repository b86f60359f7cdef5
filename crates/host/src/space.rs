//! Where the engine's part of an address space lives.

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
unsafe impl<P: Platform> shootdown::SpaceHandle<P> for SpaceHandle<P> {
    fn space(&self) -> &AddressSpace<P> {
        &self.0
    }
}
