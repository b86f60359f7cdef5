//! Each rule of the oracle.

use super::common::{
    Main, SmallMachine, alone, breaks, holds, idle, kernel, misuses, pair, report, stale, stale_kernel,
    stale_on, unmap, unmap_and_free, verdict, verdict_under,
};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Action, Memory, Options, Registry, Scenario, Verdict, explore};
use shootdown_model::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_model::{Acknowledged, Builder, Machine};

#[test]
fn a_broken_rule_is_told_in_numbers_too() {
    let frees: Main = |_| hw::free_frame(1);
    let Verdict::Violates(broken) = verdict(pair(), &[frees, idle]) else { panic!("holds") };
    assert_eq!((broken.rule, broken.page, broken.frame), (Some(8), Some(0), Some(1)), "{broken}");
}

fn flush_all_cpus() {
    hw::broadcast(Whose::Tag(0), Which::All);
}

#[test]
fn freed_frame_must_be_out_of_every_tlb() {
    let flushed: Main = |m| unmap_and_free(m, flush_all_cpus);
    let only_here: Main = |m| unmap_and_free(m, || hw::flush_page(0, 0, WalkCache::Drop));
    holds(pair(), &[flushed, idle]);
    stale_on(1, pair(), &[only_here, idle]);
}

#[test]
fn flush_before_the_entry_is_gone_refills() {
    let too_early: Main = |m| {
        flush_all_cpus();
        unmap(m);
        hw::free_frame(1);
    };
    stale_on(0, pair(), &[too_early, idle]);
}

#[test]
fn revoked_translation_must_be_out_of_every_tlb() {
    let flushed: Main = |m| {
        m.leaf(0).store(2, Relaxed);
        hw::broadcast(Whose::Tag(0), Which::Page(0, WalkCache::Keep));
        hw::revoke(1);
    };
    let not_flushed: Main = |m| {
        m.leaf(0).store(2, Relaxed);
        hw::flush_page(0, 0, WalkCache::Keep);
        hw::revoke(1);
    };
    holds(pair(), &[flushed, idle]);
    let message = "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)";
    breaks(pair(), &[not_flushed, idle], message);
}

#[test]
fn unmapped_page_must_not_be_usable_until_it_is_mapped_again() {
    let unmapped: Main = |m| {
        unmap(m);
        flush_all_cpus();
        hw::unreachable(0, 0);
    };
    let back: Main = |m| {
        unmap(m);
        flush_all_cpus();
        hw::unreachable(0, 0);
        hw::mapped(0, 0);
        m.leaf(0).store(1, Relaxed);
    };
    let too_soon: Main = |m| {
        unmap(m);
        flush_all_cpus();
        hw::unreachable(0, 0);
        m.leaf(0).store(1, Relaxed);
        hw::mapped(0, 0);
    };
    holds(pair(), &[unmapped, idle]);
    holds(pair().remaps(), &[back, idle]);
    let message = "CPU 0 can still use page 0 of space A, which was unmapped (SD-8)";
    breaks(pair().remaps(), &[too_soon, idle], message);
    misuses(pair(), &[back, idle], "CPU 0: this machine cannot do this: page 0 of A back");
}

#[test]
fn entries_under_another_tag_are_checked_when_it_is_loaded() {
    let tagged = || {
        Machine::builder(1)
            .spaces(2, 1)
            .tags(3)
            .translation(1, Some(0), true)
            .start(0, 1, 2, true)
            .cached(0, 1, 0, 1)
    };
    fn loads(how: Install) {
        hw::free_frame(1);
        hw::user(false);
        hw::install(Some(0), 1, how);
    }
    let keep: Main = |_| {
        loads(Install::Keep);
        hw::user(true);
    };
    let flush: Main = |_| {
        loads(Install::FlushTag);
        hw::user(true);
    };
    let lazy: Main = |_| loads(Install::Keep);
    holds(tagged(), &[flush]);
    holds(tagged(), &[lazy]);
    stale_on(0, tagged(), &[keep]);
}

#[test]
fn untagged_machine_flushes_at_every_root_load() {
    let switch: Main = |m| {
        hw::user(false);
        unmap(m);
        hw::install(Some(0), 0, Install::Keep);
        hw::free_frame(1);
        hw::user(true);
    };
    holds(alone(), &[switch]);
}

