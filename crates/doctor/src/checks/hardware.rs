//! Checks of what a flush drops, and of which root is loaded.

use super::check::{Check, is_tagged, no_barriers, no_loads, tags};
use crate::cpu::Cpu;
use crate::plan::{Code, Plan, Start};
use crate::sim::{Profile, Sim, USER_HALF, tag};
use crate::size::Layout;
use crate::world::{PlatformUnderTest, frame, kernel_frame, note, root};
use shootdown::flush::{FlushRequest, LocalFlush};
use shootdown::ports::{Entries, Ports as _};
use shootdown::tags::{OnInstall, Tag};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, Install};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

const ONE: &[Memory] = &[Memory::Tso];
const DROPS: &str = "and waits until that is complete.";
const LOADS: &str = "Loads a root, or for `None` one that maps kernel memory alone.";

pub(super) fn checks<P: PlatformUnderTest>() -> Vec<Check<P>> {
    let mut checks = drops();
    checks.extend(tag_drops());
    checks.extend(kernel_drops());
    checks.extend(whole_drops());
    checks.push(each_time());
    checks.extend(roots());
    checks.push(freed());
    checks.push(leaves());
    checks
}

/// A check on what `flush_local` drops.
fn drop_check<P: PlatformUnderTest>(
    name: &'static str,
    [about, clause, remedy]: [&'static str; 3],
    needs: &'static [&'static str],
    plan: fn() -> Plan<P>,
) -> Check<P> {
    Check {
        name,
        about,
        method: "flush_local",
        clause,
        remedy,
        hang: None,
        needs,
        memories: ONE,
        unneeded: None,
        plan,
    }
}

/// Pages of one space.
fn drops<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        drop_check(
            "flush-pages",
            [
                "pages are dropped, one to many, of the space that is loaded and of one that is not",
                "these pages under the tag",
                "drop every page of the range, each by its own address, under the tag in the request: it may be that of a \
                 space that is not loaded",
            ],
            &[],
            || one_cpu(pages::<P>),
        ),
        drop_check(
            "flush-large",
            [
                "pages of 2 MiB are dropped",
                "these pages under the tag",
                "step by range.size().bytes(): the pages of a range may be large",
            ],
            &["flush-pages"],
            || one_cpu(large::<P>),
        ),
        drop_check(
            "flush-tables",
            [
                "pages are dropped whose table page was freed",
                "whatever the walker caches of that tag too",
                "where the request frees tables use the form for all levels, or drop the whole tag; a last-level \
                 drop leaves the walker's cached upper levels, and they lead to a freed table",
            ],
            &["flush-pages"],
            || one_cpu(tables::<P>),
        ),
    ]
}

/// All of one space.
fn tag_drops<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        drop_check(
            "flush-tag",
            [
                "all of a tag is dropped",
                "everything under the tag, walk caches included",
                "drop by tag, or everything",
            ],
            &[],
            || one_cpu(whole_tag::<P>),
        ),
        Check {
            unneeded: (!P::USER_HALVES).then_some("a space runs under one tag (USER_HALVES)"),
            ..drop_check(
                "flush-halves",
                [
                    "pages, tables and a tag are dropped of a space that runs under the tag of its user half",
                    "these pages under the tag",
                    "a space with a root for user mode has two tags: drop under both",
                ],
                &["flush-pages", "flush-tables", "flush-tag"],
                || one_cpu(halves::<P>),
            )
        },
    ]
}

/// Pages of kernel memory.
fn kernel_drops<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        drop_check(
            "flush-kernel",
            [
                "pages of kernel memory are dropped, many or of 2 MiB too",
                "these pages of kernel memory, under all tags",
                "kernel memory is cached under every tag and as global entries: use the form that reaches all of them, for every \
                 page of the range, by steps of range.size().bytes(), or drop everything",
            ],
            &[],
            || Plan { kernel_pages: 2, ..one_cpu(kernel::<P>) },
        ),
        drop_check(
            "flush-kernel-tables",
            [
                "pages of kernel memory are dropped whose table page was freed",
                "where tables are freed, walk caches too.",
                "where the request frees tables use the form for all levels, or drop everything: every walker has the kernel's \
                 tables",
            ],
            &["flush-kernel", "flush-tables"],
            || Plan { kernel_pages: 2, kernel_table: true, ..one_cpu(kernel_tables::<P>) },
        ),
    ]
}

