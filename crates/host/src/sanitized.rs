//! A host under a sanitizer's watch.

use crate::builder::MachineBuilder;
use crate::error::BuildError;
use crate::host::{Host, Hosted, Mask, Sealed};
use crate::machine::Machine;
use crate::space::{DeferredTeardown, SpaceHandle};
use shootdown::AddressSpace;
use shootdown::refs::{SpaceHandle as _, Teardown};
use shootdown::sanitizer::{Checked, Verdict, Wrapped};

/// A [`Host`] that a sanitizer watches; see [`MachineBuilder::sanitized`].
pub type Sanitized<R, V> = Checked<Host<R>, V>;

impl<R: Copy + Send + Sync + 'static> MachineBuilder<R> {
    /// Makes a machine under a sanitizer's watch: it reports to `verdict` every frame that is freed while a CPU may
    /// still use it. The sanitizer watches the first 64 CPUs, and costs a few shared words at each flush and gather.
    ///
    /// # Errors
    /// [`BuildError`], for no CPUs or too many.
    pub fn sanitized<V: Verdict + 'static>(
        self,
        verdict: V,
    ) -> Result<Machine<R, Sanitized<R, V>>, BuildError> {
        Ok(Machine::of(Checked::new(self.host()?, verdict)))
    }
}

impl<R: Copy + Send + Sync, V> Sealed for Sanitized<R, V> {}

impl<R: Copy + Send + Sync + 'static, V: Verdict + 'static> Hosted for Sanitized<R, V> {
    fn host(&self) -> &Host<R> {
        self.inner()
    }
    fn mask() -> Mask {
        Mask::new()
    }
    fn handle(space: AddressSpace<Self>) -> SpaceHandle<Self> {
        SpaceHandle::new(space)
    }
}

// SAFETY: 1. there is no broadcast, and no secondary TLB.
unsafe impl<R: Copy + Send + Sync + 'static, V: Verdict + 'static> Wrapped<Sanitized<R, V>> for Host<R> {
    type Handle = SpaceHandle<Sanitized<R, V>>;

    unsafe fn free_root(&self, handle: SpaceHandle<Sanitized<R, V>>) {
        self.root_freed(handle.space().root());
    }

    fn defer_teardown(&self, teardown: Teardown<'_, Sanitized<R, V>>) {
        self.keep(teardown.root(), DeferredTeardown::of(teardown));
    }
}
