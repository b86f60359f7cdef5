//! What orders page walks and flushes against accesses under weak memory. For aarch64: the facts that herd7 computes
//! from Arm's model (catalogue `aarch64-VMSA`, without FEAT_ETS2), as far as the machine can say them. "The old
//! translation may be used" is asked by declaring it dead.
//!
//! The machine does not say: a broadcast that is not complete on return (row 14: [`HardwareOrder::Barriers`] says what
//! stands for it), barriers for loads or stores alone (rows 12 to 14, 37, 42: none stands for the wrong one), a fault
//! by a walk that missed a new entry (1 to 7, 18 to 30: not mapped yet is no danger), accesses that pass accesses (31,
//! 47, 53), hardware's own updates of entries under this model (54 to 59).

use super::common::{Main, SmallMachine, verdict_under};
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use shootdown_explore::sync::Word;
use shootdown_explore::{Memory, Options, Verdict};
use shootdown_model::HardwareOrder::{self, Barriers, Flushes};
use shootdown_model::hw::{self, WalkCache, Which, Whose};
use shootdown_model::{Builder, Machine, Program, run};

/// The translations: page 0 leads through the first to the old frame, through the second to the new one.
const OLD: u64 = 1;
const NEW: u64 = 2;

/// CPUs that have no root loaded, and a last one that runs user code of the space.
fn machine(cpus: usize, order: HardwareOrder, first: u64) -> Builder {
    let machine = Machine::builder(cpus)
        .order(order)
        .translation(1, Some(0), true)
        .translation(2, Some(0), true)
        .link(0, 0)
        .start(cpus - 1, 0, 0, true);
    if first == 0 { machine } else { machine.map(0, 0, first) }
}

/// Whether an execution uses what is dead.
fn goes_wrong(builder: Builder, mains: &[Main]) -> bool {
    is_wrong(verdict_under(Memory::Weak, builder, mains))
}

fn is_wrong(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Holds => false,
        Verdict::Violates(_) => true,
        other => panic!("{other:?}"),
    }
}

fn write(m: &SmallMachine, value: u64) {
    m.leaf(0).store(value, Relaxed);
}

fn clears_and_tells(m: &SmallMachine) {
    write(m, 0);
    m.tell(1);
}

const PAGE: Which = Which::Page(0, WalkCache::Drop);
const OTHER_PAGE: Which = Which::Page(1, WalkCache::Keep);

/// A step of a CPU.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Writes the entry.
    Write(u64),
    Dsb,
    /// Flushes the page on this CPU.
    Flush,
    Broadcast(Which),
    /// Raises the flag, as release.
    Tell,
    /// Goes on if it sees the flag, as acquire.
    IfTold,
    /// Goes on if the entry has this value.
    IfReads(u64),
    /// Declares the old translation dead.
    Revoke,
}
use Step::*;

const CLEARS: &[Step] = &[Write(0), Tell];
const REVOKES: &[Step] = &[IfTold, Revoke];

