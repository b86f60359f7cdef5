//! The algebra, told by hand.

extern crate std;
use super::{Kind, Missing, Sanitizer, Tally, Verdict, Violation};
use crate::platform::{LocalFlush, OnInstall};
use crate::types::{CpuId, FlushRequest, PageRange, PageSize, SpaceId, Tag, VirtAddr};
use std::string::{String, ToString};
use std::sync::Mutex;
use std::vec::Vec;

/// Keeps what it is told.
#[derive(Default)]
struct Reported(Mutex<Vec<Violation>>);

impl Verdict for Reported {
    fn violated(&self, violation: &Violation) {
        self.0.lock().expect("no panic here").push(*violation);
    }
}

type Small = Sanitizer<Reported, 2, 4>;

const A: SpaceId = SpaceId::new(1);
const B: SpaceId = SpaceId::new(2);
const ONE: CpuId = CpuId::new(0);
const TWO: CpuId = CpuId::new(1);
const T: Tag = Tag::new(3);

fn pages(first: u64, count: u64) -> PageRange {
    PageRange::new(VirtAddr(first << 12), count, PageSize::Size4K).expect("a range")
}

fn load(sanitizer: &Small, cpu: CpuId, space: SpaceId, tag: Tag, how: OnInstall) {
    sanitizer.installed(cpu, true, tag, how, sanitizer.now());
    sanitizer.begun(cpu, space);
}

fn both(act: impl Fn(CpuId)) {
    [ONE, TWO].into_iter().for_each(act);
}

/// Both CPUs run A under tag 3.
fn both_run_a() -> Small {
    let sanitizer = Small::new(Reported::default());
    both(|cpu| load(&sanitizer, cpu, A, T, OnInstall::Flush));
    sanitizer
}

fn unmap(sanitizer: &Small, request: FlushRequest) -> u64 {
    sanitizer.removed(ONE, Some(A), request)
}

fn flush(sanitizer: &Small, cpu: CpuId, request: FlushRequest) {
    sanitizer.flushed(cpu, LocalFlush { tag: Some(T), request }, sanitizer.now());
}

fn reported(sanitizer: &Small) -> Vec<Violation> {
    sanitizer.verdict().0.lock().expect("no panic here").clone()
}

fn said(sanitizer: &Small) -> Vec<String> {
    reported(sanitizer).iter().map(ToString::to_string).collect()
}

#[test]
fn who_has_not_flushed_is_named_with_what_is_missing() {
    let sanitizer = both_run_a();
    let number = unmap(&sanitizer, FlushRequest::pages(pages(7, 2)));
    flush(&sanitizer, ONE, FlushRequest::pages(pages(7, 2)));
    sanitizer.released(number);
    let expected = "pages 0x7000 to 0x8fff of space 1 (tag 3) are given back while CPU 1 may still use them: CPU 0 unmapped \
                    them (removal 1); missing on CPU 1: a flush of these pages";
    assert_eq!(said(&sanitizer), [expected]);
    assert_eq!(sanitizer.tally(), Tally { removals: 1, violations: 1, unchecked: 0 });
}

/// What a test does to a sanitizer.
type Act<'a> = &'a dyn Fn(&Small);

