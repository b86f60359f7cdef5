//! The algebra, told by hand.

extern crate std;
use crate::{Judge, Kind, Missing, Tally, Verdict, Violation};
use shootdown::{CpuId, LocalFlush, OnInstall, PageRange, PageSize, Scope, SpaceId, Tables, Tag, VirtAddr};
use std::string::{String, ToString};
use std::sync::Mutex;
use std::vec::Vec;

/// Keeps what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<Violation>>);

impl Verdict for Heard {
    fn violated(&self, violation: &Violation) {
        self.0.lock().expect("no panic here").push(*violation);
    }
}

type Small = Judge<Heard, 2, 4>;

const A: SpaceId = SpaceId::new(1);
const B: SpaceId = SpaceId::new(2);
const ONE: CpuId = CpuId::new(0);
const TWO: CpuId = CpuId::new(1);
const T: Tag = Tag::new(3);

fn pages(first: u64, count: u64) -> PageRange {
    PageRange::new(VirtAddr(first << 12), count, PageSize::Size4K).expect("a range")
}

fn load(judge: &Small, cpu: CpuId, space: SpaceId, tag: Tag, how: OnInstall) {
    judge.installed(cpu, true, tag, how, judge.now());
    judge.begun(cpu, space);
}

fn both(act: impl Fn(CpuId)) {
    [ONE, TWO].into_iter().for_each(act);
}

/// Both CPUs run A under tag 3.
fn both_run_a() -> Small {
    let judge = Small::new(Heard::default());
    both(|cpu| load(&judge, cpu, A, T, OnInstall::Flush));
    judge
}

fn unmap(judge: &Small, range: PageRange, tables: Tables) -> u64 {
    judge.removed(ONE, Some(A), Scope::Pages(range), tables)
}

fn flush(judge: &Small, cpu: CpuId, range: PageRange, tables: Tables) {
    judge.flushed(cpu, LocalFlush::Pages { tag: T, range, tables }, judge.now());
}

fn heard(judge: &Small) -> Vec<Violation> {
    judge.verdict().0.lock().expect("no panic here").clone()
}

fn said(judge: &Small) -> Vec<String> {
    heard(judge).iter().map(ToString::to_string).collect()
}

#[test]
fn who_has_not_flushed_is_named_with_what_is_missing() {
    let judge = both_run_a();
    let number = unmap(&judge, pages(7, 2), Tables::Kept);
    flush(&judge, ONE, pages(7, 2), Tables::Kept);
    judge.released(number);
    let expected = "pages 0x7000 to 0x8fff of space 1 (tag 3) are given back while CPU 1 may still use them: CPU 0 unmapped \
                    them (removal 1); missing on CPU 1: a flush of these pages";
    assert_eq!(said(&judge), [expected]);
    assert_eq!(judge.tally(), Tally { removals: 1, violations: 1, unchecked: 0 });
}

#[test]
fn a_flush_counts_if_it_is_as_wide_of_that_tag_and_later() {
    let range = pages(7, 2);
    let wide = |judge: &Small| flush(judge, TWO, pages(0, 64), Tables::Kept);
    let whole = |judge: &Small| judge.flushed(TWO, LocalFlush::Tag(T), judge.now());
    let everything = |judge: &Small| judge.flushed(TWO, LocalFlush::Everything, judge.now());
    let narrow = |judge: &Small| flush(judge, TWO, pages(7, 1), Tables::Kept);
    let other = |judge: &Small| {
        judge.flushed(TWO, LocalFlush::Pages { tag: Tag::new(4), range, tables: Tables::Kept }, judge.now());
    };
    let kernel = |judge: &Small| {
        judge.flushed(TWO, LocalFlush::KernelPages { range, tables: Tables::Kept }, judge.now())
    };
    let cases: [(&dyn Fn(&Small), usize); 6] =
        [(&wide, 0), (&whole, 0), (&everything, 0), (&narrow, 1), (&other, 1), (&kernel, 1)];
    for (index, (act, violations)) in cases.iter().enumerate() {
        let judge = both_run_a();
        // What comes before the removal counts for nothing.
        act(&judge);
        let number = unmap(&judge, range, Tables::Kept);
        flush(&judge, ONE, range, Tables::Kept);
        act(&judge);
        judge.released(number);
        assert_eq!(heard(&judge).len(), *violations, "case {index}");
    }
    let judge = both_run_a();
    flush(&judge, TWO, range, Tables::Kept);
    let early = judge.now();
    let number = unmap(&judge, range, Tables::Kept);
    flush(&judge, ONE, range, Tables::Kept);
    judge.flushed(TWO, LocalFlush::Tag(T), early);
    judge.released(number);
    assert_eq!(heard(&judge).len(), 1, "it began before the pages were unmapped");
}

