use crate::hw::{self, Install, WalkCache, Which, Whose};
use crate::{Acknowledged, Builder, Machine, MaskWord, Program};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Action, Memory, Options, Registry, Report, Scenario, Verdict, explore};

type Main = fn(&SmallMachine);

/// A machine, what each CPU runs on it, and a word for them to talk through.
#[derive(Debug)]
struct SmallMachine {
    machine: Machine,
    mains: Vec<Main>,
    word: Word,
    mask: Option<Word>,
}

impl Program for SmallMachine {
    fn main(&self, cpu: usize) {
        self.mains[cpu](self);
    }
    fn mask(&self) -> Option<MaskWord<'_>> {
        self.mask.as_ref().map(|word| MaskWord { space: 0, word, first: 0 })
    }
}

fn run(builder: Builder, mains: &[Main], memory: Memory) -> Report {
    let mask = None;
    let word = Word::new("small_machine.word", 0);
    let model = builder.runs(|machine| SmallMachine { machine, mains: mains.to_vec(), word, mask });
    explore(&model, &Options { memory, workers: 1, ..Options::default() })
}

#[track_caller]
fn holds(builder: Builder, mains: &[Main]) {
    assert_eq!(run(builder, mains, Memory::Tso).verdict, Verdict::Holds);
}

#[track_caller]
fn breaks(builder: Builder, mains: &[Main], message: &str) {
    assert_eq!(run(builder, mains, Memory::Tso).verdict, Verdict::Violates(message.into()));
}

#[track_caller]
fn misuses(builder: Builder, mains: &[Main], message: &str) {
    let verdict = run(builder, mains, Memory::Tso).verdict;
    // Behind it stands what the machine has.
    let said = verdict.words().and_then(|words| words.split(" (it has ").next());
    assert!(matches!(verdict, Verdict::Misuses(_)) && said == Some(message), "{verdict:?}");
}

#[test]
fn a_broken_rule_is_told_in_numbers_too() {
    let frees: Main = |_| hw::free_frame(1);
    let Verdict::Violates(broken) = run(pair(), &[frees, idle], Memory::Tso).verdict else { panic!("holds") };
    assert_eq!((broken.rule, broken.page, broken.frame), (Some(8), Some(0), Some(1)), "{broken}");
}

fn idle(_: &SmallMachine) {}

/// Two CPUs in user mode in space A, where page 0 leads to frame 1; value 2 is the same, read-only.
fn pair() -> Builder {
    Machine::builder(2)
        .translation(1, Some(0), true)
        .translation(1, Some(0), false)
        .map(0, 0, 1)
        .start(0, 0, 0, true)
        .start(1, 0, 0, true)
}

fn unmap(small_machine: &SmallMachine) {
    small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
    sync::fence(SeqCst);
}

fn flush_all_cpus() {
    hw::broadcast(Whose::Tag(0), Which::All);
}

#[test]
fn freed_frame_must_be_out_of_every_tlb() {
    let flushed: Main = |small_machine| {
        unmap(small_machine);
        flush_all_cpus();
        hw::free_frame(1);
    };
    let only_here: Main = |small_machine| {
        unmap(small_machine);
        hw::flush_page(0, 0, WalkCache::Drop);
        hw::free_frame(1);
    };
    holds(pair(), &[flushed, idle]);
    let message = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    breaks(pair(), &[only_here, idle], message);
}

#[test]
fn flush_before_the_entry_is_gone_refills() {
    let too_early: Main = |small_machine| {
        flush_all_cpus();
        unmap(small_machine);
        hw::free_frame(1);
    };
    let message = "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    breaks(pair(), &[too_early, idle], message);
}

#[test]
fn revoked_translation_must_be_out_of_every_tlb() {
    let flushed: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(2, Relaxed);
        hw::broadcast(Whose::Tag(0), Which::Page(0, WalkCache::Keep));
        hw::revoke(1);
    };
    let not_flushed: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(2, Relaxed);
        hw::flush_page(0, 0, WalkCache::Keep);
        hw::revoke(1);
    };
    holds(pair(), &[flushed, idle]);
    let message = "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)";
    breaks(pair(), &[not_flushed, idle], message);
}

