//! Counts of what the engine did, kept by each CPU for itself and read without locks.

use crate::sync::const_fn;

#[cfg(not(any(shootdown_explore, shootdown_loom)))]
use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$meta:meta])* $field:ident: $name:ident,)*) => {
        /// What one CPU did so far. Only that CPU writes; any CPU may read; a total is a sum over CPUs.
        #[derive(Debug)]
        pub struct Counters { $(pub(crate) $field: Count,)* }

        impl Counters {
            const_fn! {
                pub(crate) fn new() -> Self {
                    Self { $($field: Count::new(),)* }
                }
            }
            $($(#[$meta])* pub fn $name(&self) -> u64 { self.$field.value() })*
        }
    };
}

counters! {
    /// Flushes that this CPU initiated, of spaces and of kernel memory.
    flushes: flushes,
    /// IPIs that this CPU sent.
    sent: ipis_sent,
    /// Mask members that needed no IPI: they run elsewhere, are lazy, or are up to date.
    avoided: ipis_avoided,
    /// Requests to targets for which an IPI was already pending.
    coalesced: ipis_coalesced,
    /// Requests to targets that were waiting and polling: they needed no interrupt.
    polled: ipis_polled,
    /// IPIs that this CPU handled, not counting requests that it found by polling.
    handled: ipis_handled,
    /// Times that it flushed a whole tag or everything.
    full: full_flushes,
    /// Times that it caught up range by range.
    selective: selective_flushes,
    /// Times that this CPU asked for a trim of a mask.
    trim_requests: trim_requests,
    /// Times that it took itself out of a mask.
    trims: trims,
    /// Times that it left a space on which it was lazy because another CPU asked.
    evictions: evictions,
    /// Times that another CPU, or a secondary TLB, did not answer within the platform's bound.
    stalls: stalls,
}

/// A count with one writer.
#[derive(Debug)]
pub(crate) struct Count {
    #[cfg(not(any(shootdown_explore, shootdown_loom)))]
    value: AtomicU64,
}

#[cfg(not(any(shootdown_explore, shootdown_loom)))]
impl Count {
    const fn new() -> Self {
        Self { value: AtomicU64::new(0) }
    }

    /// Adds one. Called with interrupts off or preemption off on the owning CPU; an interrupt in between may lose a
    /// count, never corrupt one.
    #[inline]
    pub(crate) fn bump(&self) {
        self.value.store(self.value.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// Under a checker counts are not kept: they decide nothing, and would make every state a new one.
#[cfg(any(shootdown_explore, shootdown_loom))]
impl Count {
    const fn new() -> Self {
        Self {}
    }
    #[expect(clippy::unused_self, reason = "same shape as the shipped one")]
    pub(crate) fn bump(&self) {}
    #[expect(clippy::unused_self, reason = "same shape as the shipped one")]
    fn value(&self) -> u64 {
        0
    }
}