/// Everything, and when it is gone.
fn whole_drops<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        drop_check(
            "flush-everything",
            [
                "everything is dropped: two spaces, and kernel memory",
                "everything, global entries included",
                "reloading a root keeps global entries and other tags: toggle CR4.PGE, INVPCID type 2, TLBI VMALLE1, \
                 sfence.vma without operands",
            ],
            &[],
            || Plan { kernel_pages: 1, ..one_cpu(everything::<P>) },
        ),
        Check {
            unneeded: no_barriers::<P>(),
            ..drop_check(
                "flush-complete",
                [
                    "drops take effect only when they are waited for",
                    DROPS,
                    "wait before returning (aarch64: dsb nsh; isb); the engine acknowledges the flush as soon as \
                     flush_local() is back, and the frame is then reused",
                ],
                &["flush-pages", "flush-tables", "flush-tag", "flush-kernel", "flush-everything"],
                || {
                    let profile = Profile { late: true, ..Profile::PLAIN };
                    let drops: Code<P> = |cpu| match sync::choose(5) {
                        0 => pages(cpu),
                        1 => tables(cpu),
                        2 => whole_tag(cpu),
                        3 => kernel(cpu),
                        _ => everything(cpu),
                    };
                    Plan { profile, kernel_pages: 2, ..one_cpu(drops) }
                },
            )
        },
    ]
}

/// What a platform keeps for each CPU, or from one call to the next, is not seen in one call on one CPU.
fn each_time<P: PlatformUnderTest>() -> Check<P> {
    drop_check(
        "flush-each-time",
        [
            "each of three CPUs drops a page, a tag and kernel memory, for the second time",
            "Drops translations of this CPU",
            "drop what is asked on every CPU and at every call, whatever was dropped before and whatever other CPUs drop",
        ],
        &["cpu", "local", "irq-save", "irq-restore", "flush-pages", "flush-tag", "flush-kernel"],
        || {
            let drops: Code<P> = |cpu| twice(cpu);
            Plan { kernel_pages: 1, masks: false, ..Plan::new(vec![(Start::Kernel, drops); 3]) }
        },
    )
}

fn roots<P: PlatformUnderTest>() -> Vec<Check<P>> {
    let check = |name, about, clause, remedy, needs, plan| Check {
        name,
        about,
        method: "install",
        clause,
        remedy,
        hang: None,
        needs,
        memories: ONE,
        unneeded: no_loads::<P>(),
        plan,
    };
    vec![
        check(
            "install-root",
            "roots of two spaces are loaded, then none, on each of three CPUs",
            LOADS,
            "write the root in the argument, under the tag in the argument; for None the kernel's own root, so that the space's \
             can be freed",
            &[],
            (|| {
                let profile = Profile { registers: true, ..Profile::PLAIN };
                let loads: Code<P> = |cpu| loads(cpu);
                Plan { profile, cpus: vec![(Start::Kernel, loads); 3], ..one_cpu(loads) }
            }) as fn() -> Plan<P>,
        ),
        check(
            "install-flush",
            "a tag that another space had, or this one, is loaded with Flush",
            "They are dropped. On hardware without tags every install does this.",
            "with OnInstall::Flush drop the tag's entries: they are another space's, or old",
            &["install-root"],
            || one_cpu(reuses::<P>),
        ),
        check(
            "install-order",
            "a tag under which the walker caches a freed table is loaded with Flush",
            "no entry under `tag` belongs to another space or to an older state of this one",
            "drop the tag's entries before the root is loaded, or in the same write: in between, the walker uses the new root \
             and what it cached, and follows it into a freed table (Xen's XSA-292)",
            &["install-root", "install-flush"],
            || one_cpu(reloads::<P>),
        ),
        Check {
            unneeded: no_loads::<P>().or(no_barriers::<P>()),
            ..check(
                "install-complete",
                "a root write takes effect at once, or only when it is waited for",
                "are complete on return: no access of this CPU uses a dropped translation afterwards",
                "wait before returning (aarch64: isb; riscv64: sfence.vma): the engine takes this CPU out of the old space's \
                 mask, and its root may be freed while it is still in force",
                &["install-root"],
                || {
                    let profile = Profile { late: true, registers: true, ..Profile::PLAIN };
                    Plan { profile, ..one_cpu(loads::<P>) }
                },
            )
        },
    ]
}