#[test]
fn unmapped_page_must_not_be_usable_until_it_is_mapped_again() {
    let unmapped: Main = |small_machine| {
        unmap(small_machine);
        flush_all_cpus();
        hw::unreachable(0, 0);
    };
    let back: Main = |small_machine| {
        unmap(small_machine);
        flush_all_cpus();
        hw::unreachable(0, 0);
        hw::mapped(0, 0);
        small_machine.machine.tables.leaf(0, 0).store(1, Relaxed);
    };
    let too_soon: Main = |small_machine| {
        unmap(small_machine);
        flush_all_cpus();
        hw::unreachable(0, 0);
        small_machine.machine.tables.leaf(0, 0).store(1, Relaxed);
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
    let keep: Main = |_| {
        hw::free_frame(1);
        hw::user(false);
        hw::install(Some(0), 1, Install::Keep);
        hw::user(true);
    };
    let flush: Main = |_| {
        hw::free_frame(1);
        hw::user(false);
        hw::install(Some(0), 1, Install::FlushTag);
        hw::user(true);
    };
    let lazy: Main = |_| {
        hw::free_frame(1);
        hw::user(false);
        hw::install(Some(0), 1, Install::Keep);
    };
    holds(tagged(), &[flush]);
    holds(tagged(), &[lazy]);
    let message = "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    breaks(tagged(), &[keep], message);
}

#[test]
fn untagged_machine_flushes_at_every_root_load() {
    let switch: Main = |small_machine| {
        hw::user(false);
        unmap(small_machine);
        hw::install(Some(0), 0, Install::Keep);
        hw::free_frame(1);
        hw::user(true);
    };
    let alone = Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true);
    holds(alone, &[switch]);
}

#[test]
fn freed_table_must_be_out_of_walk_caches_of_lazy_cpus_too() {
    let lazy_pair = || pair().start(1, 0, 0, false);
    let whole: Main = |small_machine| {
        small_machine.machine.tables.root(0, 0).store(0, Relaxed);
        unmap(small_machine);
        flush_all_cpus();
        hw::free_table(1);
    };
    let leaf_only: Main = |small_machine| {
        small_machine.machine.tables.root(0, 0).store(0, Relaxed);
        unmap(small_machine);
        hw::broadcast(Whose::Tag(0), Which::Page(0, WalkCache::Keep));
        hw::flush_tag(0);
        hw::free_table(1);
    };
    let linked: Main = |small_machine| {
        unmap(small_machine);
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
    let alone = || Machine::builder(1).start(0, 0, 0, false).must_free_root(0);
    holds(alone(), &[evicted]);
    breaks(alone(), &[loaded], "CPU 0 has the root of space A loaded, which was freed (SD-10)");
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
    let kernel = || Machine::builder(2).kernel_pages(1).translation(1, None, true).map_kernel(0, 1);
    let flushed: Main = |small_machine| {
        small_machine.machine.tables.kernel(0).store(0, Relaxed);
        hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Keep));
        hw::free_frame(1);
    };
    let only_here: Main = |small_machine| {
        small_machine.machine.tables.kernel(0).store(0, Relaxed);
        hw::flush_kernel_page(0);
        hw::flush_user();
        hw::free_frame(1);
    };
    holds(kernel(), &[flushed, idle]);
    let message = "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)";
    breaks(kernel(), &[only_here, idle], message);
}

