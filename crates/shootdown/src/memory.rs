//! Memory to unmap from: a space, or kernel memory.

use crate::engine::Shootdown;
use crate::flush::Pending;
use crate::gather::Gather;
use crate::platform::Platform;
use crate::space::AddressSpace;
use crate::sync::Word;
use crate::ticket::Awaited;
use crate::types::{FlushRequest, Levels, PageRange};

/// Memory that a gather unmaps from. The engine alone implements it.
pub trait Memory<'a, P: Platform>: Copy {
    /// The space; `None` for kernel memory.
    fn space(self) -> Option<&'a AddressSpace<P>>;
    /// Gathers that are open, and those that were retired.
    fn gathers(self) -> &'a Word;
    /// What a CPU must have done that is up to date.
    fn latest(self) -> Latest;
    /// Begins a flush.
    fn send(self, engine: &'a Shootdown<P>, request: FlushRequest) -> Pending<'a, P>;
    /// Flushes and waits.
    fn flush(self, engine: &'a Shootdown<P>, request: FlushRequest);
}

/// What a CPU must have done that is up to date.
pub struct Latest(pub(crate) Awaited);

impl<'a, P: Platform> Memory<'a, P> for &'a AddressSpace<P> {
    #[inline]
    fn space(self) -> Option<&'a AddressSpace<P>> {
        Some(self)
    }
    #[inline]
    fn gathers(self) -> &'a Word {
        &self.gathers
    }
    fn latest(self) -> Latest {
        Latest(Awaited { address: self.address(), generation: self.history.now(), levels: Levels::All })
    }
    #[inline]
    fn send(self, engine: &'a Shootdown<P>, request: FlushRequest) -> Pending<'a, P> {
        engine.send_own(self, request)
    }
    #[inline]
    fn flush(self, engine: &'a Shootdown<P>, request: FlushRequest) {
        engine.flush_own(self, request);
    }
}

/// Kernel memory, which every CPU on line uses; returned by [`Shootdown::kernel`].
pub struct KernelMemory<'a, P: Platform>(&'a Shootdown<P>);

impl<P: Platform> Clone for KernelMemory<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for KernelMemory<'_, P> {}

impl<'a, P: Platform> Memory<'a, P> for KernelMemory<'a, P> {
    #[inline]
    fn space(self) -> Option<&'a AddressSpace<P>> {
        None
    }
    #[inline]
    fn gathers(self) -> &'a Word {
        &self.0.kernel_gathers
    }
    fn latest(self) -> Latest {
        let generation = self.0.kernel.now();
        // A CPU in user mode uses no old translation, whatever it has not flushed.
        Latest(Awaited { address: Awaited::KERNEL, generation, levels: Levels::Leaf })
    }
    #[inline]
    fn send(self, engine: &'a Shootdown<P>, request: FlushRequest) -> Pending<'a, P> {
        engine.send_kernel(request)
    }
    #[inline]
    fn flush(self, engine: &'a Shootdown<P>, request: FlushRequest) {
        engine.flush_kernel(request);
    }
}

impl<P: Platform> Shootdown<P> {
    /// Kernel memory, to be gathered from.
    #[inline]
    pub fn kernel(&self) -> KernelMemory<'_, P> {
        KernelMemory(self)
    }
}

impl<'a, P: Platform> KernelMemory<'a, P> {
    /// Opens a gather whose caller may look at any entry of kernel memory. It holds the frames until every CPU that is
    /// on line has flushed (Linux: `vunmap`, which flushes and then frees).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use std::rc::Rc;
    /// boot(0x1000);
    /// let frame = Rc::new(7);
    /// let mut gather = ENGINE.kernel().gather::<Rc<i32>, 8>();
    /// // ... clear the page-table entry, then:
    /// gather.unmapped(page(0xffff_8000_0000_0000), frame.clone())?;
    /// let pending = gather.send();
    /// assert_eq!(Rc::strong_count(&frame), 2);
    /// pending.finish();
    /// assert_eq!((Rc::strong_count(&frame), ipis()), (1, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gather<F, const N: usize>(self) -> Gather<'a, P, F, N, Self> {
        Gather::open(self.0, self, FlushRequest::all())
    }

    /// Opens a gather whose caller looks at entries of `range` alone; see
    /// [`Shootdown::gather_within`](crate::Shootdown::gather_within).
    pub fn gather_within<F, const N: usize>(self, range: PageRange) -> Gather<'a, P, F, N, Self> {
        Gather::open(self.0, self, FlushRequest::pages(range.in_smallest_pages()))
    }
}