/// A root that nobody uses any more.
fn freed<P: PlatformUnderTest>() -> Check<P> {
    Check {
        name: "root-freed",
        about: "the root of the second of two spaces is given back",
        method: "free_root",
        clause: "Frees the tables of a root: nobody refers to the space and no CPU has it loaded.",
        remedy: "give back the top table of the space in the argument, once",
        hang: None,
        needs: &[],
        memories: ONE,
        unneeded: no_loads::<P>(),
        plan: || {
            let frees: Code<P> = |cpu| {
                cpu.machine().tables.root(1, 0).store(0, Relaxed);
                sync::fence(SeqCst);
                (0..2).for_each(|page| hw::free_frame(frame(1, page)));
                hw::free_table(2);
                // SAFETY: 1. none has, and none will.
                unsafe { cpu.platform().free_root(cpu.space(1)) };
            };
            Plan { die: &[1], ..one_cpu(frees) }
        },
    }
}

/// The root that a kernel leaves a space for, where it loads its roots itself.
fn leaves<P: PlatformUnderTest>() -> Check<P> {
    Check {
        name: "unload",
        about: "a CPU that runs on a space's root leaves it, and a root write may take its time",
        method: "unload",
        clause: LOADS,
        hang: None,
        remedy: "write the kernel's own root and wait for it: the space's may be freed as soon as unload() is back",
        needs: &["irq-save"],
        memories: ONE,
        unneeded: (!P::UNLOADS)
            .then_some("kernel code runs on the kernel's root alone, or the engine loads it (UNLOADS)"),
        plan: || {
            let profile = Profile { late: true, registers: true, watches_context: true, ..Profile::PLAIN };
            Plan { profile, ..one_cpu(unloads::<P>) }
        },
    }
}

fn one_cpu<P: PlatformUnderTest>(code: Code<P>) -> Plan<P> {
    Plan { spaces: 2, masks: false, ..Plan::new(vec![(Start::Kernel, code)]) }
}

/// Has the platform drop something, as the engine does: with interrupts off.
fn flush<P: PlatformUnderTest>(cpu: &Cpu<'_, P>, what: LocalFlush) {
    let were_on = sync::irq_save();
    // SAFETY: 1. they are off.
    unsafe { cpu.platform().flush_local(what) };
    sync::irq_restore(were_on);
}

/// Has the platform load a root, as the engine does.
fn install<P: PlatformUnderTest>(cpu: &Cpu<'_, P>, space: Option<usize>, tag: u8, how: OnInstall) {
    let were_on = sync::irq_save();
    // SAFETY: 1. they are off; 2. nothing is freed here that is loaded; 3. that is what the checks are about.
    unsafe { cpu.platform().install(space.map(root::<P>), Tag::new(tag.into()), how) };
    sync::irq_restore(were_on);
}

/// Clears both entries of space A's table if `pages` has them.
fn clear<P: PlatformUnderTest>(cpu: &Cpu<'_, P>, pages: &[usize]) {
    pages.iter().for_each(|&page| cpu.machine().tables.leaf(0, page).store(0, Relaxed));
    sync::fence(SeqCst);
}

fn free_frames(pages: &[usize]) {
    note("the frames are reused, and user code runs");
    pages.iter().for_each(|&page| hw::free_frame(frame(0, page)));
}

/// Space A is loaded under a tag and used; then, if the platform has tags, it may be left for another.
fn begin<P: PlatformUnderTest>(other_loaded: bool) -> Tag {
    note("space A runs");
    let [tag, other] = tags::<P>();
    hw::install(Some(0), tag, Install::FlushTag);
    if other_loaded {
        note("space B runs");
        hw::install(Some(1), other, Install::FlushTag);
    }
    Tag::new(tag.into())
}

/// Space A runs user code, with whatever is left under its tag.
fn end<P: PlatformUnderTest>(other_loaded: bool) {
    if other_loaded {
        hw::install(Some(0), tags::<P>()[0], Install::Keep);
    }
    hw::user(true);
}

