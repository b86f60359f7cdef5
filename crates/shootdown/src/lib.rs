//! Address-space lifetime and TLB coherence for kernels, hypervisors and emulators.
//!
//! A kernel that unmaps a page must not reuse its frame while any CPU's TLB can still translate to it. This crate is the
//! protocol for that: who has a space loaded ([masks](CpuMask) that CPUs enter and leave by themselves), who must hear of
//! a change (doorbells, no payload), when a frame may be reused ([`Gather`]), and when a space may die ([`UserRef`],
//! [`StructRef`], [`Teardown`]). The embedder provides a [`Platform`]: TLB instructions, an inter-processor interrupt,
//! per-CPU memory.
//!
//! `no_std`; no allocation, no assembly, no static but the counter that tells engines apart. The rules that the code keeps are numbered SD-1 to SD-15 and listed in
//! INVARIANTS.md with the check that fails without each. The source is checked as it ships: the packages under
//! `crates/checked` compile it with a model checker's cells in place of `core`'s atomics.
#![no_std]
#![deny(unsafe_code)]

#[cfg(not(target_has_atomic = "64"))]
compile_error!("shootdown needs 64-bit atomics: identities and generations never wrap (SD-12)");

mod clock;
mod counters;
mod engine;
mod event;
#[cfg(any(shootdown_explore, shootdown_loom, shootdown_shuttle, shootdown_break))]
pub mod fault;
#[cfg(not(any(shootdown_explore, shootdown_loom, shootdown_shuttle, shootdown_break)))]
mod fault;
mod flush;
mod gather;
mod handles;
mod here;
#[expect(unsafe_code, reason = "the engine's unsafe calls, all in one place")]
mod hw;
#[expect(unsafe_code, reason = "storage promises")]
mod mask;
mod misuse;
mod percpu;
#[expect(unsafe_code, reason = "the embedder's promises")]
mod platform;
mod refs;
mod space;
mod switch;
mod sync;
#[expect(unsafe_code, reason = "promises of policies")]
mod tags;
mod trim;
mod types;
mod unwind;
mod wait;

pub use counters::Counters;
pub use engine::{Refused, Shootdown};
pub use event::Event;
pub use flush::Pending;
#[cfg(shootdown_explore)]
pub use gather::Parts;
pub use gather::{Full, Gather, PendingFrames};
pub use handles::{StructHandle, TeardownHandle, UserHandle};
pub use mask::{BorrowedMask, CpuMask, MaskStore, MaskSummary, MaskWord, mask_words};
pub use percpu::CpuLocal;
pub use platform::{LocalFlush, OnInstall, OnLeave, Platform, Remote, RemoteFlush, SpaceHandle, Span};
pub use refs::{Exiting, StructRef, Teardown, UserRef};
pub use space::AddressSpace;
pub use switch::Borrow;
pub use tags::{
    AsidFlush, Assignment, ByBroadcast, ByDoorbell, CpuTags, GlobalAsids, GlobalOverLocal, Held, PerCpuSlots,
    PinRefused, PinTags, Reach, SLOTS, ShareRefused, ShareTags, SharedTag, TagBroadcast, TagContext, TagCpu,
    TagPolicy, TagSlots, TagSpace, TagStorage, TagWord, TagsRefused, Untagged, VersionedContext,
    VersionedContexts, Vmids, tag_words,
};
pub use types::{CpuId, Generation, PageRange, PageSize, RangeError, Scope, SpaceId, Tables, Tag, VirtAddr};

/// Hash of the sources that this was compiled from, which is compared with those of the checkout.
#[cfg(shootdown_source)]
pub const SOURCE: &str = env!("SHOOTDOWN_SOURCE");
