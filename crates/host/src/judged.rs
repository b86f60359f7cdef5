//! A host under a judge's watch.

use crate::error::SetupError;
use crate::host::{Host, Hosted, Mask, Sealed};
use crate::machine::{Machine, Setup};
use crate::space::{Late, SpaceHandle};
use shootdown::{AddressSpace, Teardown};
use shootdown_judge::{Checked, Verdict, Wrapped};

/// A [`Host`] that a judge watches; see [`Setup::judged`].
pub type Judged<R, V> = Checked<Host<R>, V>;

impl<R: Copy + Send + Sync + 'static> Setup<R> {
    /// Makes a machine under a judge's watch: `verdict` hears of every frame that is given back while a CPU may still use
    /// it. The judge watches the first 64 CPUs, and costs a few shared words at each flush and gather.
    ///
    /// # Errors
    /// [`SetupError`], for no CPUs or too many.
    pub fn judged<V: Verdict + 'static>(self, verdict: V) -> Result<Machine<R, Judged<R, V>>, SetupError> {
        Ok(Machine::of(Checked::new(self.host()?, verdict)))
    }
}

impl<R: Copy + Send + Sync, V> Sealed for Judged<R, V> {}

impl<R: Copy + Send + Sync + 'static, V: Verdict + 'static> Hosted for Judged<R, V> {
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

// SAFETY: there is no broadcast.
unsafe impl<R: Copy + Send + Sync + 'static, V: Verdict + 'static> Wrapped<Judged<R, V>> for Host<R> {
    type Handle = SpaceHandle<Judged<R, V>>;

    unsafe fn free_root(&self, space: &AddressSpace<Judged<R, V>>) {
        (self.hooks.root_freed)(space.root());
    }

    fn defer_teardown(&self, teardown: Teardown<'_, Judged<R, V>>) {
        self.keep(Late::of(teardown));
    }
}
