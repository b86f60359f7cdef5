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

mod asids;
mod contexts;
mod lock;
mod policy;
mod rolling;
mod shared;
mod slots;
mod storage;
mod vmids;

pub use asids::{AsidFlush, FlushByBroadcast, FlushByIpi, GlobalAsids, PinTags};
pub use contexts::{VersionedContext, VersionedContexts};
pub use policy::{Assignment, FlushMethod, Residue, TagBroadcast, TagCpu, TagPolicy, TagSpace, Untagged};
pub use rolling::TagContext;
pub use shared::{GlobalOverLocal, ShareTags, SharedTag};
pub use slots::{PerCpuSlots, SLOTS, TagSlots};
pub use storage::{CpuTags, TagStorage, TagWord, TagsError, tag_words};
pub use vmids::Vmids;

pub use crate::platform::OnInstall;
pub use crate::types::Tag;