/// Row, first value of the entry, what CPUs do, whether the old translation may be used.
type Row = (&'static str, u64, &'static [&'static [Step]], bool);

const ROWS: &[Row] = &[
    // One CPU.
    ("8: V2I-load-DSB-ISB", OLD, &[&[Write(0), Dsb, Revoke]], true),
    ("10: V2I-UP-DSB-TLBI-DSB-ISB", OLD, &[&[Write(0), Dsb, Flush, Dsb, Revoke]], false),
    ("13: V2I-W-DSB.LD-TLBI-DSB.ISH-ISB-R", OLD, &[&[Write(0), Flush, Dsb, Revoke]], true),
    ("14: V2I-W-DSB.ISH-TLBI-DSB.LD-ISB-R", OLD, &[&[Write(0), Dsb, Flush, Revoke]], true),
    ("15: needTLBI1", 0, &[&[Write(OLD), Dsb, Flush, Dsb, Write(0), Dsb, Revoke]], true),
    // A flag tells the CPU that runs the space.
    ("33: MP+shoot+DMBLD", OLD, &[&[Write(NEW), Dsb, Broadcast(PAGE), Dsb, Tell], REVOKES], false),
    (
        "34: MP+shoot+DMBLD+VMALL",
        OLD,
        &[&[Write(NEW), Dsb, Broadcast(Which::All), Dsb, Tell], REVOKES],
        false,
    ),
    (
        "13 by broadcast: nothing between the entry and the TLBI",
        OLD,
        &[&[Write(NEW), Broadcast(PAGE), Dsb, Tell], REVOKES],
        true,
    ),
    (
        "14 by broadcast: it counts as complete on return",
        OLD,
        &[&[Write(NEW), Dsb, Broadcast(PAGE), Tell], REVOKES],
        false,
    ),
    (
        "14 by broadcast, as a kernel without the DSB behind it is modelled: it comes too late",
        OLD,
        &[&[Write(NEW), Dsb, Tell, Broadcast(PAGE)], REVOKES],
        true,
    ),
    (
        "22, of an entry that goes: the TLBI names another page",
        OLD,
        &[&[Write(0), Dsb, Broadcast(OTHER_PAGE), Dsb, Tell], REVOKES],
        true,
    ),
    ("36: MP+dmb.st+dsb.ld-tlbi-dsb-isb", OLD, &[CLEARS, &[IfTold, Dsb, Flush, Dsb, Revoke]], false),
    ("37: MP+dmb.st+dsb.st-tlbi-dsb-isb", OLD, &[CLEARS, &[IfTold, Flush, Dsb, Revoke]], true),
    ("39: V2I-W-DSB.ISH-TLBI-DSB.ISH-W+RR", OLD, &[&[Write(0), Dsb, Flush, Dsb, Tell], REVOKES], true),
    ("49: MPV2I2V-no-bbm", OLD, &[&[Write(0), Dsb, Write(NEW), Dsb, Tell], &[IfTold, Dsb, Revoke]], true),
    // The CPU that runs the space reads the entry.
    (
        "40: V2I-W+R-CTRL-ISB-TLBI-DSB.ISH-ISB-R; 41: coRRExpNExp+DSB.LD-TLBI-DSB-ISB",
        OLD,
        &[&[Write(0)], &[IfReads(0), Dsb, Flush, Dsb, Revoke]],
        false,
    ),
    ("42: coRRExpNExp+DSB.ST-TLBI-DSB-ISB", OLD, &[&[Write(0)], &[IfReads(0), Flush, Dsb, Revoke]], true),
    ("43: coRRExpNExp+DSB-ISB", 0, &[&[Write(OLD), Write(NEW)], &[IfReads(NEW), Dsb, Revoke]], true),
    // One writes, another flushes, a third runs the space.
    (
        "44: WRC+shoot+DSB",
        OLD,
        &[&[Write(NEW)], &[IfReads(NEW), Dsb, Broadcast(PAGE), Dsb, Tell], REVOKES],
        false,
    ),
    (
        "45: WRC+dsb-isb+dsb-isb",
        OLD,
        &[&[Write(NEW)], &[IfReads(NEW), Dsb, Tell], &[IfTold, Dsb, Revoke]],
        true,
    ),
];

/// The steps of each CPU on a machine.
#[derive(Debug)]
struct Litmus {
    machine: Machine,
    flag: Word,
    cpus: &'static [&'static [Step]],
}

impl Litmus {
    /// Takes a step, and says whether the CPU goes on.
    fn take(&self, step: Step) -> bool {
        let entry = self.machine.tables.leaf(0, 0);
        match step {
            Write(value) => entry.store(value, Relaxed),
            Dsb => hw::dsb(),
            Flush => hw::flush_page(0, 0, WalkCache::Drop),
            Broadcast(which) => hw::broadcast(Whose::Tag(0), which),
            Tell => self.flag.store(1, Release),
            IfTold => return self.flag.load(Acquire) == 1,
            IfReads(value) => return entry.load(Relaxed) == value,
            Revoke => hw::revoke(OLD),
        }
        true
    }
}

impl Program for Litmus {
    fn main(&self, cpu: usize) {
        for &step in self.cpus[cpu] {
            if !self.take(step) {
                return;
            }
        }
    }
}

/// Visits every execution of these steps.
fn litmus(memory: Memory, order: HardwareOrder, first: u64, cpus: &'static [&'static [Step]]) -> Verdict {
    let flag = Word::new("litmus.flag", 0);
    let model = machine(cpus.len(), order, first).runs(|machine| Litmus { machine, flag, cpus });
    run(&model, &Options { memory, workers: 1, ..Options::default() }).verdict
}

#[test]
fn aarch64_s_facts_are_those_of_arm_s_model() {
    for &(row, first, cpus, wrong) in ROWS {
        assert_eq!(is_wrong(litmus(Memory::Weak, Barriers, first, cpus)), wrong, "row {row}");
    }
}