#[test]
fn freed_table_must_be_out_of_walk_caches_of_lazy_cpus_too() {
    let lazy_pair = || pair().start(1, 0, 0, false);
    let whole: Main = |m| {
        m.machine.tables.root(0, 0).store(0, Relaxed);
        unmap(m);
        flush_all_cpus();
        hw::free_table(1);
    };
    let leaf_only: Main = |m| {
        m.machine.tables.root(0, 0).store(0, Relaxed);
        unmap(m);
        hw::broadcast(Whose::Tag(0), Which::Page(0, WalkCache::Keep));
        hw::flush_tag(0);
        hw::free_table(1);
    };
    let linked: Main = |m| {
        unmap(m);
        flush_all_cpus();
        hw::free_table(1);
    };
    holds(lazy_pair(), &[whole, idle]);
    let message = "CPU 1 is lazy but can still walk table 1 in space A, which was freed (SD-7)";
    breaks(lazy_pair(), &[leaf_only, idle], message);
    let message = "root entry 0 of space A still points to table 1, which was freed (SD-7)";
    breaks(pair(), &[linked, idle], message);
}

#[test]
fn freed_root_must_be_loaded_nowhere() {
    let evicted: Main = |_| {
        hw::install(None, 0, Install::FlushAll);
        hw::free_root(0);
    };
    let loaded: Main = |_| hw::free_root(0);
    let lazy = || Machine::builder(1).start(0, 0, 0, false).must_free_root(0);
    holds(lazy(), &[evicted]);
    breaks(lazy(), &[loaded], "CPU 0 has the root of space A loaded, which was freed (SD-10)");
}

#[test]
fn two_spaces_must_not_share_a_live_tag() {
    let two = || {
        Machine::builder(1)
            .spaces(2, 1)
            .tags(3)
            .translation(1, Some(0), true)
            .translation(2, Some(1), true)
            .map(0, 0, 1)
            .map(1, 0, 2)
            .start(0, 0, 1, true)
    };
    let other_tag: Main = |_| hw::install(Some(1), 2, Install::Keep);
    let same_tag: Main = |_| hw::install(Some(1), 1, Install::Keep);
    let flushed: Main = |_| hw::install(Some(1), 1, Install::FlushTag);
    holds(two(), &[other_tag]);
    holds(two(), &[flushed]);
    breaks(two(), &[same_tag], "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)");
}

#[test]
fn kernel_entries_count_on_every_online_cpu() {
    let flushed: Main = |m| {
        m.machine.tables.kernel(0).store(0, Relaxed);
        hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Keep));
        hw::free_frame(1);
    };
    let only_here: Main = |m| {
        m.machine.tables.kernel(0).store(0, Relaxed);
        hw::flush_kernel_page(0);
        hw::flush_user();
        hw::free_frame(1);
    };
    holds(kernel(2), &[flushed, idle]);
    breaks(kernel(2), &[only_here, idle], &stale_kernel(1));
}

#[test]
fn cpu_that_comes_online_has_until_its_first_root_load_to_flush() {
    fn comes_back(m: &SmallMachine, flush: fn()) {
        hw::offline();
        m.machine.tables.kernel(0).store(0, SeqCst);
        sync::fence(SeqCst);
        hw::free_frame(1);
        hw::online();
        flush();
        hw::install(None, 0, Install::Keep);
    }
    holds(kernel(1), &[|m| comes_back(m, hw::flush_all)]);
    breaks(kernel(1), &[|m| comes_back(m, || {})], &stale_kernel(0));
    let touches: Main = |_| {
        hw::offline();
        hw::flush_user();
    };
    misuses(kernel(1), &[touches], "CPU 0 is offline: flush user");
}

#[test]
fn a_freed_kernel_table_must_be_out_of_every_walk_cache() {
    let table = || kernel(2).kernel_table();
    fn free(m: &SmallMachine) {
        hw::free_table(m.machine.tables.kernel_table());
    }
    fn unhook_and_free(m: &SmallMachine, flush: fn()) {
        m.machine.tables.kernel_link().store(0, Relaxed);
        sync::fence(SeqCst);
        flush();
        free(m);
    }
    fn broadcast(walk: WalkCache) {
        hw::broadcast(Whose::Kernel, Which::Page(0, walk));
    }
    let flushed: Main = |m| unhook_and_free(m, || broadcast(WalkCache::Drop));
    let leaves_only: Main = |m| unhook_and_free(m, || broadcast(WalkCache::Keep));
    let users_only: Main = |m| unhook_and_free(m, || hw::broadcast(Whose::Users, Which::All));
    let only_here: Main = |m| unhook_and_free(m, || hw::flush_kernel(0, WalkCache::Drop));
    holds(table(), &[flushed, idle]);
    for main in [leaves_only, users_only] {
        breaks(table(), &[main, idle], "CPU 0 can still walk kernel table 2, which was freed (SD-7)");
    }
    breaks(table(), &[only_here, idle], "CPU 1 can still walk kernel table 2, which was freed (SD-7)");
    let message = "the kernel's root still points to table 2, which was freed (SD-7)";
    breaks(table(), &[free, idle], message);
    misuses(pair(), &[|_| hw::free_table(2), idle], "CPU 0: this machine cannot do this: free table 2");
}

