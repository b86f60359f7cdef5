//! What allocators refuse, and how they say so.

use super::machine::storage;
use shootdown::tags::{
    FlushByBroadcast, FlushByIpi, GlobalAsids, GlobalOverLocal, Tag, TagBroadcast, TagStorage, TagsError,
    VersionedContexts, Vmids,
};

type Asids = GlobalAsids<'static, FlushByIpi>;

struct Nowhere;
// SAFETY: 1. nothing of it runs: what uses it is refused.
unsafe impl TagBroadcast for Nowhere {
    fn flush_all_tags(&self) {}
}

#[test]
fn too_few_tags_are_refused_by_number_and_two_more_than_cpus_suffice() {
    assert_eq!(Asids::new(5, storage(4, 6)).err(), Some(TagsError::TooFew(5, 4)));
    assert!(Asids::new(6, storage(4, 6)).is_ok());
    assert_eq!(Vmids::<_>::new(5, storage(4, 6), Nowhere).err(), Some(TagsError::TooFew(5, 4)));
    assert_eq!(VersionedContexts::<4>::new(5, storage(4, 6)).err(), Some(TagsError::TooFew(5, 4)));
    let said = TagsError::TooFew(5, 4).to_string();
    assert_eq!(said, "5 tags for 4 CPUs, 6 are needed; run untagged or with per-CPU tags");
}

#[test]
fn more_tags_than_can_be_named_are_refused() {
    let tags = (1 << 16) + 1;
    let storage = storage(1, tags);
    assert_eq!(Asids::new(tags, storage).err(), Some(TagsError::TooMany(tags)));
    assert!(Asids::new(tags - 1, storage).is_ok());
}

#[test]
fn storage_that_is_too_small_is_refused_with_what_is_needed() {
    let whole = storage(2, 130);
    let short = TagStorage { taken: &whole.taken[..2], ..whole };
    assert_eq!(Asids::new(130, short).err(), Some(TagsError::BitmapTooSmall(2, 3)));
    for words in 1..3 {
        let short = TagStorage { pinned: &whole.pinned[..words], ..whole };
        assert_eq!(Asids::new(130, short).err(), Some(TagsError::BitmapTooSmall(words, 3)));
    }
    let short = TagStorage { caught: &whole.caught[..259], ..whole };
    assert_eq!(Asids::new(130, short).err(), Some(TagsError::CaughtTooSmall(259, 260)));
    let none = TagStorage { caught: &[], ..whole };
    assert!(GlobalAsids::<FlushByBroadcast>::new(130, none).is_ok(), "broadcasts need no memory");
    assert_eq!(VersionedContexts::<1>::new(130, whole).err(), Some(TagsError::TooManyCpus(2, 1)));
}

#[test]
fn global_tags_out_of_range_are_refused_with_the_tag() {
    let storage = storage(2, 8);
    let new = |first, tags| {
        let (taken, freed) = (storage.taken, storage.pinned);
        GlobalOverLocal::<_, 4>::new(Tag::new(first), tags, taken, freed, Nowhere).err()
    };
    assert_eq!(new(4, 8), Some(TagsError::Overlaps(Tag::new(4), 4)));
    assert_eq!(new(5, 5), Some(TagsError::NoneFrom(Tag::new(5), 5)));
    assert_eq!(new(5, 65), Some(TagsError::BitmapTooSmall(1, 2)));
    assert_eq!(new(5, 8), None);
    let said = TagsError::Overlaps(Tag::new(4), 4).to_string();
    assert_eq!(said, "global tags from 4 overlap the 4 per-CPU tags; begin above");
}
