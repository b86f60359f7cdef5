//! Address-space lifetime and TLB coherence for kernels, hypervisors and emulators.
//!
//! A kernel that unmaps a page must not reuse its frame while any CPU's TLB can still translate to it. This crate is the
//! protocol for that: who has a space loaded ([masks](CpuMask) that CPUs enter and leave by themselves), which CPUs must be
//! told of a change (IPIs without payload), when a frame may be reused ([`Gather`]), and when a space may die ([`UserRef`],
//! [`StructRef`], [`Teardown`]). The embedder provides a [`Platform`]: TLB instructions, an inter-processor interrupt,
//! per-CPU memory.
//!
//! A platform that is written over [`ports`] also runs on a simulated machine, where `shootdown doctor` examines it. With the
//! feature `sanitizer` there is a TLB sanitizer, which watches a platform while a kernel runs on it.
//!
//! `no_std`; no allocation, no assembly, no static but the counter that tells engines apart. The rules that the code keeps
//! are numbered SD-1 to SD-15 and listed in INVARIANTS.md with the check that fails without each. The source is checked as it
//! ships: the packages under `checks` compile it with a model checker's cells in place of `core`'s atomics.
#![no_std]
#![deny(unsafe_code)]

#[cfg(not(target_has_atomic = "64"))]
compile_error!("shootdown needs 64-bit atomics: identities and generations never wrap (SD-12)");

mod counters;
mod engine;
mod event;
#[cfg(any(shootdown_explore, shootdown_loom, shootdown_break))]
pub mod fault;
#[cfg(not(any(shootdown_explore, shootdown_loom, shootdown_break)))]
mod fault;
mod flush;
mod gather;
mod handles;
mod history;
#[expect(unsafe_code, reason = "the engine's unsafe calls, all in one place")]
mod hw;
#[expect(unsafe_code, reason = "storage promises")]
mod mask;
mod misuse;
mod percpu;
#[expect(unsafe_code, reason = "the embedder's promises")]
mod platform;
#[cfg(not(shootdown_loom))]
pub mod ports;
mod refs;
#[cfg(feature = "sanitizer")]
pub mod sanitizer;
mod space;
mod switch;
mod sync;
#[expect(unsafe_code, reason = "promises of policies")]
mod tags;
mod this_cpu;
mod trim;
mod types;
mod unwind;
mod wait;

pub use counters::Counters;
pub use engine::{EngineError, Shootdown};
pub use event::Event;
pub use flush::Pending;
#[cfg(shootdown_explore)]
pub use gather::Parts;
pub use gather::{Full, Gather, PendingFrames};
pub use handles::{StructHandle, TeardownHandle, UserHandle};
pub use mask::{BorrowedMask, CpuMask, MaskStore, MaskSummary, MaskWord, mask_words};
pub use percpu::CpuLocal;
pub use platform::{IrqReason, LocalFlush, OnInstall, OnLeave, Platform, Remote, RemoteFlush, SpaceHandle};
pub use refs::{SpaceExited, StructRef, Teardown, UserRef};
pub use space::AddressSpace;
pub use switch::Borrow;
#[cfg(shootdown_instrumented)]
pub use sync::instrumented::{Access, Observer, observe};
pub use tags::{
    AsidFlush, Assignment, CpuTags, FlushByBroadcast, FlushByIpi, FlushMethod, GlobalAsids, GlobalOverLocal,
    PerCpuSlots, PinError, PinTags, Residue, SLOTS, ShareError, ShareTags, SharedTag, TagBroadcast,
    TagContext, TagCpu, TagPolicy, TagSlots, TagSpace, TagStorage, TagWord, TagsError, Untagged,
    VersionedContext, VersionedContexts, Vmids, tag_words,
};
pub use types::{
    CpuId, Generation, PageRange, PageSize, PageTables, RangeError, Scope, SpaceId, Tag, VirtAddr,
};

/// Hash of the sources that this was compiled from, which is compared with those of the checkout.
#[cfg(shootdown_source)]
pub const SOURCE: &str = env!("SHOOTDOWN_SOURCE");