#[test]
fn cpu_that_comes_online_has_until_its_first_root_load_to_flush() {
    let kernel = || Machine::builder(1).kernel_pages(1).translation(1, None, true).map_kernel(0, 1);
    let flushes: Main = |small_machine| {
        hw::offline();
        small_machine.machine.tables.kernel(0).store(0, SeqCst);
        sync::fence(SeqCst);
        hw::free_frame(1);
        hw::online();
        hw::flush_all();
        hw::install(None, 0, Install::Keep);
    };
    let forgets: Main = |small_machine| {
        hw::offline();
        small_machine.machine.tables.kernel(0).store(0, SeqCst);
        sync::fence(SeqCst);
        hw::free_frame(1);
        hw::online();
        hw::install(None, 0, Install::Keep);
    };
    holds(kernel(), &[flushes]);
    let message = "CPU 0 can still use kernel page 0 -> frame 1, which was freed (SD-8)";
    breaks(kernel(), &[forgets], message);
    let touches: Main = |_| {
        hw::offline();
        hw::flush_user();
    };
    misuses(kernel(), &[touches], "CPU 0 is offline: flush user");
}

#[test]
fn a_freed_kernel_table_must_be_out_of_every_walk_cache() {
    let kernel =
        || Machine::builder(2).kernel_pages(1).kernel_table().translation(1, None, true).map_kernel(0, 1);
    fn unhook(small_machine: &SmallMachine) {
        small_machine.machine.tables.kernel_link().store(0, Relaxed);
        sync::fence(SeqCst);
    }
    fn free(small_machine: &SmallMachine) {
        hw::free_table(small_machine.machine.tables.kernel_table());
    }
    let flushed: Main = |small_machine| {
        unhook(small_machine);
        hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Drop));
        free(small_machine);
    };
    let leaves_only: Main = |small_machine| {
        unhook(small_machine);
        hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Keep));
        free(small_machine);
    };
    let users_only: Main = |small_machine| {
        unhook(small_machine);
        hw::broadcast(Whose::Users, Which::All);
        free(small_machine);
    };
    let only_here: Main = |small_machine| {
        unhook(small_machine);
        hw::flush_kernel(0, WalkCache::Drop);
        free(small_machine);
    };
    let still_linked: Main = free;
    holds(kernel(), &[flushed, idle]);
    for main in [leaves_only, users_only] {
        breaks(kernel(), &[main, idle], "CPU 0 can still walk kernel table 2, which was freed (SD-7)");
    }
    breaks(kernel(), &[only_here, idle], "CPU 1 can still walk kernel table 2, which was freed (SD-7)");
    let message = "the kernel's root still points to table 2, which was freed (SD-7)";
    breaks(kernel(), &[still_linked, idle], message);
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
    let frees_the_table: Main = |small_machine| {
        hw::user(false);
        hw::offline();
        small_machine.machine.tables.root(0, 0).store(0, SeqCst);
        hw::free_table(1);
    };
    let machine = || Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true);
    holds(machine(), &[leaves]);
    breaks(machine(), &[stays], "CPU 0 has the root of space A loaded, which was freed (SD-10)");
    let message = "CPU 0 is off line but can still walk table 1 in space A, which was freed (SD-7)";
    breaks(machine(), &[frees_the_table], message);
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
        let machine = Machine::builder(1).kernel_pages(1).translation(1, None, true).map_kernel(0, 1).build();
        let words = (Word::new("generation", 0), Word::new("caught", 0));
        let arrival = Arrival { machine, generation: words.0, caught: words.1, flushes_first };
        explore(&arrival, &Options { workers: 1, ..Options::default() }).verdict
    };
    assert_eq!(run(true), Verdict::Holds);
    let message = "CPU 0 can still use kernel page 0 -> frame 1, which was freed (SD-8)";
    assert_eq!(run(false), Verdict::Violates(message.into()));
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
        let word = Word::new("small_machine.word", 0);
        let mains = vec![main];
        let model = Machine::builder(1).runs(|machine| SmallMachine { machine, mains, word, mask });
        explore(&model, &Options::default()).verdict
    };
    let in_order: Main = |small_machine| {
        small_machine.mask.as_ref().map(|mask| mask.fetch_or(1, SeqCst));
        hw::install(Some(0), 0, Install::Keep);
        hw::install(None, 0, Install::Keep);
        small_machine.mask.as_ref().map(|mask| mask.fetch_and(0, SeqCst));
    };
    let leaves_early: Main = |small_machine| {
        small_machine.mask.as_ref().map(|mask| mask.fetch_or(1, SeqCst));
        hw::install(Some(0), 0, Install::Keep);
        small_machine.mask.as_ref().map(|mask| mask.fetch_and(0, SeqCst));
        hw::install(None, 0, Install::Keep);
    };
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
    let hasty: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
        if small_machine.word.load(Relaxed) == 0 {
            hw::free_frame(1);
        }
    };
    let careful: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        if small_machine.word.load(Relaxed) == 0 {
            hw::free_frame(1);
        }
    };
    let arrives: Main = |small_machine| {
        small_machine.word.swap(1, SeqCst);
        hw::install(Some(0), 0, Install::FlushAll);
        hw::user(true);
    };
    let verdict = |main, memory| run(machine(), &[main, arrives], memory).verdict;
    let message = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    assert_eq!(verdict(hasty, Memory::Sc), Verdict::Holds);
    assert_eq!(verdict(hasty, Memory::Tso), Verdict::Violates(message.into()));
    assert_eq!(verdict(careful, Memory::Tso), Verdict::Holds);
    assert_eq!(verdict(careful, Memory::Pso), Verdict::Holds);
}

