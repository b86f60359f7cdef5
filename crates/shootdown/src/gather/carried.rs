//! A gather that was sent, in parts, for the explorer; see `flush/carried.rs`.

use super::PendingFrames;
use crate::engine::Shootdown;
use crate::flush::Pending;
use crate::platform::Platform;
use crate::space::AddressSpace;
use core::mem::ManuallyDrop;

/// The parts of a [`PendingFrames`] that a thread carries.
pub struct Parts<'a, P: Platform, F, const N: usize> {
    /// The flush, if there is one.
    pub flush: Option<Pending<'a, P>>,
    /// What [`Platform::gathered`] answered.
    pub number: u64,
    /// The frames.
    pub frames: [Option<F>; N],
}

impl<'a, P: Platform, F, const N: usize> PendingFrames<'a, P, F, N> {
    /// Takes it apart without waiting. It counts as open until it is put together again and finished.
    pub fn into_parts(mut self) -> Parts<'a, P, F, N> {
        let frames = core::mem::replace(&mut *self.frames, [const { None }; N]);
        let parts = Parts { flush: self.flush.take(), number: self.number, frames };
        core::mem::forget(self);
        parts
    }

    /// Puts together what [`into_parts`](Self::into_parts) took apart.
    pub fn from_parts(
        engine: &'a Shootdown<P>,
        space: &'a AddressSpace<P>,
        Parts { flush, number, frames }: Parts<'a, P, F, N>,
    ) -> Self {
        Self { engine, number, memory: space, flush, waiting: false, frames: ManuallyDrop::new(frames) }
    }
}