#[test]
fn a_lazy_cpu_counts_where_tables_are_freed_and_when_it_returns() {
    let judge = both_run_a();
    judge.idle(TWO);
    let leaves = unmap(&judge, pages(1, 1), Tables::Kept);
    flush(&judge, ONE, pages(1, 1), Tables::Kept);
    judge.released(leaves);
    assert_eq!(heard(&judge), []);
    let tables = unmap(&judge, pages(0, 512), Tables::Freed);
    both(|cpu| flush(&judge, cpu, pages(0, 512), Tables::Kept));
    flush(&judge, ONE, pages(0, 512), Tables::Freed);
    judge.released(tables);
    assert_eq!(heard(&judge)[0].missing, Missing::PagesAndTables);
    judge.begun(TWO, A);
    let again = heard(&judge)[1..].to_vec();
    assert!(again.iter().all(|violation| violation.kind == Kind::CameBack && violation.cpu == TWO));
    assert_eq!(again.len(), 1, "the leaves were flushed with the tables, whose walks were not");
}

#[test]
fn entries_that_stay_under_a_tag_are_owed_a_flush_before_the_next_use() {
    for (late, violations) in [(false, 1), (true, 0)] {
        let judge = both_run_a();
        load(&judge, TWO, B, Tag::new(4), OnInstall::Flush);
        let number = unmap(&judge, pages(7, 1), Tables::Kept);
        flush(&judge, ONE, pages(7, 1), Tables::Kept);
        judge.released(number);
        assert_eq!(heard(&judge), [], "it uses another space");
        judge.installed(TWO, true, T, OnInstall::Keep, judge.now());
        if late {
            flush(&judge, TWO, pages(7, 1), Tables::Kept);
        }
        judge.begun(TWO, A);
        assert_eq!(heard(&judge).len(), violations);
    }
}

#[test]
fn a_tag_that_changes_hands_is_flushed_or_reported() {
    let judge = both_run_a();
    load(&judge, TWO, B, Tag::new(4), OnInstall::Flush);
    load(&judge, TWO, B, T, OnInstall::Keep);
    let expected = "CPU 1 loads space 2 (tag 3) while it may still use entries of space 1 under that tag; missing on CPU 1: a \
                    flush of the tag";
    assert_eq!(said(&judge), [expected]);
    load(&judge, ONE, B, T, OnInstall::Flush);
    judge.flushed(TWO, LocalFlush::Everything, judge.now());
    load(&judge, TWO, A, Tag::new(4), OnInstall::Keep);
    judge.wiping(|| ());
    load(&judge, TWO, A, T, OnInstall::Flush);
    assert_eq!(said(&judge), [expected], "those were flushed");
}

#[test]
fn a_root_that_is_loaded_is_not_freed() {
    let judge = both_run_a();
    judge.installed(ONE, false, Tag::NONE, OnInstall::Keep, judge.now());
    judge.root_freed(ONE, A);
    let expected = "CPU 0 frees the root of space 1 (tag 3) while CPU 1 has it loaded; missing on CPU 1: the load of another root";
    assert_eq!(said(&judge), [expected]);
}

