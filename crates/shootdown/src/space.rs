//! The engine's part of an address space.

use crate::history::FlushHistory;
use crate::mask::Members;
use crate::platform::Platform;
use crate::sync::Word;
use crate::tags::{TagPolicy, TagSpace};
use crate::types::{Generation, SpaceId};
use core::fmt;
use core::sync::atomic::Ordering;

/// The engine's part of an address space (Linux: what `mm_struct` has for TLBs and lifetime).
///
/// [`Shootdown::new_space`](crate::Shootdown::new_space) makes it. Embed it in your own object, and hand that to
/// [`Shootdown::register`](crate::Shootdown::register).
#[repr(align(128))]
pub struct AddressSpace<P: Platform> {
    id: SpaceId,
    /// Identity of the engine that made it.
    pub(crate) owner: u64,
    root: P::Root,
    mask: P::Mask,
    tags: <P::Tags as TagPolicy>::Space,
    pub(crate) history: FlushHistory,
    /// User references; 0 from teardown on.
    pub(crate) users: Word,
    /// Struct references; all user references together own one. [`FRESH`] before registration.
    pub(crate) structs: Word,
    /// Gathers that are open, and those that were retired; see `gather.rs`.
    pub(crate) gathers: Word,
}

/// Struct count of a space that is not registered yet.
pub(crate) const FRESH: u64 = u64::MAX;
/// Struct count of a space without references that its owner is about to give up; see [`Shootdown::begin_retire`].
///
/// [`Shootdown::begin_retire`]: crate::Shootdown::begin_retire
pub(crate) const RETIRING: u64 = u64::MAX - 1;
/// The same once no CPU has it loaded and its tag was given back, where tags are ([`TagPolicy::FREES_TAGS`]).
pub(crate) const RETIRED: u64 = u64::MAX - 2;

impl<P: Platform> AddressSpace<P> {
    pub(crate) fn new(
        id: SpaceId,
        owner: u64,
        root: P::Root,
        mask: P::Mask,
        tags: <P::Tags as TagPolicy>::Space,
        last_ticket: u64,
    ) -> Self {
        Self {
            id,
            owner,
            root,
            mask,
            tags,
            history: FlushHistory::after(last_ticket),
            users: Word::new("users", 0),
            structs: Word::new("structs", FRESH),
            gathers: Word::new("gathers", 0),
        }
    }

    /// Identity (Linux: `context.ctx_id`); never reused on this machine.
    #[inline]
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// Root of the page tables.
    #[inline]
    pub fn root(&self) -> P::Root {
        self.root
    }

    /// Generation of the latest flush (Linux: `context.tlb_gen`); a snapshot, for statistics.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// let before = user.generation();
    /// ENGINE.flush(&user, FlushRequest::all());
    /// assert!(user.generation() > before);
    /// ```
    pub fn generation(&self) -> Generation {
        Generation(self.history.now())
    }

    /// User references; a snapshot, for statistics. Do not decide anything by it: a new user may take a reference at
    /// any time (SD-9).
    #[inline]
    pub fn users(&self) -> u64 {
        // ORDER: relaxed; for statistics.
        self.users.load(Ordering::Relaxed)
    }

    /// Storage of the CPU mask (Linux: `mm_cpumask`); read it for statistics alone.
    pub fn mask(&self) -> &P::Mask {
        &self.mask
    }

    /// What the space remembers for the tag policy.
    #[inline]
    pub fn tags(&self) -> &<P::Tags as TagPolicy>::Space {
        &self.tags
    }

    #[inline]
    pub(crate) fn tag_space(&self) -> TagSpace<'_, <P::Tags as TagPolicy>::Space> {
        TagSpace { id: self.id, memory: &self.tags }
    }

    #[inline]
    pub(crate) fn members(&self) -> Members<'_, P::Mask> {
        Members::of(&self.mask)
    }

    /// What [`CpuLocal`](crate::CpuLocal)'s `loaded` word holds for this space.
    #[inline]
    pub(crate) fn address(&self) -> u64 {
        core::ptr::from_ref(self).expose_provenance() as u64
    }
}

impl<P: Platform> fmt::Debug for AddressSpace<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressSpace").field("id", &self.id).finish_non_exhaustive()
    }
}