#[test]
fn a_cpu_that_is_off_line_halts_on_what_it_has_loaded() {
    let leaves: Main = |_| {
        hw::user(false);
        hw::install(None, 0, Install::Keep);
        hw::offline();
        hw::free_root(0);
    };
    let stays: Main = |_| {
        hw::user(false);
        hw::offline();
        hw::free_root(0);
    };
    let frees_the_table: Main = |m| {
        hw::user(false);
        hw::offline();
        m.machine.tables.root(0, 0).store(0, SeqCst);
        hw::free_table(1);
    };
    holds(alone(), &[leaves]);
    breaks(alone(), &[stays], "CPU 0 has the root of space A loaded, which was freed (SD-10)");
    let message = "CPU 0 is off line but can still walk table 1 in space A, which was freed (SD-7)";
    breaks(alone(), &[frees_the_table], message);
}

/// A CPU that comes on line, and says that it has flushed kernel memory when it has or before.
struct Arrival {
    machine: Machine,
    generation: Word,
    caught: Word,
    flushes_first: bool,
}

impl Scenario for Arrival {
    type Device = Machine;
    fn cpus(&self) -> usize {
        1
    }
    fn main(&self, _: usize) {
        hw::offline();
        self.machine.tables.kernel(0).store(0, SeqCst);
        self.generation.store(1, SeqCst);
        hw::free_frame(1);
        hw::online();
        if self.flushes_first {
            hw::flush_all();
        }
        self.caught.store(1, SeqCst);
        hw::flush_all();
    }
    fn device(&self) -> &Machine {
        &self.machine
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("generation", &self.generation);
        registry.object("caught", &self.caught);
        let words = Acknowledged { generation: &self.generation, caught: &[&self.caught] };
        self.machine.register_acknowledged(registry, &[], Some(words));
    }
}

#[test]
fn a_cpu_that_comes_online_is_judged_by_what_it_acknowledges() {
    let run = |flushes_first| {
        let machine = kernel(1).build();
        let words = (Word::new("generation", 0), Word::new("caught", 0));
        let arrival = Arrival { machine, generation: words.0, caught: words.1, flushes_first };
        explore(&arrival, &Options { workers: 1, ..Options::default() }).verdict
    };
    assert_eq!(run(true), Verdict::Holds);
    assert_eq!(run(false), Verdict::Violates(stale_kernel(0).as_str().into()));
}

#[test]
fn nothing_is_given_back_twice() {
    let machine = || Machine::builder(1);
    let frame: Main = |_| [1, 1].into_iter().for_each(hw::free_frame);
    let table: Main = |_| [1, 1].into_iter().for_each(hw::free_table);
    let root: Main = |_| [0, 0].into_iter().for_each(hw::free_root);
    let teardown: Main = |_| [0, 0].into_iter().for_each(hw::teardown);
    breaks(machine(), &[frame], "CPU 0 frees frame 1, which was freed before (SD-8)");
    breaks(machine(), &[table], "CPU 0 frees table 1, which was freed before (SD-8)");
    breaks(machine(), &[root], "CPU 0 frees the root of space A, which was freed before (SD-10)");
    breaks(machine(), &[teardown], "CPU 0 tears space A down, which was torn down before (SD-10)");
}

#[test]
fn user_mode_and_accesses_need_a_live_space() {
    let machine = |user| Machine::builder(1).start(0, 0, 0, user);
    let touch: Main = |_| hw::touch(0);
    let no_root: Main = |_| {
        hw::install(None, 0, Install::FlushAll);
        hw::touch(0);
    };
    let dies: Main = |_| hw::teardown(0);
    let leaves: Main = |_| {
        hw::user(false);
        hw::teardown(0);
    };
    holds(machine(true), &[touch]);
    holds(machine(true), &[leaves]);
    breaks(machine(false), &[touch], "CPU 0 touches page 0 of space A while lazy");
    breaks(machine(true), &[no_root], "CPU 0 touches page 0 with no root loaded");
    breaks(machine(true), &[dies], "CPU 0 is in user mode in space A, whose mappings are dead (SD-10)");
}