fn other_loaded<P: PlatformUnderTest>() -> bool {
    is_tagged::<P>() && sync::choose(2) == 1
}

fn pages<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let other = other_loaded::<P>();
    let tag = begin::<P>(other);
    let (gone, range, what): (&[usize], _, _) = match sync::choose(4) {
        0 => (&[0], cpu.range(0), "flush_local of page 0"),
        1 => (&[1], cpu.range(1), "flush_local of page 1"),
        2 => (&[0, 1], cpu.both(), "flush_local of two pages"),
        _ => (&[0, 1], cpu.pages(Layout::Ends), "flush_local of many pages"),
    };
    clear(cpu, gone);
    note(what);
    flush(cpu, LocalFlush { tag: Some(tag), request: FlushRequest::pages(range) });
    free_frames(gone);
    end::<P>(other);
}

fn twice<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let tag = begin::<P>(false);
    let tables = &cpu.machine().tables;
    for (entry, frame, tag, request) in [
        (tables.leaf(0, 0), frame(0, 0), Some(tag), FlushRequest::pages(cpu.range(0))),
        (tables.leaf(0, 1), frame(0, 1), Some(tag), FlushRequest::all()),
        (tables.kernel(0), kernel_frame(0), None, FlushRequest::pages(cpu.kernel_pages(Layout::Pair))),
    ] {
        note("flush_local");
        flush(cpu, LocalFlush { tag, request });
        cpu.wires().meet(cpu.id);
        if cpu.id == 0 {
            entry.store(0, Relaxed);
            sync::fence(SeqCst);
        }
        cpu.wires().meet(cpu.id);
        note("flush_local, again");
        flush(cpu, LocalFlush { tag, request });
        hw::user(true);
        cpu.wires().meet(cpu.id);
        if cpu.id == 0 {
            note("all have flushed, and the frame is reused");
            hw::free_frame(frame);
        }
        hw::user(false);
    }
}

fn large<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let tag = begin::<P>(false);
    clear(cpu, &[0, 1]);
    let range = cpu.pages(Layout::Large);
    note("flush_local of two pages of 2 MiB");
    flush(cpu, LocalFlush { tag: Some(tag), request: FlushRequest::pages(range) });
    free_frames(&[0, 1]);
    end::<P>(false);
}

/// Unhooks the table of space A.
fn unhook<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    cpu.machine().tables.root(0, 0).store(0, Relaxed);
    clear(cpu, &[0, 1]);
}

fn tables<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let other = other_loaded::<P>();
    let tag = begin::<P>(other);
    unhook(cpu);
    note("flush_local, tables freed");
    flush(cpu, LocalFlush { tag: Some(tag), request: FlushRequest::pages(cpu.both()).tables_freed() });
    free_frames(&[0, 1]);
    hw::free_table(1);
    end::<P>(other);
}

fn whole_tag<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let other = other_loaded::<P>();
    let tag = begin::<P>(other);
    unhook(cpu);
    note("flush_local of the tag");
    flush(cpu, LocalFlush { tag: Some(tag), request: FlushRequest::all() });
    free_frames(&[0, 1]);
    hw::free_table(1);
    end::<P>(other);
}

fn halves<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let number = u16::from(tags::<P>()[0]);
    note("the user half of space A runs");
    hw::install(Some(0), tag(number | USER_HALF), Install::FlushTag);
    unhook(cpu);
    let both = FlushRequest::pages(cpu.both());
    let (request, freed, what) = [
        (FlushRequest::all(), true, "flush_local of its tag"),
        (both.tables_freed(), true, "flush_local of its pages, tables freed"),
        (both, false, "flush_local of its pages"),
    ][sync::choose(3) as usize];
    note(what);
    flush(cpu, LocalFlush { tag: Some(Tag::new(number)), request });
    free_frames(&[0, 1]);
    if freed {
        hw::free_table(1);
    }
    hw::user(true);
}

