//! The right to use the kernel's translations, and spaces and kernels of several roots.

use super::common::{Main, SmallMachine, breaks, holds, idle, kernel, misuses, stale_kernel, verdict_under};
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::{Memory, Verdict, sync};
use shootdown_model::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_model::{Builder, Machine, Privilege};

/// Kernel page 0 leads to frame 1; CPU 1 runs user code.
fn kernel_page() -> Builder {
    kernel(2).user_code(1)
}

/// Takes the page away, flushes here, says so, and gives the frame back.
fn unmap_here(m: &SmallMachine) {
    m.machine.tables.kernel(0).store(0, Relaxed);
    sync::fence(SeqCst);
    hw::flush_kernel_page(0);
    m.tell(1);
    hw::free_frame(1);
}

#[track_caller]
fn stale(builder: Builder, mains: &[Main]) {
    breaks(builder, mains, &stale_kernel(1));
}

#[test]
fn user_code_uses_no_kernel_page_until_it_enters_the_kernel() {
    let enters: Main = |_| hw::privilege(Privilege::Kernel);
    let catches_up: Main = |m| {
        m.wait_for(1);
        hw::flush_all();
        hw::privilege(Privilege::Kernel);
    };
    let too_late: Main = |m| {
        m.wait_for(1);
        hw::privilege(Privilege::Kernel);
        hw::flush_all();
    };
    holds(kernel_page(), &[unmap_here, idle]);
    holds(kernel_page(), &[unmap_here, catches_up]);
    for main in [enters, too_late] {
        stale(kernel_page(), &[unmap_here, main]);
    }
}

/// User code uses only what it may: the use ends where the kernel is left, and not with a flush.
#[test]
fn a_use_of_kernel_memory_is_over_when_the_kernel_is_left() {
    fn leaves(m: &SmallMachine, order: Ordering) {
        hw::privilege(Privilege::User);
        m.word.store(1, order);
    }
    fn frees_when_told(m: &SmallMachine, order: Ordering) {
        if m.word.load(order) == 1 {
            m.machine.tables.kernel(0).store(0, Relaxed);
            hw::flush_kernel_page(0);
            hw::free_frame(1);
        }
    }
    let in_kernel = || kernel(2).privilege();
    let weak = |builder, mains: [Main; 2]| verdict_under(Memory::Weak, builder, &mains);
    let told: [Main; 2] = [|m| frees_when_told(m, Acquire), |m| leaves(m, Release)];
    assert_eq!(weak(in_kernel(), told), Verdict::Holds);
    let hinted: [Main; 2] = [|m| frees_when_told(m, Relaxed), |m| leaves(m, Relaxed)];
    let early = "CPU 0: free frame 1, and nothing orders the end of CPU 1's use before that (SD-8)";
    assert_eq!(weak(in_kernel(), hinted), Verdict::Violates(early.into()));
    assert_eq!(weak(kernel_page(), [unmap_here, |_| hw::flush_all()]), Verdict::Holds, "it used nothing");
}

#[test]
fn what_an_entry_uses_counts_in_user_code_too() {
    stale(kernel_page().entry_page(0), &[unmap_here, idle]);
}

#[test]
fn a_machine_without_privilege_has_every_cpu_in_the_kernel() {
    let leaves: Main = |_| hw::privilege(Privilege::User);
    misuses(kernel(1), &[leaves], "CPU 0: this machine cannot do this: leave for user code");
    holds(kernel(1).privilege(), &[leaves]);
}

#[test]
fn walkers_read_kernel_tables_whatever_the_privilege() {
    let frees_the_table: Main = |m| {
        m.machine.tables.kernel_link().store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_kernel(0, WalkCache::Drop);
        hw::free_table(m.machine.tables.kernel_table());
    };
    let walked = "CPU 1 can still walk kernel table 2, which was freed (SD-7)";
    breaks(kernel_page().kernel_table(), &[frees_the_table, idle], walked);
}

/// Root 1 is the user root of space 0 and does not reach the kernel; CPU 1 has it loaded.
fn isolated() -> Builder {
    kernel_page().spaces(2, 1).same_space(1, 0).kernel_entry_per_root(&[1]).start(1, 1, 0, true)
}

#[test]
fn a_root_that_does_not_reach_the_kernel_fills_nothing_of_it() {
    let enters: Main = |_| hw::privilege(Privilege::Kernel);
    let with_the_kernels_root: Main = |_| {
        hw::install(Some(0), 0, Install::Keep);
        hw::privilege(Privilege::Kernel);
    };
    holds(isolated(), &[unmap_here, enters]);
    stale(isolated(), &[unmap_here, with_the_kernels_root]);
    // Entry pages are mapped there all the same.
    stale(isolated().entry_page(0), &[unmap_here, enters]);
}

/// Spaces A and B have their own entries for the kernel's table; CPU 1 has A loaded.
fn entry_each() -> Builder {
    kernel(2).spaces(2, 1).kernel_entry_per_root(&[]).start(1, 0, 0, false)
}

fn flush_and_free(m: &SmallMachine) {
    sync::fence(SeqCst);
    hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Drop));
    hw::free_table(m.machine.tables.kernel_table());
}

#[test]
fn a_kernel_table_is_taken_out_of_every_root() {
    let reference_only: Main = |m| {
        m.machine.tables.kernel_link().store(0, Relaxed);
        flush_and_free(m);
    };
    let loaded_one_too: Main = |m| {
        m.machine.tables.kernel_link_of(0).store(0, Relaxed);
        m.machine.tables.kernel_link().store(0, Relaxed);
        flush_and_free(m);
    };
    let all: Main = |m| {
        (0..2).for_each(|root| m.machine.tables.kernel_link_of(root).store(0, Relaxed));
        m.machine.tables.kernel_link().store(0, Relaxed);
        flush_and_free(m);
    };
    let named = |root| format!("root {root} still points to table 3, which was freed (SD-7)");
    breaks(entry_each(), &[reference_only, idle], &named('A'));
    breaks(entry_each(), &[loaded_one_too, idle], &named('B'));
    holds(entry_each(), &[all, idle]);
}

/// Roots 0 and 1 of space A both lead to its table; CPU 0 has the one loaded, CPU 1 the other.
fn replicas() -> Builder {
    let space = Machine::builder(2).spaces(3, 1).same_space(1, 0).own_page(0, 0, 1);
    space.link_table(1, 0, 1).start(0, 0, 0, true).start(1, 1, 0, true)
}

#[test]
fn what_belongs_to_a_space_is_meant_under_each_of_its_roots() {
    fn unmaps(m: &SmallMachine, flush: fn()) {
        m.leaf(0).store(0, SeqCst);
        flush();
        hw::unreachable(0, 0);
    }
    let flushed: Main = |m| unmaps(m, || hw::broadcast(Whose::Users, Which::Page(0, WalkCache::Keep)));
    let only_here: Main = |m| unmaps(m, || hw::flush_page(0, 0, WalkCache::Keep));
    let gone = "CPU 1 can still use page 0 of space A, which was unmapped (SD-8)";
    holds(replicas(), &[flushed, idle]);
    breaks(replicas(), &[only_here, idle], gone);
    let foreign = "CPU 1, in space B, can use page 0 -> frame 1 of space A (SD-12)";
    let strangers =
        Machine::builder(2).spaces(2, 1).own_page(0, 0, 1).link_table(1, 0, 1).start(1, 1, 0, true);
    breaks(strangers, &[idle, idle], foreign);
}