#[test]
fn mask_must_name_every_cpu_that_has_the_root_loaded() {
    let check = |main: Main| {
        let mask = Some(Word::new("small_machine.mask", 0));
        report(Memory::Tso, &SmallMachine::model(Machine::builder(1), &[main], mask)).verdict
    };
    fn joins_and_leaves(m: &SmallMachine, before: impl Fn(&Word), after: impl Fn(&Word)) {
        let mask = m.mask.as_ref().expect("a mask");
        mask.fetch_or(1, SeqCst);
        hw::install(Some(0), 0, Install::Keep);
        before(mask);
        hw::install(None, 0, Install::Keep);
        after(mask);
    }
    fn leave(mask: &Word) {
        mask.fetch_and(0, SeqCst);
    }
    let in_order: Main = |m| joins_and_leaves(m, |_| {}, leave);
    let leaves_early: Main = |m| joins_and_leaves(m, leave, |_| {});
    assert_eq!(check(in_order), Verdict::Holds);
    let message = "CPU 0 has the root of space A loaded but is not in its mask (SD-1)";
    assert_eq!(check(leaves_early), Verdict::Violates(message.into()));
}

#[test]
fn what_is_never_given_back_is_lost() {
    let machine = || Machine::builder(1).must_free_frame(1).must_free_table(2).must_free_root(0).spaces(1, 2);
    let all: Main = |_| {
        hw::free_frame(1);
        hw::free_table(2);
        hw::free_root(0);
    };
    let no_table: Main = |_| {
        hw::free_frame(1);
        hw::free_root(0);
    };
    holds(machine(), &[all]);
    breaks(machine(), &[no_table], "table 2 is lost: all CPUs have finished and it was never freed (SD-14)");
}

/// CPU 0 clears the entry and looks whether CPU 1 has announced itself; CPU 1 announces itself and loads the root.
#[test]
fn walker_reads_memory_while_the_store_waits_in_the_buffer() {
    let machine = || Machine::builder(2).translation(1, Some(0), true).map(0, 0, 1);
    fn frees_unless_told(m: &SmallMachine, fence: fn()) {
        m.leaf(0).store(0, Relaxed);
        fence();
        if m.word.load(Relaxed) == 0 {
            hw::free_frame(1);
        }
    }
    let hasty: Main = |m| frees_unless_told(m, || {});
    let careful: Main = |m| frees_unless_told(m, || sync::fence(SeqCst));
    let arrives: Main = |m| {
        m.word.swap(1, SeqCst);
        hw::install(Some(0), 0, Install::FlushAll);
        hw::user(true);
    };
    let verdict = |main, memory| verdict_under(memory, machine(), &[main, arrives]);
    assert_eq!(verdict(hasty, Memory::Sc), Verdict::Holds);
    assert_eq!(verdict(hasty, Memory::Tso), Verdict::Violates(stale(1).as_str().into()));
    assert_eq!(verdict(careful, Memory::Tso), Verdict::Holds);
    assert_eq!(verdict(careful, Memory::Pso), Verdict::Holds);
}

#[test]
fn walker_reads_its_own_cpus_store_buffer() {
    let machine = Machine::builder(1).translation(1, Some(0), true).link(0, 0).start(0, 0, 0, true);
    let main: Main = |m| {
        m.leaf(0).store(1, Relaxed);
        hw::free_frame(1);
    };
    let report = report(Memory::Tso, &SmallMachine::model(machine, &[main], None));
    assert_eq!(report.verdict, Verdict::Violates(stale(0).as_str().into()));
    let steps = report.trace.map(|trace| trace.steps).unwrap_or_default();
    assert!(
        !steps.iter().any(|step| matches!(step.mov.action, Action::Drain(_))),
        "the store never left the buffer"
    );
}

/// The order of flush and store matters where flushes do not wait for the buffer.
#[test]
fn local_flush_waits_for_stores_under_tso_only() {
    let main: Main = |m| {
        m.leaf(0).store(0, Relaxed);
        hw::flush_page(0, 0, WalkCache::Keep);
        hw::free_frame(1);
    };
    holds(alone(), &[main]);
    let passed = verdict_under(Memory::Pso, alone(), &[main]);
    assert_eq!(passed, Verdict::Violates(stale(0).as_str().into()));
}

