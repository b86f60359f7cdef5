//! Tag allocators by themselves: two CPUs ask at once.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, fence};
use shootdown_under_loom::tags::{
    CpuTags, FlushByBroadcast, FlushByIpi, FlushMethod, GlobalAsids, GlobalOverLocal, ShareTags, Tag,
    TagBroadcast, TagContext, TagCpu, TagPolicy, TagSlots, TagSpace, TagStorage, TagWord, tag_words,
};
use shootdown_under_loom::{CpuId, SpaceId};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// What an allocator for two CPUs is lent; loom's memory of an execution ends with it, so nothing is given back.
fn storage(tags: u32) -> TagStorage<'static> {
    TagStorage {
        taken: words(tag_words(tags)),
        pinned: &[],
        cpus: Vec::leak((0..2).map(|_| CpuTags::new()).collect()),
        caught: words(2 * tags as usize),
    }
}

fn words(count: usize) -> &'static [TagWord] {
    Vec::leak((0..count).map(|_| TagWord::new()).collect())
}

/// Has `cpu` run a space; returns its tag.
fn assign<T: TagPolicy<Space = TagContext>>(tags: &T, cpu: u32, space: &TagContext) -> Tag {
    let slots = TagSlots::new();
    let cpu = TagCpu::new(CpuId::new(cpu), &slots);
    tags.assign(cpu, self::space(space)).tag
}

/// SD-12: two CPUs take the next tag at once, for two spaces.
pub fn two_spaces_take_a_tag() {
    loom::model(|| {
        let tags = GlobalAsids::<FlushByIpi>::new(4, storage(4)).expect("two tags more than CPUs");
        let tags = Arc::new(tags);
        let other = tags.clone();
        let other = loom::thread::spawn(move || assign(&*other, 1, &other.new_space()));
        let mine = assign(&*tags, 0, &tags.new_space());
        assert_ne!(mine, other.join().expect("an answer"), "two spaces run under one tag");
    });
}

/// SD-12: generations of one bit have wrapped since a space last ran. One CPU gives it a tag, the other one, which may
/// take the lock-free path, runs it too.
pub fn renewal_vs_lock_free_switch() {
    loom::model(|| {
        let tags = GlobalAsids::<FlushByBroadcast, 1>::new(6, storage(6)).expect("two tags more than CPUs");
        let old = Arc::new(tags.new_space());
        assign(&tags, 0, &old);
        while tags.rollovers() < 2 {
            assign(&tags, 0, &tags.new_space());
        }
        assign(&tags, 1, &tags.new_space());
        let tags = Arc::new(tags);
        let (other, same) = (tags.clone(), old.clone());
        let other = loom::thread::spawn(move || assign(&*other, 1, &same));
        let mine = assign(&*tags, 0, &old);
        assert_eq!(mine, other.join().expect("an answer"), "a space runs under two tags");
    });
}

/// SD-4: a page-table entry is cleared and flushed by broadcast under the tag that the space has, while a CPU gives it
/// another and walks.
pub fn renewal_vs_broadcast() {
    loom::model(|| {
        let tags = GlobalAsids::<FlushByBroadcast>::new(4, storage(4)).expect("two tags more than CPUs");
        let space = Arc::new(tags.new_space());
        let entry = Arc::new(AtomicU64::new(1));
        let (same, walked) = (space.clone(), entry.clone());
        let walker = loom::thread::spawn(move || {
            let tag = assign(&tags, 1, &same);
            (tag, walked.load(Relaxed))
        });
        entry.store(0, Relaxed);
        fence(SeqCst);
        let flushed = space.tag();
        let (tag, held) = walker.join().expect("an answer");
        assert!(held == 0 || flushed == Some(tag), "a stale entry under a tag that was not flushed");
    });
}

/// A space, as an allocator sees it.
fn space<S>(memory: &S) -> TagSpace<'_, S> {
    TagSpace::new(SpaceId::new(1), memory)
}

/// The broadcast to all tags.
struct Everywhere;
// SAFETY: 1. there are no TLBs.
unsafe impl TagBroadcast for Everywhere {
    fn flush_all_tags(&self) {}
}

/// SD-12: two spaces are given global tags at once.
pub fn two_spaces_are_shared() {
    loom::model(|| {
        let tags = GlobalOverLocal::<_, 1>::new(Tag::new(2), 4, words(1), words(1), Everywhere);
        let tags = Arc::new(tags.expect("two tags"));
        let other = tags.clone();
        let other = loom::thread::spawn(move || other.begin_share(space(&other.new_space())));
        let mine = tags.begin_share(space(&tags.new_space()));
        let other = other.join().expect("an answer");
        assert!(mine.is_ok() && other.is_ok() && mine != other, "two spaces have one tag");
    });
}

/// SD-8: a CPU uses a frame under a tag of its own, then moves to the global one; another CPU finds the space shared,
/// so it sends no IPI, and reuses the frame.
pub fn reuse_after_sharing() {
    loom::model(|| {
        let (taken, freed) = (words(1), words(1));
        let tags = GlobalOverLocal::<_, 1>::new(Tag::new(2), 4, taken, freed, Everywhere).expect("two tags");
        let tags = Arc::new(tags);
        let space = Arc::new(tags.new_space());
        let frame = Arc::new(UnsafeCell::new(0));
        let (other, same, reused) = (tags.clone(), space.clone(), frame.clone());
        let other = loom::thread::spawn(move || {
            if matches!(other.flush_method(&same), FlushMethod::Broadcast(_)) {
                // SAFETY: the protocol under check: loom reports it if the other thread's use is not over.
                reused.with_mut(|frame| unsafe { *frame = 1 });
            }
        });
        // SAFETY: as above.
        frame.with(|frame| assert_eq!(unsafe { *frame }, 0));
        tags.begin_share(self::space(&space)).expect("a tag is free");
        tags.finish_share(self::space(&space));
        other.join().expect("no race");
    });
}