#[test]
fn walker_reads_its_own_cpus_store_buffer() {
    let machine = Machine::builder(1).translation(1, Some(0), true).link(0, 0).start(0, 0, 0, true);
    let main: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(1, Relaxed);
        hw::free_frame(1);
    };
    let report = run(machine, &[main], Memory::Tso);
    let message = "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    assert_eq!(report.verdict, Verdict::Violates(message.into()));
    let steps = report.trace.map(|trace| trace.steps).unwrap_or_default();
    assert!(
        !steps.iter().any(|step| matches!(step.mov.action, Action::Drain(_))),
        "the store never left the buffer"
    );
}

/// The order of flush and store matters where flushes do not wait for the buffer.
#[test]
fn local_flush_waits_for_stores_under_tso_only() {
    let machine = || Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true);
    let main: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 0).store(0, Relaxed);
        hw::flush_page(0, 0, WalkCache::Keep);
        hw::free_frame(1);
    };
    let message = "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    assert_eq!(run(machine(), &[main], Memory::Tso).verdict, Verdict::Holds);
    assert_eq!(run(machine(), &[main], Memory::Pso).verdict, Verdict::Violates(message.into()));
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
    let first: Main = |_| {
        hw::install(Some(0), 1, Install::Keep);
        hw::user(true);
    };
    let second: Main = |_| {
        hw::install(Some(1), 2, Install::Keep);
        hw::user(true);
    };
    let frees_first: Main = |_| {
        hw::broadcast(Whose::Space(0), Which::All);
        hw::free_frame(1);
    };
    let frees_second: Main = |_| {
        hw::broadcast(Whose::Space(0), Which::All);
        hw::free_frame(2);
    };
    holds(two(), &[first, frees_first]);
    let message = "CPU 0 can still use page 0 of space B -> frame 2, which was freed (SD-8)";
    breaks(two(), &[second, frees_second], message);
}

#[test]
fn operations_survive_their_encoding() {
    use crate::hw::Op;
    for op in [
        Op::FlushOn { cpu: 7, whose: Whose::Space(3), which: Which::Page(2, WalkCache::Drop) },
        Op::Running { on: false },
        Op::Install { space: None, tag: 0, how: Install::FlushAll },
        Op::Install { space: Some(3), tag: 3, how: Install::Keep },
        Op::FlushPage { tag: 2, page: 3, walk: WalkCache::Drop },
        Op::Broadcast { whose: Whose::Space(2), which: Which::Page(1, WalkCache::Keep) },
        Op::Broadcast { whose: Whose::Kernel, which: Which::All },
        Op::Broadcast { whose: Whose::Tag(3), which: Which::Page(2, WalkCache::Drop) },
        Op::User { on: true },
        Op::Insert { tag: 3, page: 3, value: 15 },
        Op::FreeTable { table: 8 },
        Op::Unreachable { space: 3, page: 3 },
        Op::Teardown { space: 2 },
        Op::Reach { page: 3 },
        Op::ReachKernel { page: 1 },
        Op::Wrote { frame: 15 },
        Op::Discard { frame: 15 },
    ] {
        assert_eq!(Op::decode(op.encode()), Some(op));
    }
    assert_eq!(Op::decode(0), None);
}