#[test]
fn broadcast_for_a_space_leaves_other_spaces_alone() {
    let two = || {
        Machine::builder(2)
            .spaces(2, 1)
            .tags(3)
            .translation(1, Some(0), true)
            .translation(2, Some(1), true)
            .cached(0, 1, 0, 1)
            .cached(0, 2, 0, 2)
    };
    fn enters(space: usize) {
        hw::install(Some(space), space as u8 + 1, Install::Keep);
        hw::user(true);
    }
    fn frees(frame: usize) {
        hw::broadcast(Whose::Space(0), Which::All);
        hw::free_frame(frame);
    }
    holds(two(), &[|_| enters(0), |_| frees(1)]);
    let message = "CPU 0 can still use page 0 of space B -> frame 2, which was freed (SD-8)";
    breaks(two(), &[|_| enters(1), |_| frees(2)], message);
}

/// One CPU in user mode in space A, whose pages 0 and 1 are a large leaf, which leads to frame 1.
fn large_leaf() -> Builder {
    Machine::builder(1).large(1, Some(0)).map(0, 0, 1).start(0, 0, 0, true)
}

#[test]
fn a_fence_for_one_address_drops_a_whole_leaf_but_not_all_its_splinters() {
    let one_page: Main = |m| unmap_and_free(m, || hw::flush_page(0, 1, WalkCache::Keep));
    let each_page: Main =
        |m| unmap_and_free(m, || (0..2).for_each(|page| hw::flush_page(0, page, WalkCache::Keep)));
    let broadcast: Main =
        |m| unmap_and_free(m, || hw::broadcast(Whose::Space(0), Which::Page(1, WalkCache::Keep)));
    for main in [one_page, each_page, broadcast] {
        holds(large_leaf(), &[main]);
    }
    holds(large_leaf().splintered_leaves(), &[each_page]);
    for main in [one_page, broadcast] {
        stale_on(0, large_leaf().splintered_leaves(), &[main]);
    }
}

#[test]
fn an_entry_of_a_large_leaf_serves_the_other_pages_of_its_table() {
    let not_flushed: Main = |m| {
        unmap(m);
        hw::unreachable(0, 1);
    };
    holds(alone(), &[not_flushed]);
    let message = "CPU 0 can still use page 1 of space A, which was unmapped (SD-8)";
    breaks(large_leaf(), &[not_flushed], message);
}

/// One CPU in user mode in space A, which maps nothing; it may keep that it found nothing.
fn absent() -> Builder {
    Machine::builder(1).translation(1, Some(0), true).link(0, 0).start(0, 0, 0, true).caches_absent()
}

#[test]
fn a_page_may_be_absent_for_a_cpu_until_it_has_flushed() {
    fn map_and_reach(m: &SmallMachine, flush: fn()) {
        m.leaf(0).store(1, Relaxed);
        flush();
        hw::reach(0);
    }
    let flushes: Main = |m| map_and_reach(m, || hw::flush_page(0, 0, WalkCache::Keep));
    let flushes_another: Main = |m| map_and_reach(m, || hw::flush_page(0, 1, WalkCache::Keep));
    let flushes_first: Main = |m| {
        hw::flush_page(0, 0, WalkCache::Keep);
        map_and_reach(m, || {});
    };
    let unmaps: Main = |m| {
        unmap(m);
        hw::flush_page(0, 0, WalkCache::Keep);
        hw::unreachable(0, 0);
    };
    holds(absent(), &[flushes]);
    holds(absent().map(0, 0, 1), &[|_| hw::reach(0)]);
    // That a page may be absent is no use of it.
    holds(absent().map(0, 0, 1), &[unmaps]);
    for main in [flushes_another, flushes_first] {
        breaks(absent(), &[main], "CPU 0 may find page 0 of space A absent (SD-4)");
    }
    misuses(pair(), &[|_| hw::reach(0), idle], "CPU 0: this machine cannot do this: reach page 0");
}

#[test]
fn an_empty_root_entry_makes_each_page_below_absent() {
    fn links(m: &SmallMachine, flush: fn()) {
        m.leaf(1).store(1, Relaxed);
        m.machine.tables.root(0, 0).store(1, Relaxed);
        flush();
        hw::reach(1);
    }
    let flushes: Main = |m| links(m, || hw::flush_page(0, 1, WalkCache::Drop));
    let unlinked = || Machine::builder(1).translation(1, Some(0), true).start(0, 0, 0, true).caches_absent();
    holds(unlinked(), &[flushes]);
    breaks(unlinked(), &[|m| links(m, || {})], "CPU 0 may find page 1 of space A absent (SD-4)");
}