fn kernel<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    begin::<P>(false);
    for page in [0, 1] {
        cpu.machine().tables.kernel(page).store(0, Relaxed);
    }
    sync::fence(SeqCst);
    let (layout, what) = [
        (Layout::Pair, "flush_local of two kernel pages"),
        (Layout::Ends, "flush_local of many kernel pages"),
        (Layout::Large, "flush_local of two kernel pages of 2 MiB"),
    ][sync::choose(3) as usize];
    note(what);
    flush(cpu, LocalFlush { tag: None, request: FlushRequest::pages(cpu.kernel_pages(layout)) });
    note("the frames are reused");
    hw::free_frame(kernel_frame(0));
    hw::free_frame(kernel_frame(1));
}

fn kernel_tables<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    begin::<P>(false);
    cpu.machine().tables.kernel_link().store(0, Relaxed);
    sync::fence(SeqCst);
    note("flush_local of kernel pages, tables freed");
    flush(
        cpu,
        LocalFlush { tag: None, request: FlushRequest::pages(cpu.kernel_pages(Layout::Pair)).tables_freed() },
    );
    note("the frames and the table are reused");
    hw::free_frame(kernel_frame(0));
    hw::free_frame(kernel_frame(1));
    hw::free_table(cpu.machine().tables.kernel_table());
}

fn everything<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let other = is_tagged::<P>();
    begin::<P>(other);
    cpu.machine().tables.kernel(0).store(0, Relaxed);
    unhook(cpu);
    note("flush_local of everything");
    flush(cpu, LocalFlush::EVERYTHING);
    hw::free_frame(kernel_frame(0));
    free_frames(&[0, 1]);
    end::<P>(other);
}

fn loads<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let [tag, other] = tags::<P>();
    for (space, tag, how, what) in [
        (Some(0), tag, OnInstall::Flush, "install the root of space A, Flush"),
        (Some(1), other, OnInstall::Flush, "install the root of space B, Flush"),
        (Some(0), tag, OnInstall::Keep, "install the root of space A, Keep"),
        (None, 0, OnInstall::Keep, "install no root"),
    ] {
        note(what);
        install(cpu, space, tag, how);
        let right = cpu.wires().holds(space, tag.into());
        assert!(right, "after `{what}` the CPU runs on {}", cpu.wires().register());
    }
}

fn unloads<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    note("space A runs");
    let sim = Sim(cpu.wires());
    sim.write_root(Sim::root_of(0), tags::<P>()[0].into(), Entries::Dropped);
    sim.complete();
    note("unload");
    // SAFETY: 1. they are off, and no user code follows.
    cpu.wires().with_interrupts_off(|| unsafe { cpu.platform().unload() });
    assert!(cpu.wires().holds(None, 0), "after `unload` the CPU runs on {}", cpu.wires().register());
}

/// Leaves the space that runs. With tags its entries stay; without tags the platform's own load must drop them.
fn leave<P: PlatformUnderTest>(cpu: &Cpu<'_, P>, tag: u8) {
    if is_tagged::<P>() {
        hw::install(None, tag, Install::Keep);
    } else {
        install(cpu, None, tag, OnInstall::Keep);
    }
}

/// A tag is loaded with Flush that another space had, or that this one had already.
fn reuses<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let [tag, _] = tags::<P>();
    if sync::choose(2) == 1 {
        return again(cpu, tag);
    }
    note("space B runs");
    hw::install(Some(1), tag, Install::FlushTag);
    leave(cpu, tag);
    note("install the root of space A, Flush");
    install(cpu, Some(0), tag, OnInstall::Flush);
    note("user code runs");
    hw::user(true);
}

fn again<P: PlatformUnderTest>(cpu: &Cpu<'_, P>, tag: u8) {
    note("install the root of space A, Flush");
    install(cpu, Some(0), tag, OnInstall::Flush);
    clear(cpu, &[0]);
    note("install the root of space A again, Flush");
    install(cpu, Some(0), tag, OnInstall::Flush);
    free_frames(&[0]);
    hw::user(true);
}

fn reloads<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let [tag, _] = tags::<P>();
    note("space A runs, and is left");
    hw::install(Some(0), tag, Install::FlushTag);
    leave(cpu, tag);
    note("its table is freed");
    unhook(cpu);
    hw::free_table(1);
    note("install the root of space A, Flush");
    install(cpu, Some(0), tag, OnInstall::Flush);
    note("user code runs");
    hw::user(true);
}