/// One CPU in user mode in space A, whose pages 0 and 1 are a large leaf, which leads to frame 1.
fn large_leaf() -> Builder {
    Machine::builder(1).large(1, Some(0)).map(0, 0, 1).start(0, 0, 0, true)
}

#[test]
fn a_fence_for_one_address_drops_a_whole_leaf_but_not_all_its_splinters() {
    let one_page: Main = |small_machine| {
        unmap(small_machine);
        hw::flush_page(0, 1, WalkCache::Keep);
        hw::free_frame(1);
    };
    let each_page: Main = |small_machine| {
        unmap(small_machine);
        (0..2).for_each(|page| hw::flush_page(0, page, WalkCache::Keep));
        hw::free_frame(1);
    };
    let broadcast: Main = |small_machine| {
        unmap(small_machine);
        hw::broadcast(Whose::Space(0), Which::Page(1, WalkCache::Keep));
        hw::free_frame(1);
    };
    for main in [one_page, each_page, broadcast] {
        holds(large_leaf(), &[main]);
    }
    holds(large_leaf().splintered_leaves(), &[each_page]);
    let message = "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)";
    for main in [one_page, broadcast] {
        breaks(large_leaf().splintered_leaves(), &[main], message);
    }
}

#[test]
fn an_entry_of_a_large_leaf_serves_the_other_pages_of_its_table() {
    let not_flushed: Main = |small_machine| {
        unmap(small_machine);
        hw::unreachable(0, 1);
    };
    let small = Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true);
    holds(small, &[not_flushed]);
    let message = "CPU 0 can still use page 1 of space A, which was unmapped (SD-8)";
    breaks(large_leaf(), &[not_flushed], message);
}

/// One CPU in user mode in space A, which maps nothing; it may keep that it found nothing.
fn absent() -> Builder {
    Machine::builder(1).translation(1, Some(0), true).link(0, 0).start(0, 0, 0, true).caches_absent()
}

#[test]
fn a_page_may_be_absent_for_a_cpu_until_it_has_flushed() {
    fn map(small_machine: &SmallMachine) {
        small_machine.machine.tables.leaf(0, 0).store(1, Relaxed);
    }
    let flushes: Main = |small_machine| {
        map(small_machine);
        hw::flush_page(0, 0, WalkCache::Keep);
        hw::reach(0);
    };
    let flushes_another: Main = |small_machine| {
        map(small_machine);
        hw::flush_page(0, 1, WalkCache::Keep);
        hw::reach(0);
    };
    let flushes_first: Main = |small_machine| {
        hw::flush_page(0, 0, WalkCache::Keep);
        map(small_machine);
        hw::reach(0);
    };
    let unmaps: Main = |small_machine| {
        unmap(small_machine);
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
    let links: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 1).store(1, Relaxed);
        small_machine.machine.tables.root(0, 0).store(1, Relaxed);
        hw::reach(1);
    };
    let links_and_flushes: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 1).store(1, Relaxed);
        small_machine.machine.tables.root(0, 0).store(1, Relaxed);
        hw::flush_page(0, 1, WalkCache::Drop);
        hw::reach(1);
    };
    let unlinked = || Machine::builder(1).translation(1, Some(0), true).start(0, 0, 0, true).caches_absent();
    holds(unlinked(), &[links_and_flushes]);
    breaks(unlinked(), &[links], "CPU 0 may find page 1 of space A absent (SD-4)");
}

