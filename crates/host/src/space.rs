//! Where the engine's part of an address space lives.

use crate::host::Host;
use shootdown::AddressSpace;
use std::fmt;
use std::sync::Arc;

/// The engine's pointer to an address space of a hosted machine.
pub struct SpaceHandle<R: Copy + Send + Sync + 'static>(Arc<AddressSpace<Host<R>>>);

impl<R: Copy + Send + Sync> SpaceHandle<R> {
    pub(crate) fn new(space: AddressSpace<Host<R>>) -> Self {
        Self(Arc::new(space))
    }
}

impl<R: Copy + Send + Sync> Clone for SpaceHandle<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Copy + Send + Sync> fmt::Debug for SpaceHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpaceHandle").field(&self.0).finish()
    }
}

// SAFETY: 1. clones of an `Arc` lead to the same value; 2. it neither moves nor goes while one of them exists.
unsafe impl<R: Copy + Send + Sync> shootdown::SpaceHandle<Host<R>> for SpaceHandle<R> {
    fn space(&self) -> &AddressSpace<Host<R>> {
        &self.0
    }
}