#[test]
fn a_kernel_page_may_be_absent_on_cpus_that_were_not_flushed() {
    let kernel = || Machine::builder(2).kernel_pages(1).translation(1, None, true).caches_absent();
    fn map_and_tell(m: &SmallMachine, flush: fn()) {
        m.machine.tables.kernel(0).store(1, Relaxed);
        sync::fence(SeqCst);
        flush();
        m.word.store(1, SeqCst);
    }
    let here: Main = |m| map_and_tell(m, || hw::flush_kernel_page(0));
    let everywhere: Main = |m| {
        map_and_tell(m, || hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Keep)));
    };
    let reaches: Main = |m| {
        sync::wait_until(|| m.word.load(SeqCst) != 0);
        hw::reach_kernel(0);
    };
    holds(kernel(), &[everywhere, reaches]);
    breaks(kernel(), &[here, reaches], "CPU 1 may find kernel page 0 absent (SD-4)");
}

/// Values 1 and 2 lead to frame 1, clean and dirty; hardware exchanges one for the other.
fn marking(cpus: usize) -> Builder {
    Machine::builder(cpus)
        .translation(1, Some(0), true)
        .translation(1, Some(0), true)
        .marks_dirty(1, 2)
        .map(0, 0, 1)
}

/// Discards the frame if the entry was clean when it was taken out.
fn discard_if_clean(seen: u64) {
    if seen == 1 {
        hw::discard(1);
    }
}

#[test]
fn what_a_walker_has_marked_survives_an_edit_that_is_atomic() {
    let writes: Main = |m| {
        m.machine.write(0, 0);
    };
    let swaps: Main = |m| {
        let seen = m.leaf(0).swap(0, SeqCst);
        discard_if_clean(seen);
    };
    let reads_and_stores: Main = |m| {
        let entry = m.leaf(0);
        let seen = entry.load(Relaxed);
        entry.store(0, Relaxed);
        discard_if_clean(seen);
    };
    holds(marking(2), &[swaps, writes]);
    breaks(marking(2), &[reads_and_stores, writes], "CPU 0 discards frame 1, which was written (SD-8)");
}

#[test]
fn a_write_faults_where_hardware_does_not_mark() {
    let written: Main = |m| {
        assert!(m.machine.write(0, 0), "the entry can be marked");
        hw::discard(1);
    };
    let faults: Main = |m| {
        assert!(!m.machine.write(0, 0), "nothing marks this entry");
        hw::discard(1);
    };
    let unmarked = Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1);
    holds(unmarked, &[faults]);
    breaks(marking(1), &[written], "CPU 0 discards frame 1, which was written (SD-8)");
}

#[test]
fn an_entry_is_broken_before_one_that_conflicts_is_made() {
    let conflicting = || pair().conflict(1, 2);
    let breaks_first: Main = |m| {
        unmap(m);
        flush_all_cpus();
        m.leaf(0).store(2, Relaxed);
    };
    let makes: Main = |m| {
        m.leaf(0).store(2, SeqCst);
        flush_all_cpus();
    };
    let does_not_flush: Main = |m| {
        unmap(m);
        hw::flush_page(0, 0, WalkCache::Keep);
        m.leaf(0).store(2, SeqCst);
    };
    holds(conflicting(), &[breaks_first, idle]);
    holds(pair(), &[makes, idle]);
    breaks(conflicting(), &[makes, idle], "CPU 0 may hold page 0 by entries 1 and 2 at once (SD-4)");
    breaks(conflicting(), &[does_not_flush, idle], "CPU 1 may hold page 0 by entries 1 and 2 at once (SD-4)");
}

#[test]
fn a_large_leaf_conflicts_with_the_pages_that_it_is_split_into() {
    let split = || large_leaf().translation(1, Some(0), true).conflict(1, 2);
    let in_place: Main = |m| {
        m.leaf(1).store(2, Relaxed);
        m.leaf(0).store(2, Relaxed);
    };
    let broken_first: Main = |m| {
        unmap(m);
        hw::flush_page(0, 0, WalkCache::Keep);
        m.leaf(0).store(2, Relaxed);
        m.leaf(1).store(2, Relaxed);
    };
    holds(split(), &[broken_first]);
    breaks(split(), &[in_place], "CPU 0 may hold page 1 by entries 1 and 2 at once (SD-4)");
}
