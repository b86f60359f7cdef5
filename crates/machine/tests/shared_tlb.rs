//! TLBs that several CPUs share, and page flushes that miss kernel pages.

mod common;

use common::{Main, SmallMachine, verdict};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::{Verdict, sync};
use shootdown_model::hw::{self, Install, WalkCache};
use shootdown_model::{Builder, Machine};

/// Two CPUs that run space A, where page 0 leads to frame 1, and one that has no root.
fn three() -> Builder {
    Machine::builder(3)
        .spaces(2, 1)
        .tags(3)
        .translation(1, Some(0), true)
        .map(0, 0, 1)
        .start(0, 0, 1, true)
        .start(1, 0, 1, true)
}

fn unmap_and_flush_here(small_machine: &SmallMachine) {
    small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
    sync::fence(SeqCst);
    hw::flush_page(1, 0, WalkCache::Drop);
    hw::free_frame(1);
}

fn idle(_: &SmallMachine) {}

#[test]
fn what_one_sibling_flushes_both_have_lost() {
    let mains: [Main; 3] = [unmap_and_flush_here, idle, idle];
    assert_eq!(verdict(three().share_tlb(0b011), &mains), Verdict::Holds);
    let stale = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    assert_eq!(verdict(three(), &mains), Verdict::Violates(stale.into()));
    assert_eq!(verdict(three().share_tlb(0b101), &mains), Verdict::Violates(stale.into()));
}

#[test]
fn what_one_sibling_fills_the_other_uses() {
    let enters_b_under_the_tag_of_a: Main = |_| {
        hw::flush_tag(1);
        hw::install(Some(1), 1, Install::Keep);
        hw::user(true);
    };
    let under_its_own: Main = |_| {
        hw::install(Some(1), 2, Install::Keep);
        hw::user(true);
    };
    let clash = "CPU 2, in space B, can use page 0 -> frame 1 of space A (SD-12)";
    let shared = || three().share_tlb(0b110);
    assert_eq!(
        verdict(shared(), &[idle, idle, enters_b_under_the_tag_of_a]),
        Verdict::Violates(clash.into())
    );
    assert_eq!(verdict(shared(), &[idle, idle, under_its_own]), Verdict::Holds);
    assert_eq!(verdict(three(), &[idle, idle, enters_b_under_the_tag_of_a]), Verdict::Holds);
}

/// CPU 0 walks its own store early; its sibling then holds what memory never showed it.
#[test]
fn siblings_share_what_came_out_of_one_store_buffer() {
    let maps_and_unmaps: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 1).store(1, Relaxed);
        small_machine.machine.tables.leaf(0, 1).store(0, Relaxed);
        small_machine.word.store(1, Release);
    };
    let waits_and_frees: Main = |small_machine| {
        sync::wait_until(|| small_machine.word.load(Acquire) == 1);
        hw::unreachable(0, 1);
    };
    let stale = "CPU 0 can still use page 1 of space A, which was unmapped (SD-8)";
    let mains: [Main; 3] = [maps_and_unmaps, waits_and_frees, idle];
    let found = verdict(three().share_tlb(0b011), &mains);
    assert_eq!(found, Verdict::Violates(stale.into()));
}

#[test]
fn cpus_that_share_a_tlb_stay_online() {
    let leaves: Main = |_| hw::offline();
    let found = verdict(three().share_tlb(0b011), &[leaves, idle, idle]);
    assert!(
        found.words().is_some_and(
            |words| words.starts_with("CPU 0: this machine cannot do this: offline (it has 3 CPUs")
        ),
        "{found:?}"
    );
}

/// One CPU that has kernel page 0, frame 2, and gives it back.
fn kernel(tags: usize) -> Builder {
    Machine::builder(1).tags(tags).kernel_pages(1).translation(2, None, true).map_kernel(0, 1)
}

fn unmap_kernel_page(small_machine: &SmallMachine) {
    small_machine.machine.tables.kernel(0).store(0, Relaxed);
    sync::fence(SeqCst);
}

#[test]
fn sticky_kernel_pages_survive_a_page_flush_while_tags_are_in_use() {
    let flushes_the_page: Main = |small_machine| {
        unmap_kernel_page(small_machine);
        hw::flush_kernel_page(0);
        hw::free_frame(2);
    };
    let flushes_everything: Main = |small_machine| {
        unmap_kernel_page(small_machine);
        hw::flush_all();
        hw::free_frame(2);
    };
    let stale = "CPU 0 can still use kernel page 0 -> frame 2, which was freed (SD-8)";
    let found = verdict(kernel(2).sticky_kernel_pages(), &[flushes_the_page]);
    assert_eq!(found, Verdict::Violates(stale.into()));
    assert_eq!(verdict(kernel(1).sticky_kernel_pages(), &[flushes_the_page]), Verdict::Holds);
    assert_eq!(verdict(kernel(2), &[flushes_the_page]), Verdict::Holds);
    assert_eq!(verdict(kernel(2).sticky_kernel_pages(), &[flushes_everything]), Verdict::Holds);
}