#[test]
fn a_flush_alone_is_enough_where_it_orders_walks() {
    const FLUSHES_ALONE: &[&[Step]] = &[CLEARS, &[IfTold, Flush, Revoke]];
    let wrong = |order| is_wrong(litmus(Memory::Weak, order, OLD, FLUSHES_ALONE));
    assert!(!wrong(HardwareOrder::Program), "x86: INVLPG serializes");
    assert!(!wrong(Flushes), "riscv64: sfence.vma orders earlier stores and loads before later walks");
    assert!(wrong(Barriers), "aarch64: TLBI orders nothing");
    let ordered = litmus(Memory::Tso, Barriers, OLD, FLUSHES_ALONE);
    assert_eq!(ordered, Verdict::Holds, "only weak memory asks");
}

#[test]
fn a_root_that_is_loaded_is_walked_behind_what_orders_walks() {
    fn loads(m: &SmallMachine, before: fn(), after: fn()) {
        if m.word.load(Acquire) == 1 {
            before();
            hw::install(Some(0), 0, hw::Install::Keep);
            after();
            hw::user(true);
            hw::revoke(OLD);
        }
    }
    let plain: Main = |m| loads(m, || {}, || {});
    let barrier: Main = |m| loads(m, hw::dsb, || {});
    let fence: Main = |m| loads(m, || {}, || hw::flush_tag(0));
    let before: Main = |m| loads(m, || hw::flush_tag(0), || {});
    let instructions: Main = |m| loads(m, hw::synchronise_context, || {});
    let wrong = |order, reader| {
        let idle = Machine::builder(2).order(order).translation(1, Some(0), true).map(0, 0, OLD).code(1);
        goes_wrong(idle, &[clears_and_tells, reader])
    };
    assert!(!wrong(HardwareOrder::Program, plain), "a write to CR3 serializes");
    assert!(wrong(Barriers, plain) && !wrong(Barriers, barrier), "aarch64: dsb ishld before msr ttbr0_el1");
    assert!(wrong(Flushes, plain) && !wrong(Flushes, fence), "riscv64: sfence.vma after csrw satp");
    assert!(wrong(Flushes, instructions) && !wrong(Flushes, before), "riscv64: fence.i is no sfence.vma");
}

#[test]
fn what_is_given_away_must_be_known_to_be_unused() {
    // One CPU unmaps the page under itself, and says so; the other, told by too weak an order, does not know that its accesses
    // are over.
    fn unmaps(m: &SmallMachine, order: Ordering) {
        write(m, 0);
        hw::flush_page(0, 0, WalkCache::Drop);
        m.word.store(1, order);
    }
    fn frees_when_told(m: &SmallMachine, order: Ordering) {
        if m.word.load(order) == 1 {
            hw::free_frame(1);
        }
    }
    let releases: Main = |m| unmaps(m, Release);
    let relaxed: Main = |m| unmaps(m, Relaxed);
    let acquires: Main = |m| frees_when_told(m, Acquire);
    let loads: Main = |m| frees_when_told(m, Relaxed);
    let verdict = |giver: Main, user: Main| {
        let builder = machine(2, HardwareOrder::Program, OLD);
        verdict_under(Memory::Weak, builder, &[giver, user])
    };
    assert_eq!(verdict(acquires, releases), Verdict::Holds);
    let early = "CPU 0: free frame 1, and nothing orders the end of CPU 1's use before that (SD-8)";
    assert_eq!(verdict(acquires, relaxed), Verdict::Violates(early.into()));
    assert_eq!(verdict(loads, releases), Verdict::Violates(early.into()));
}

#[test]
fn who_takes_a_translation_away_knows_of_its_uses() {
    let stops: Main = |m| {
        hw::user(false);
        m.word.store(1, Relaxed);
    };
    fn unmaps(m: &SmallMachine, which: Option<Which>) {
        write(m, 0);
        if m.word.load(Relaxed) == 1 {
            if let Some(which) = which {
                hw::broadcast(Whose::Tag(0), which);
            }
            hw::free_frame(1);
        }
    }
    let wrong = |giver: Main| goes_wrong(machine(2, HardwareOrder::Program, OLD), &[giver, stops]);
    assert!(wrong(|m| unmaps(m, None)), "the flag says nothing of what came before it");
    assert!(!wrong(|m| unmaps(m, Some(PAGE))), "a broadcast waits for accesses through what it drops");
    assert!(wrong(|m| unmaps(m, Some(Which::Page(1, WalkCache::Drop)))), "and for no others");
}
