//! Tag allocators on the simulated machine: what they are lent, their broadcast, and their verbs.

use super::boot::Boot;
use super::cpu::Cpu;
use super::sim::{MakeTags, TagRoom, TestMachine};
use shootdown::tags::{
    AsidFlush, CpuTags, GlobalAsids, GlobalOverLocal, PerCpuSlots, PinTags, ShareTags, Tag, TagBroadcast,
    TagStorage, TagWord, TagsError, Untagged, VersionedContexts, Vmids, tag_words,
};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, Which, Whose};

/// The simulated machine's broadcast to all CPUs under all tags.
pub struct Everywhere(&'static Boot);

// SAFETY: 1. the machine drops them at once, on all CPUs.
unsafe impl TagBroadcast for Everywhere {
    fn flush_all_tags(&self) {
        let flush = || match self.0.cpu() {
            Some(_) => self.0.flush_everywhere(),
            None => hw::broadcast(Whose::Users, Which::All),
        };
        match &self.0.watch {
            Some(watch) => watch.wiping(flush),
            None => flush(),
        }
    }
}

impl MakeTags for Untagged {
    fn make(_: &TagRoom) -> Self {
        Untagged
    }
}

impl<const N: usize> MakeTags for PerCpuSlots<N> {
    fn make(_: &TagRoom) -> Self {
        PerCpuSlots
    }
}

impl<F: AsidFlush, const G: u32> MakeTags for GlobalAsids<'static, F, G> {
    fn make(room: &TagRoom) -> Self {
        let caught = words(Self::caught_words(room.cpus, room.tags));
        let storage = TagStorage { pinned: bitmap(room), caught, ..storage(room) };
        Self::new(room.tags, storage).expect("a scenario has two tags more than CPUs")
    }
}

impl<const CPUS: usize, const G: u32> MakeTags for VersionedContexts<'static, CPUS, G> {
    fn make(room: &TagRoom) -> Self {
        Self::new(room.tags, storage(room)).expect("a scenario has two tags more than CPUs")
    }
}

impl<const G: u32> MakeTags for Vmids<'static, Everywhere, G> {
    fn make(room: &TagRoom) -> Self {
        Self::new(room.tags, storage(room), Everywhere(room.boot)).expect("two tags more than CPUs")
    }
}

impl<const N: usize> MakeTags for GlobalOverLocal<'static, Everywhere, N> {
    fn make(room: &TagRoom) -> Self {
        let first = Tag::new(N as u16 + 1);
        let (taken, freed) = (bitmap(room), bitmap(room));
        Self::new(first, room.tags, taken, freed, Everywhere(room.boot)).expect("tags above the CPUs' own")
    }
}

fn storage(room: &TagRoom) -> TagStorage<'static> {
    let cpus = (0..room.cpus).map(|_| CpuTags::new()).collect::<Vec<_>>().leak();
    TagStorage { taken: bitmap(room), pinned: &[], cpus, caught: &[] }
}

fn bitmap(room: &TagRoom) -> &'static [TagWord] {
    words(tag_words(room.tags))
}

fn words(count: usize) -> &'static [TagWord] {
    (0..count).map(|_| TagWord::new()).collect::<Vec<_>>().leak()
}

impl<S: TestMachine> Cpu<'_, S> {
    /// Gives up the last user reference of a space whose frames are not given back (shared memory, say): nothing is
    /// unmapped or flushed.
    pub fn die_mapped(&self, space: usize) {
        sync::note("die mapped");
        let last = self.user(space).put();
        if let Some(teardown) = last {
            hw::teardown(space);
            teardown.finish();
        }
    }
}

impl<S: TestMachine> Cpu<'_, S>
where
    S::Tags: ShareTags,
{
    /// Gives a space one tag for all CPUs, if there is one left.
    pub fn try_share_tag(&self, space: usize) {
        sync::note("share the tag, if one is left");
        let refused = self.engine().share_tag(self.space(space)).err();
        assert!(matches!(refused, None | Some(TagsError::NoneToShare(_))), "{refused:?}");
    }

    /// Gives a space one tag for all CPUs.
    pub fn share_tag(&self, space: usize) {
        sync::note("share the tag");
        let shared = self.engine().share_tag(self.space(space));
        assert!(shared.is_ok(), "{shared:?}");
    }
}

impl<S: TestMachine> Cpu<'_, S>
where
    S::Tags: PinTags,
{
    /// Pins the tag of a space for a device, which must be `tag`.
    pub fn pin_tag(&self, space: usize, tag: u16) {
        sync::note("pin the tag");
        let pinned = self.engine().pin_tag(self.space(space));
        assert_eq!(pinned, Ok(Tag::new(tag)), "a pinned tag stays");
    }

    /// Undoes one [`pin_tag`](Self::pin_tag).
    pub fn unpin_tag(&self, space: usize) {
        sync::note("unpin the tag");
        self.engine().unpin_tag(self.space(space));
    }
}