#[test]
fn a_flush_counts_if_it_is_as_wide_of_that_tag_and_later() {
    let range = pages(7, 2);
    let wide = |sanitizer: &Small| flush(sanitizer, TWO, FlushRequest::pages(pages(0, 64)));
    let whole = |sanitizer: &Small| {
        sanitizer.flushed(TWO, LocalFlush { tag: Some(T), request: FlushRequest::all() }, sanitizer.now())
    };
    let everything = |sanitizer: &Small| sanitizer.flushed(TWO, LocalFlush::EVERYTHING, sanitizer.now());
    let narrow = |sanitizer: &Small| flush(sanitizer, TWO, FlushRequest::pages(pages(7, 1)));
    let other = |sanitizer: &Small| {
        sanitizer.flushed(
            TWO,
            LocalFlush { tag: Some(Tag::new(4)), request: FlushRequest::pages(range) },
            sanitizer.now(),
        );
    };
    let kernel = |sanitizer: &Small| {
        sanitizer.flushed(TWO, LocalFlush { tag: None, request: FlushRequest::pages(range) }, sanitizer.now())
    };
    let cases: [(Act<'_>, usize); 6] =
        [(&wide, 0), (&whole, 0), (&everything, 0), (&narrow, 1), (&other, 1), (&kernel, 1)];
    for (index, (act, violations)) in cases.iter().enumerate() {
        let sanitizer = both_run_a();
        // What comes before the removal counts for nothing.
        act(&sanitizer);
        let number = unmap(&sanitizer, FlushRequest::pages(range));
        flush(&sanitizer, ONE, FlushRequest::pages(range));
        act(&sanitizer);
        sanitizer.released(number);
        assert_eq!(reported(&sanitizer).len(), *violations, "case {index}");
    }
    let sanitizer = both_run_a();
    flush(&sanitizer, TWO, FlushRequest::pages(range));
    let early = sanitizer.now();
    let number = unmap(&sanitizer, FlushRequest::pages(range));
    flush(&sanitizer, ONE, FlushRequest::pages(range));
    sanitizer.flushed(TWO, LocalFlush { tag: Some(T), request: FlushRequest::all() }, early);
    sanitizer.released(number);
    assert_eq!(reported(&sanitizer).len(), 1, "it began before the pages were unmapped");
}

#[test]
fn a_lazy_cpu_counts_where_tables_are_freed_and_when_it_returns() {
    let sanitizer = both_run_a();
    sanitizer.idle(TWO);
    let leaves = unmap(&sanitizer, FlushRequest::pages(pages(1, 1)));
    flush(&sanitizer, ONE, FlushRequest::pages(pages(1, 1)));
    sanitizer.released(leaves);
    assert_eq!(reported(&sanitizer), []);
    let tables = unmap(&sanitizer, FlushRequest::pages(pages(0, 512)).tables_freed());
    both(|cpu| flush(&sanitizer, cpu, FlushRequest::pages(pages(0, 512))));
    flush(&sanitizer, ONE, FlushRequest::pages(pages(0, 512)).tables_freed());
    sanitizer.released(tables);
    assert_eq!(reported(&sanitizer)[0].missing, Missing::PagesAndTables);
    sanitizer.begun(TWO, A);
    let again = reported(&sanitizer)[1..].to_vec();
    assert!(again.iter().all(|violation| violation.kind == Kind::CameBack && violation.cpu == TWO));
    assert_eq!(again.len(), 1, "the leaves were flushed with the tables, whose walks were not");
}

#[test]
fn entries_that_stay_under_a_tag_are_owed_a_flush_before_the_next_use() {
    for (late, violations) in [(false, 1), (true, 0)] {
        let sanitizer = both_run_a();
        load(&sanitizer, TWO, B, Tag::new(4), OnInstall::Flush);
        let number = unmap(&sanitizer, FlushRequest::pages(pages(7, 1)));
        flush(&sanitizer, ONE, FlushRequest::pages(pages(7, 1)));
        sanitizer.released(number);
        assert_eq!(reported(&sanitizer), [], "it uses another space");
        sanitizer.installed(TWO, true, T, OnInstall::Keep, sanitizer.now());
        if late {
            flush(&sanitizer, TWO, FlushRequest::pages(pages(7, 1)));
        }
        sanitizer.begun(TWO, A);
        assert_eq!(reported(&sanitizer).len(), violations);
    }
}

#[test]
fn a_tag_that_changes_hands_is_flushed_or_reported() {
    let sanitizer = both_run_a();
    load(&sanitizer, TWO, B, Tag::new(4), OnInstall::Flush);
    load(&sanitizer, TWO, B, T, OnInstall::Keep);
    let expected = "CPU 1 loads space 2 (tag 3) while it may still use entries of space 1 under that tag; missing on CPU 1: a \
                    flush of the tag";
    assert_eq!(said(&sanitizer), [expected]);
    load(&sanitizer, ONE, B, T, OnInstall::Flush);
    sanitizer.flushed(TWO, LocalFlush::EVERYTHING, sanitizer.now());
    load(&sanitizer, TWO, A, Tag::new(4), OnInstall::Keep);
    sanitizer.wiping(|| ());
    load(&sanitizer, TWO, A, T, OnInstall::Flush);
    assert_eq!(said(&sanitizer), [expected], "those were flushed");
}

#[test]
fn a_root_that_is_loaded_is_not_freed() {
    let sanitizer = both_run_a();
    sanitizer.installed(ONE, false, Tag::NONE, OnInstall::Keep, sanitizer.now());
    sanitizer.root_freed(ONE, A);
    let expected = "CPU 0 frees the root of space 1 (tag 3) while CPU 1 has it loaded; missing on CPU 1: the load of another root";
    assert_eq!(said(&sanitizer), [expected]);
}

#[test]
fn broadcasts_and_cpus_that_flush_before_they_run_count() {
    let sanitizer = both_run_a();
    let request = FlushRequest::pages(pages(7, 1));
    let number = unmap(&sanitizer, FlushRequest::pages(pages(7, 1)));
    sanitizer.broadcast(Some(A), Some(T), request, sanitizer.now());
    sanitizer.released(number);
    let number = unmap(&sanitizer, FlushRequest::pages(pages(7, 1)));
    flush(&sanitizer, ONE, FlushRequest::pages(pages(7, 1)));
    sanitizer.excused(TWO);
    sanitizer.released(number);
    assert_eq!(reported(&sanitizer), []);
    let number = unmap(&sanitizer, FlushRequest::pages(pages(7, 1)));
    sanitizer.broadcast(Some(A), Some(Tag::new(9)), request, sanitizer.now());
    sanitizer.broadcast(Some(B), None, request, sanitizer.now());
    sanitizer.released(number);
    assert_eq!(reported(&sanitizer).len(), 2, "another tag, and another space");
}

#[test]
fn kernel_memory_concerns_who_is_on_line() {
    let sanitizer = Small::new(Reported::default());
    sanitizer.online(ONE);
    let unmap = || sanitizer.removed(ONE, None, FlushRequest::pages(pages(7, 1)));
    let flush = LocalFlush { tag: None, request: FlushRequest::pages(pages(7, 1)) };
    let number = unmap();
    sanitizer.flushed(ONE, flush, sanitizer.now());
    sanitizer.released(number);
    assert_eq!(reported(&sanitizer), []);
    sanitizer.online(TWO);
    let expected = "CPU 1 comes back to kernel memory and may still use pages 0x7000 to 0x7fff, which CPU 0 unmapped \
                    (removal 1) and gave back; missing on CPU 1: a flush of these pages under all tags";
    assert_eq!(said(&sanitizer), [expected]);
    sanitizer.offline(TWO);
    sanitizer.flushed(TWO, LocalFlush::EVERYTHING, sanitizer.now());
    sanitizer.online(TWO);
    let number = unmap();
    sanitizer.offline(TWO);
    sanitizer.flushed(ONE, flush, sanitizer.now());
    sanitizer.released(number);
    assert_eq!(said(&sanitizer), [expected]);
}

#[test]
fn what_is_forgotten_is_counted_and_accuses_nobody() {
    let sanitizer = both_run_a();
    let first = unmap(&sanitizer, FlushRequest::pages(pages(1, 1)));
    for page in 2..6 {
        unmap(&sanitizer, FlushRequest::pages(pages(page, 1)));
    }
    sanitizer.released(first);
    assert_eq!(sanitizer.tally(), Tally { removals: 5, violations: 0, unchecked: 1 }, "no place for a fifth");
    let sanitizer = both_run_a();
    let number = unmap(&sanitizer, FlushRequest::pages(pages(1, 1)));
    both(|cpu| flush(&sanitizer, cpu, FlushRequest::pages(pages(1, 1))));
    for page in 2..40 {
        flush(&sanitizer, TWO, FlushRequest::pages(pages(page, 1)));
    }
    sanitizer.released(number);
    assert_eq!(
        sanitizer.tally(),
        Tally { removals: 1, violations: 0, unchecked: 1 },
        "too many flushes since"
    );
    let sanitizer = both_run_a();
    // Under a tag with the same low bits: the first one is forgotten.
    load(&sanitizer, TWO, B, Tag::new(11), OnInstall::Flush);
    load(&sanitizer, TWO, B, T, OnInstall::Keep);
    assert_eq!(reported(&sanitizer), []);
}

#[test]
fn ranges_at_the_top_and_of_other_sizes_are_covered() {
    let sanitizer = both_run_a();
    let top = PageRange::new(VirtAddr(0xffff_ffff_ffe0_0000), 1, PageSize::Size2M).expect("a range");
    let number = unmap(&sanitizer, FlushRequest::pages(top));
    flush(&sanitizer, ONE, FlushRequest::pages(top));
    let small = PageRange::new(top.start(), 512, PageSize::Size4K).expect("a range");
    flush(&sanitizer, TWO, FlushRequest::pages(small));
    sanitizer.released(number);
    let number = sanitizer.removed(ONE, Some(A), FlushRequest::all().tables_freed());
    both(|cpu| {
        sanitizer.flushed(cpu, LocalFlush { tag: Some(T), request: FlushRequest::all() }, sanitizer.now())
    });
    sanitizer.released(number);
    assert_eq!(reported(&sanitizer), []);
}

#[test]
fn the_state_is_as_small_as_the_documentation_says() {
    assert_eq!([size_of::<Sanitizer<(), 4, 32>>(), size_of::<Sanitizer<(), 64, 32>>()], [3968, 43392]);
}
