//! Machines that scenarios of several themes run on.

use crate::engine::{MakeTags, TestMachine, Transport};
use shootdown::mask::OnLeave;
use shootdown::tags::{PerCpuSlots, TagPolicy, Untagged};
use std::marker::PhantomData;

/// Defines machines, each by its tags and by what else differs from [`TestMachine`]'s defaults.
macro_rules! machines {
    ($($(#[$meta:meta])* $name:ident: $tags:ty { $($item:tt)* })*) => {$(
        $(#[$meta])*
        pub(super) struct $name;
        impl $crate::engine::TestMachine for $name {
            type Tags = $tags;
            $($item)*
        }
    )*};
}
pub(super) use machines;

machines! {
    /// No tags, exact masks.
    Plain: Untagged {}

    /// No tags, bits stay until trimmed.
    Keep: Untagged {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
    }

    /// The same, where each flush trims.
    Trims: Untagged {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
        const TRIM_EVERY: u64 = 1;
    }

    /// Two tags a CPU.
    Tagged: PerCpuSlots<2> {
        const TAGS: usize = 2;
    }

    /// A broadcast that may answer "done" or not.
    Broadcast: Untagged {
        const TRANSPORT: Transport = Transport::Broadcast;
    }
}

/// A policy with three tags besides 0, so that two spaces never run out and four do; flushes go by IPIs.
pub(super) struct ByIpis<T>(PhantomData<T>);
impl<T: TagPolicy + MakeTags + 'static> TestMachine for ByIpis<T> {
    type Tags = T;
    const TAGS: usize = 3;
}

/// The same where flushes are broadcasts.
pub(super) struct ByBroadcasts<T>(PhantomData<T>);
impl<T: TagPolicy + MakeTags + 'static> TestMachine for ByBroadcasts<T> {
    type Tags = T;
    const TAGS: usize = 3;
    const TRANSPORT: Transport = Transport::TagBroadcast;
}
