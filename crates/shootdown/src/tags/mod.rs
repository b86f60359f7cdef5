//! Allocators of TLB tags: PCIDs, ASIDs, VMIDs, context numbers.
//!
//! | policy | a tag means | given back by | flushed |
//! |---|---|---|---|
//! | [`Untagged`] | nothing | - | at every root load |
//! | [`PerCpuSlots`] | a space, on one CPU | the CPU, in turn | when it changes hands |
//! | [`GlobalAsids`] | a space, on all CPUs | rollover | by each CPU once a rollover |
//! | [`VersionedContexts`] | a space, on all CPUs | rollover | by each CPU on first use |
//! | [`GlobalOverLocal`] | a space, on one CPU or on all | the CPU, in turn; death and wrap | as slots; once a wrap, by broadcast |
//! | [`Vmids`] | a machine, on all CPUs | rollover | once a rollover, by broadcast |
//!
//! [`PerCpuSlots`] and [`GlobalOverLocal`] take 136 bytes of each [`CpuLocal`](crate::CpuLocal), and are a feature,
//! `per-cpu-tags`, on by default.

mod asids;
mod contexts;
mod lock;
mod policy;
mod rolling;
#[cfg(feature = "per-cpu-tags")]
mod shared;
#[cfg(feature = "per-cpu-tags")]
mod slots;
#[cfg(not(feature = "per-cpu-tags"))]
#[path = "no_slots.rs"]
mod slots;
mod storage;
mod vmids;

pub use asids::{AsidFlush, FlushByBroadcast, FlushByIpi, GlobalAsids, PinTags};
pub use contexts::{VersionedContext, VersionedContexts};
pub use policy::{Assignment, FlushMethod, Residue, TagBroadcast, TagCpu, TagPolicy, TagSpace, Untagged};
pub use rolling::TagContext;
#[cfg(feature = "per-cpu-tags")]
pub use shared::{GlobalOverLocal, ShareTags, SharedTag};
pub use slots::TagSlots;
#[cfg(feature = "per-cpu-tags")]
pub use slots::{PerCpuSlots, SLOTS};
pub use storage::{CpuTags, TagStorage, TagWord, TagsError, tag_words};
pub use vmids::Vmids;

pub use crate::platform::OnInstall;
pub use crate::types::Tag;
