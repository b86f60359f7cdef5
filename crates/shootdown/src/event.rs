//! Protocol events, for tracing.

use crate::types::{CpuId, Generation, SpaceId};

/// Something the engine did; see [`Platform::event`](crate::Platform::event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A space was loaded or a lazy CPU returned to it.
    Switched(SpaceId),
    /// This CPU went lazy on what it has loaded.
    WentLazy,
    /// This CPU loaded the kernel's own root.
    Left(SpaceId),
    /// A flush was announced under this generation (of kernel memory if the space is `None`).
    Announced(Option<SpaceId>, Generation),
    /// An IPI was sent.
    IpiSent(CpuId),
    /// This CPU handled an IPI that carried a request.
    IpiHandled,
    /// This CPU caught up with this generation of the loaded space.
    CaughtUp(SpaceId, Generation),
    /// A space's root was given back.
    RootFreed(SpaceId),
    /// This CPU came on line.
    Online,
    /// This CPU went off line.
    Offline,
}
