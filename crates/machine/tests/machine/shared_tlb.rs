//! TLBs that several CPUs share, and page flushes that miss kernel pages.

use super::common::{self, Main, SmallMachine, breaks, holds, idle, misuses, stale_kernel, stale_on, unmap};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
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

fn unmap_and_flush_here(m: &SmallMachine) {
    unmap(m);
    hw::flush_page(1, 0, WalkCache::Drop);
    hw::free_frame(1);
}

#[test]
fn what_one_sibling_flushes_both_have_lost() {
    let mains: [Main; 3] = [unmap_and_flush_here, idle, idle];
    holds(three().share_tlb(0b011), &mains);
    stale_on(1, three(), &mains);
    stale_on(1, three().share_tlb(0b101), &mains);
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
    breaks(shared(), &[idle, idle, enters_b_under_the_tag_of_a], clash);
    holds(shared(), &[idle, idle, under_its_own]);
    holds(three(), &[idle, idle, enters_b_under_the_tag_of_a]);
}

/// CPU 0 walks its own store early; its sibling then holds what memory never showed it.
#[test]
fn siblings_share_what_came_out_of_one_store_buffer() {
    let maps_and_unmaps: Main = |m| {
        m.leaf(1).store(1, Relaxed);
        m.leaf(1).store(0, Relaxed);
        m.tell(1);
    };
    let waits_and_frees: Main = |m| {
        m.wait_for(1);
        hw::unreachable(0, 1);
    };
    let stale = "CPU 0 can still use page 1 of space A, which was unmapped (SD-8)";
    let mains: [Main; 3] = [maps_and_unmaps, waits_and_frees, idle];
    breaks(three().share_tlb(0b011), &mains, stale);
}

#[test]
fn cpus_that_share_a_tlb_stay_online() {
    let leaves: Main = |_| hw::offline();
    let misuse = "CPU 0: this machine cannot do this: offline";
    misuses(three().share_tlb(0b011), &[leaves, idle, idle], misuse);
}

/// One CPU whose kernel page 0 leads to frame 1.
fn kernel(tags: usize) -> Builder {
    common::kernel(1).tags(tags)
}

/// Takes the page away, flushes, and gives its frame back.
fn unmap_kernel_page(m: &SmallMachine, flush: fn()) {
    m.machine.tables.kernel(0).store(0, Relaxed);
    sync::fence(SeqCst);
    flush();
    hw::free_frame(1);
}

#[test]
fn sticky_kernel_pages_survive_a_page_flush_while_tags_are_in_use() {
    let flushes_the_page: Main = |m| unmap_kernel_page(m, || hw::flush_kernel_page(0));
    let flushes_everything: Main = |m| unmap_kernel_page(m, hw::flush_all);
    breaks(kernel(2).sticky_kernel_pages(), &[flushes_the_page], &stale_kernel(0));
    holds(kernel(1).sticky_kernel_pages(), &[flushes_the_page]);
    holds(kernel(2), &[flushes_the_page]);
    holds(kernel(2).sticky_kernel_pages(), &[flushes_everything]);
}