#[test]
fn broadcasts_and_cpus_that_flush_before_they_run_count() {
    let judge = both_run_a();
    let scope = Scope::Pages(pages(7, 1));
    let number = unmap(&judge, pages(7, 1), Tables::Kept);
    judge.broadcast(Some(A), Some(T), scope, Tables::Kept, judge.now());
    judge.released(number);
    let number = unmap(&judge, pages(7, 1), Tables::Kept);
    flush(&judge, ONE, pages(7, 1), Tables::Kept);
    judge.excused(TWO);
    judge.released(number);
    assert_eq!(heard(&judge), []);
    let number = unmap(&judge, pages(7, 1), Tables::Kept);
    judge.broadcast(Some(A), Some(Tag::new(9)), scope, Tables::Kept, judge.now());
    judge.broadcast(Some(B), None, scope, Tables::Kept, judge.now());
    judge.released(number);
    assert_eq!(heard(&judge).len(), 2, "another tag, and another space");
}

#[test]
fn kernel_memory_concerns_who_is_on_line() {
    let judge = Small::new(Heard::default());
    judge.online(ONE);
    let unmap = || judge.removed(ONE, None, Scope::Pages(pages(7, 1)), Tables::Kept);
    let flush = LocalFlush::KernelPages { range: pages(7, 1), tables: Tables::Kept };
    let number = unmap();
    judge.flushed(ONE, flush, judge.now());
    judge.released(number);
    assert_eq!(heard(&judge), []);
    judge.online(TWO);
    let expected = "CPU 1 comes back to kernel memory and may still use pages 0x7000 to 0x7fff, which CPU 0 unmapped \
                    (removal 1) and gave back; missing on CPU 1: a flush of these pages under all tags";
    assert_eq!(said(&judge), [expected]);
    judge.offline(TWO);
    judge.flushed(TWO, LocalFlush::Everything, judge.now());
    judge.online(TWO);
    let number = unmap();
    judge.offline(TWO);
    judge.flushed(ONE, flush, judge.now());
    judge.released(number);
    assert_eq!(said(&judge), [expected]);
}

#[test]
fn what_is_forgotten_is_counted_and_accuses_nobody() {
    let judge = both_run_a();
    let first = unmap(&judge, pages(1, 1), Tables::Kept);
    for page in 2..6 {
        unmap(&judge, pages(page, 1), Tables::Kept);
    }
    judge.released(first);
    assert_eq!(judge.tally(), Tally { removals: 5, violations: 0, unchecked: 1 }, "no place for a fifth");
    let judge = both_run_a();
    let number = unmap(&judge, pages(1, 1), Tables::Kept);
    both(|cpu| flush(&judge, cpu, pages(1, 1), Tables::Kept));
    for page in 2..40 {
        flush(&judge, TWO, pages(page, 1), Tables::Kept);
    }
    judge.released(number);
    assert_eq!(judge.tally(), Tally { removals: 1, violations: 0, unchecked: 1 }, "too many flushes since");
    let judge = both_run_a();
    // Under a tag with the same low bits: the first one is forgotten.
    load(&judge, TWO, B, Tag::new(11), OnInstall::Flush);
    load(&judge, TWO, B, T, OnInstall::Keep);
    assert_eq!(heard(&judge), []);
}

#[test]
fn ranges_at_the_top_and_of_other_sizes_are_covered() {
    let judge = both_run_a();
    let top = PageRange::new(VirtAddr(0xffff_ffff_ffe0_0000), 1, PageSize::Size2M).expect("a range");
    let number = unmap(&judge, top, Tables::Kept);
    flush(&judge, ONE, top, Tables::Kept);
    let small = PageRange::new(top.start(), 512, PageSize::Size4K).expect("a range");
    flush(&judge, TWO, small, Tables::Kept);
    judge.released(number);
    let number = judge.removed(ONE, Some(A), Scope::All, Tables::Freed);
    both(|cpu| judge.flushed(cpu, LocalFlush::Tag(T), judge.now()));
    judge.released(number);
    assert_eq!(heard(&judge), []);
}

#[test]
fn the_state_is_as_small_as_the_documentation_says() {
    assert_eq!([size_of::<Judge<(), 4, 32>>(), size_of::<Judge<(), 64, 32>>()], [3968, 43392]);
}
