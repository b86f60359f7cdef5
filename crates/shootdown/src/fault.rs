//! Switches that remove a protocol rule or weaken one ordering, in check builds only.
//!
//! In the shipped build both questions below are constants and vanish.

use crate::sync::fence;
pub(crate) use crate::trace::rules::Rule;
use core::sync::atomic::Ordering;

#[cfg(any(shootdown_explore, shootdown_loom))]
pub use crate::sync::STALLS;

/// Orderings of the engine, by name. INVARIANTS.md lists, for each, the rule it serves, its partner and the check that
/// fails without it.
macro_rules! sites {
    ($($(#[$meta:meta])* $site:ident = $name:literal,)*) => {
        /// An ordering of the engine, by name; see INVARIANTS.md.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Site { $($(#[$meta])* $site,)* }

        impl Site {
            /// All sites.
            #[cfg(any(shootdown_explore, shootdown_loom))]
            pub const ALL: &'static [Site] = &[$(Site::$site,)*];

            /// Name in INVARIANTS.md and on the command line.
            #[cfg(any(shootdown_explore, shootdown_loom))]
            pub const fn name(self) -> &'static str {
                match self { $(Site::$site => $name,)* }
            }
        }
    };
}

sites! {
    /// SD-4: full fence between the generation bump and reading mask and loaded words.
    FlushFence = "flush-fence",
    /// SD-4: the same for kernel memory, before reading which CPUs are on line.
    KernelFlushFence = "kernel-flush-fence",
    /// SD-2, SD-5: full fence between announcing oneself and reading the generation.
    SwitchFence = "switch-fence",
    /// SD-5: the same when a lazy CPU returns to the space that it still has loaded.
    LeaveLazyFence = "leave-lazy-fence",
    /// SD-13: the same when a CPU comes on line.
    OnlineFence = "online-fence",
    /// SD-4: page-table stores before the generation that announces them (release).
    Bump = "bump",
    /// SD-4: page-table stores seen by the walks that follow a catch-up (acquire).
    CatchUp = "catch-up",
    /// SD-6: flush before acknowledgement (release).
    Ack = "ack",
    /// SD-8: leaving the old root before the generation of the next space, which an initiator may take for an
    /// acknowledgement (release).
    SwitchAck = "switch-ack",
    /// SD-6: flush of kernel memory before its acknowledgement (release).
    KernelAck = "kernel-ack",
    /// SD-8: acknowledgement before reuse (acquire).
    AckSeen = "ack-seen",
    /// SD-8: the same for kernel memory (acquire).
    KernelAckSeen = "kernel-ack-seen",
    /// SD-20: full fence between taking back the mark of user mode and reading the generation of kernel memory.
    ExitUserFence = "exit-user-fence",
    /// SD-8: use of kernel memory before a generation that is acknowledged anew as the mark goes (release).
    ExitUser = "exit-user",
    /// SD-8: use of kernel memory before the mark of user mode (release).
    EnterUser = "enter-user",
    /// SD-3: what was done with the old root before the word that says it is left (release).
    Loaded = "loaded",
    /// SD-8: having left before reuse (acquire).
    LoadedSeen = "loaded-seen",
    /// SD-8: user accesses before the mark that says they are over (release).
    EnterLazy = "enter-lazy",
    /// SD-8: what a CPU did before it became lazy before the mark that says that it runs user code again (release).
    LeaveLazy = "leave-lazy",
    /// SD-3: last use of the space before the bit goes (release).
    MaskRemove = "mask-remove",
    /// SD-8: a bit that is gone before reuse (acquire).
    MaskSeen = "mask-seen",
    /// SD-8: a CPU that is seen to go off line before reuse (acquire).
    OnlineSeen = "online-seen",
    /// SD-6: what is asked before the IPI request (release).
    IpiRequest = "ipi-request",
    /// SD-6: taking the IPI request before reading what is asked (acquire).
    Take = "take",
    /// SD-6: seeing the IPI request before reading what is asked, where it is taken after the answer (acquire).
    RequestSeen = "request-seen",
    /// SD-14: range before the stamp that says it is whole (release).
    Record = "record",
    /// SD-14: stamp before the range (acquire).
    Recall = "recall",
    /// SD-14: claim of a history entry before its range is overwritten (release fence).
    Claim = "claim",
    /// SD-14: range before the second look at the stamp (acquire fence).
    Recheck = "recheck",
    /// SD-14: the range that a history entry held before the range that replaces it (acquire).
    Replace = "replace",
    /// SD-10: use of the space before giving up a user reference (release).
    UserDrop = "user-drop",
    /// SD-10: all uses before the teardown (acquire fence).
    UserLast = "user-last",
    /// SD-10: use of the space before giving up a struct reference (release).
    StructDrop = "struct-drop",
    /// SD-10: all uses before the root is freed (acquire fence).
    StructLast = "struct-last",
    /// SD-8: completion of a gather before it stops counting as open (release).
    GatherClose = "gather-close",
    /// SD-8: a peer's completion before deciding that none is open (acquire).
    GatherSeen = "gather-seen",
    /// SD-3: last use of the space before the box of requests is empty again (release).
    TrimDone = "trim-done",
    /// SD-3: the box found without the space before the space may die (acquire).
    TrimSeen = "trim-seen",
    /// SD-3: the same where the request was found taken and is waited for (acquire).
    TrimTakenSeen = "trim-taken-seen",
    /// SD-12: what the last holder of a tag allocator's lock did before what the next one reads (acquire).
    TagLock = "tag-lock",
    /// SD-12: the same, of the holder that goes (release).
    TagUnlock = "tag-unlock",
    /// SD-4, SD-12: a space's new tag before walks under it (full fence).
    TagFence = "tag-fence",
    /// SD-12: a tag before the count of wraps that makes it current (release).
    TagWraps = "tag-wraps",
    /// SD-12: the count of wraps before the tag (acquire).
    TagWrapsSeen = "tag-wraps-seen",
    /// SD-8: leaving the old root before the word that says which tag this CPU runs under (release).
    TagLeft = "tag-left",
    /// SD-8: all CPUs have moved to a global tag before it counts as shared (release).
    #[cfg_attr(not(feature = "per-cpu-tags"), expect(dead_code, reason = "it is of a policy that is not there"))]
    SharedTag = "shared-tag",
    /// SD-8: a tag seen shared before flushes rest on broadcasts alone (acquire).
    #[cfg_attr(not(feature = "per-cpu-tags"), expect(dead_code, reason = "it is of a policy that is not there"))]
    SharedTagSeen = "shared-tag-seen",
}

impl Site {
    /// Release, unless the site is weakened.
    #[inline(always)]
    pub(crate) fn release(self) -> Ordering {
        if weakened(self) { Ordering::Relaxed } else { Ordering::Release }
    }

    /// Acquire, unless the site is weakened.
    #[inline(always)]
    pub(crate) fn acquire(self) -> Ordering {
        if weakened(self) { Ordering::Relaxed } else { Ordering::Acquire }
    }

    /// A full fence (store to load included), unless the site is weakened.
    #[inline(always)]
    pub(crate) fn full_fence(self) {
        if !weakened(self) {
            fence(Ordering::SeqCst);
        }
    }

    /// An acquire fence, unless the site is weakened.
    #[inline(always)]
    pub(crate) fn acquire_fence(self) {
        if !weakened(self) {
            fence(Ordering::Acquire);
        }
    }

    /// A release fence, unless the site is weakened.
    #[inline(always)]
    pub(crate) fn release_fence(self) {
        if !weakened(self) {
            fence(Ordering::Release);
        }
    }
}

/// Whether `rule` is removed in this run.
#[inline(always)]
pub(crate) fn without(rule: Rule) -> bool {
    injected() & FAULT == rule as u64
}

#[inline(always)]
fn weakened(site: Site) -> bool {
    injected() & FAULT == SITE_BASE + site as u64
}

/// Whether mutant `n` is chosen of those that `cargo xtask mutants` puts into a copy of this source.
#[cfg(shootdown_mutants)]
pub(crate) fn mutant(n: u64) -> bool {
    injected() & FAULT == MUTANT_BASE + n
}

const FAULT: u64 = 0xffff;
const SITE_BASE: u64 = 0x100;
/// Above all sites.
#[cfg(shootdown_mutants)]
const MUTANT_BASE: u64 = 0x1000;

/// Number to hand to the checker so that rule SD-`n` is removed, if there is such a rule.
#[cfg(any(shootdown_explore, shootdown_loom, shootdown_break))]
pub fn rule(n: u8) -> Option<u64> {
    Rule::of(n).map(|rule| u64::from(rule.number()))
}

/// Number to hand to the checker so that `site` is weakened.
#[cfg(any(shootdown_explore, shootdown_loom))]
pub fn site(site: Site) -> u64 {
    SITE_BASE + site as u64
}

/// Number to hand to the checker so that mutant `n` is chosen, from 1; 0 for none.
#[cfg(all(shootdown_mutants, any(shootdown_explore, shootdown_loom)))]
pub fn mutated(n: u16) -> u64 {
    if n == 0 { 0 } else { MUTANT_BASE + u64::from(n) }
}

/// The mutant that the environment chooses, for tests that inject nothing themselves.
#[cfg(all(shootdown_mutants, not(any(shootdown_explore, shootdown_break))))]
fn chosen() -> u64 {
    extern crate std;
    let number = std::env::var("SHOOTDOWN_MUTANT").ok().and_then(|text| text.parse::<u64>().ok());
    number.map_or(0, |n| MUTANT_BASE + n)
}

#[cfg(not(any(shootdown_explore, shootdown_loom, shootdown_break, shootdown_mutants)))]
#[inline(always)]
const fn injected() -> u64 {
    0
}

#[cfg(all(shootdown_mutants, not(any(shootdown_explore, shootdown_loom, shootdown_break))))]
fn injected() -> u64 {
    extern crate std;
    static CHOSEN: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(chosen)
}

#[cfg(shootdown_explore)]
fn injected() -> u64 {
    shootdown_explore::sync::context()
}

#[cfg(shootdown_loom)]
mod local {
    extern crate std;
    use std::cell::Cell;
    #[cfg(not(shootdown_mutants))]
    std::thread_local! {
        static INJECTED: Cell<u64> = const { Cell::new(0) };
    }
    #[cfg(shootdown_mutants)]
    std::thread_local! {
        static INJECTED: Cell<u64> = Cell::new(super::chosen());
    }
    pub(super) fn injected() -> u64 {
        INJECTED.with(Cell::get)
    }
    /// Injects a fault into every engine that this host thread checks from now on (see [`super::rule`],
    /// [`super::site`]).
    pub fn inject(fault: u64) {
        INJECTED.with(|cell| cell.set(fault));
    }
}
#[cfg(shootdown_loom)]
pub use local::inject;
#[cfg(shootdown_loom)]
use local::injected;

/// A bare-metal build with `--cfg shootdown_break`: one fault for the machine, chosen at boot.
#[cfg(all(shootdown_break, not(any(shootdown_explore, shootdown_loom))))]
mod machine {
    use core::sync::atomic::{AtomicU64, Ordering};

    static INJECTED: AtomicU64 = AtomicU64::new(0);

    #[inline]
    pub(super) fn injected() -> u64 {
        // ORDER: relaxed; it is set before the other CPUs start.
        INJECTED.load(Ordering::Relaxed)
    }
    /// Injects a fault into every engine of this machine (see [`super::rule`]). Call it before other CPUs start.
    pub fn inject(fault: u64) {
        INJECTED.store(fault, Ordering::Relaxed);
    }
}
#[cfg(all(shootdown_break, not(any(shootdown_explore, shootdown_loom))))]
pub use machine::inject;
#[cfg(all(shootdown_break, not(any(shootdown_explore, shootdown_loom))))]
use machine::injected;