#[test]
fn a_kernel_page_may_be_absent_on_cpus_that_were_not_flushed() {
    let kernel = || Machine::builder(2).kernel_pages(1).translation(1, None, true).caches_absent();
    fn map_and_tell(small_machine: &SmallMachine, flush: fn()) {
        small_machine.machine.tables.kernel(0).store(1, Relaxed);
        sync::fence(SeqCst);
        flush();
        small_machine.word.store(1, SeqCst);
    }
    let here: Main = |small_machine| map_and_tell(small_machine, || hw::flush_kernel_page(0));
    let everywhere: Main = |small_machine| {
        map_and_tell(small_machine, || hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Keep)));
    };
    let reaches: Main = |small_machine| {
        sync::wait_until(|| small_machine.word.load(SeqCst) != 0);
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
    let writes: Main = |small_machine| {
        small_machine.machine.write(0, 0);
    };
    let swaps: Main = |small_machine| {
        let seen = small_machine.machine.tables.leaf(0, 0).swap(0, SeqCst);
        discard_if_clean(seen);
    };
    let reads_and_stores: Main = |small_machine| {
        let entry = small_machine.machine.tables.leaf(0, 0);
        let seen = entry.load(Relaxed);
        entry.store(0, Relaxed);
        discard_if_clean(seen);
    };
    holds(marking(2), &[swaps, writes]);
    breaks(marking(2), &[reads_and_stores, writes], "CPU 0 discards frame 1, which was written (SD-8)");
}

#[test]
fn a_write_faults_where_hardware_does_not_mark() {
    let written: Main = |small_machine| {
        assert!(small_machine.machine.write(0, 0), "the entry can be marked");
        hw::discard(1);
    };
    let faults: Main = |small_machine| {
        assert!(!small_machine.machine.write(0, 0), "nothing marks this entry");
        hw::discard(1);
    };
    let unmarked = Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1);
    holds(unmarked, &[faults]);
    breaks(marking(1), &[written], "CPU 0 discards frame 1, which was written (SD-8)");
}

#[test]
fn an_entry_is_broken_before_one_that_conflicts_is_made() {
    let conflicting = || pair().conflict(1, 2);
    fn entry(small_machine: &SmallMachine) -> &Word {
        small_machine.machine.tables.leaf(0, 0)
    }
    let breaks_first: Main = |small_machine| {
        unmap(small_machine);
        flush_all_cpus();
        entry(small_machine).store(2, Relaxed);
    };
    let makes: Main = |small_machine| {
        entry(small_machine).store(2, SeqCst);
        flush_all_cpus();
    };
    let does_not_flush: Main = |small_machine| {
        unmap(small_machine);
        hw::flush_page(0, 0, WalkCache::Keep);
        entry(small_machine).store(2, SeqCst);
    };
    holds(conflicting(), &[breaks_first, idle]);
    holds(pair(), &[makes, idle]);
    breaks(conflicting(), &[makes, idle], "CPU 0 may hold page 0 by entries 1 and 2 at once (SD-4)");
    breaks(conflicting(), &[does_not_flush, idle], "CPU 1 may hold page 0 by entries 1 and 2 at once (SD-4)");
}

#[test]
fn a_large_leaf_conflicts_with_the_pages_that_it_is_split_into() {
    let split = || large_leaf().translation(1, Some(0), true).conflict(1, 2);
    let in_place: Main = |small_machine| {
        small_machine.machine.tables.leaf(0, 1).store(2, Relaxed);
        small_machine.machine.tables.leaf(0, 0).store(2, Relaxed);
    };
    let broken_first: Main = |small_machine| {
        unmap(small_machine);
        hw::flush_page(0, 0, WalkCache::Keep);
        small_machine.machine.tables.leaf(0, 0).store(2, Relaxed);
        small_machine.machine.tables.leaf(0, 1).store(2, Relaxed);
    };
    holds(split(), &[broken_first]);
    breaks(split(), &[in_place], "CPU 0 may hold page 1 by entries 1 and 2 at once (SD-4)");
}
