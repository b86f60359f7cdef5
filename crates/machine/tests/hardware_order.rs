//! What orders page walks and flushes against accesses under weak memory. For aarch64: the facts that herd7 computes from Arm's
//! model (catalogue `aarch64-VMSA`, without FEAT_ETS2), as far as the machine can say them. "The old translation may be used" is
//! asked by declaring it dead.
//!
//! The machine does not say: a broadcast that is not complete on return (row 14: [`HardwareOrder::Barriers`] says what stands for
//! it), barriers for loads or stores alone (rows 12 to 14, 37, 42: none stands for the wrong one), a fault
//! by a walk that missed a new entry (1 to 7, 18 to 30: not mapped yet is no danger), accesses that pass accesses (31, 47, 53),
//! hardware's own updates of entries under this model (54 to 59).

mod common;

use common::{Main, SmallMachine};
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use shootdown_explore::{Memory, Verdict};
use shootdown_model::HardwareOrder::{self, Barriers, Flushes, Program};
use shootdown_model::hw::{self, WalkCache, Which, Whose};
use shootdown_model::{Builder, Machine};

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
    match common::verdict_under(Memory::Weak, builder, mains) {
        Verdict::Holds => false,
        Verdict::Violates(_) => true,
        other => panic!("{other:?}"),
    }
}

fn write(small: &SmallMachine, value: u64) {
    small.machine.tables.leaf(0, 0).store(value, Relaxed);
}

/// Whether the entry was seen to have a value.
fn sees(small: &SmallMachine, value: u64) -> bool {
    small.machine.tables.leaf(0, 0).load(Relaxed) == value
}

fn raise_flag(small: &SmallMachine) {
    small.word.store(1, Release);
}

fn sees_flag(small: &SmallMachine) -> bool {
    small.word.load(Acquire) == 1
}

fn clears_and_tells(small: &SmallMachine) {
    write(small, 0);
    raise_flag(small);
}

fn revokes_when_told(small: &SmallMachine) {
    if sees_flag(small) {
        hw::revoke(OLD);
    }
}

fn flush() {
    hw::flush_page(0, 0, WalkCache::Drop);
}

fn broadcast(which: Which) {
    hw::broadcast(Whose::Tag(0), which);
    hw::dsb();
}

const PAGE: Which = Which::Page(0, WalkCache::Drop);

/// Row, first value of the entry, what CPUs do, whether the old translation may be used.
type Row = (&'static str, u64, &'static [Main], bool);

const ROWS: &[Row] = &[
    // One CPU.
    (
        "8: V2I-load-DSB-ISB",
        OLD,
        &[|m| {
            write(m, 0);
            hw::dsb();
            hw::revoke(OLD);
        }],
        true,
    ),
    (
        "10: V2I-UP-DSB-TLBI-DSB-ISB",
        OLD,
        &[|m| {
            write(m, 0);
            hw::dsb();
            flush();
            hw::dsb();
            hw::revoke(OLD);
        }],
        false,
    ),
    (
        "13: V2I-W-DSB.LD-TLBI-DSB.ISH-ISB-R",
        OLD,
        &[|m| {
            write(m, 0);
            flush();
            hw::dsb();
            hw::revoke(OLD);
        }],
        true,
    ),
    (
        "14: V2I-W-DSB.ISH-TLBI-DSB.LD-ISB-R",
        OLD,
        &[|m| {
            write(m, 0);
            hw::dsb();
            flush();
            hw::revoke(OLD);
        }],
        true,
    ),
    (
        "15: needTLBI1",
        0,
        &[|m| {
            write(m, OLD);
            hw::dsb();
            flush();
            hw::dsb();
            write(m, 0);
            hw::dsb();
            hw::revoke(OLD);
        }],
        true,
    ),
    // A flag tells the CPU that runs the space.
    (
        "33: MP+shoot+DMBLD",
        OLD,
        &[
            |m| {
                write(m, NEW);
                hw::dsb();
                broadcast(PAGE);
                raise_flag(m);
            },
            revokes_when_told,
        ],
        false,
    ),
    (
        "34: MP+shoot+DMBLD+VMALL",
        OLD,
        &[
            |m| {
                write(m, NEW);
                hw::dsb();
                broadcast(Which::All);
                raise_flag(m);
            },
            revokes_when_told,
        ],
        false,
    ),
    (
        "13 by broadcast: nothing between the entry and the TLBI",
        OLD,
        &[
            |m| {
                write(m, NEW);
                broadcast(PAGE);
                raise_flag(m);
            },
            revokes_when_told,
        ],
        true,
    ),
    (
        "14 by broadcast: it counts as complete on return",
        OLD,
        &[
            |m| {
                write(m, NEW);
                hw::dsb();
                hw::broadcast(Whose::Tag(0), PAGE);
                raise_flag(m);
            },
            revokes_when_told,
        ],
        false,
    ),
    (
        "14 by broadcast, as a kernel without the DSB behind it is modelled: it comes too late",
        OLD,
        &[
            |m| {
                write(m, NEW);
                hw::dsb();
                raise_flag(m);
                hw::broadcast(Whose::Tag(0), PAGE);
            },
            revokes_when_told,
        ],
        true,
    ),
    (
        "22, of an entry that goes: the TLBI names another page",
        OLD,
        &[
            |m| {
                write(m, 0);
                hw::dsb();
                broadcast(Which::Page(1, WalkCache::Keep));
                raise_flag(m);
            },
            revokes_when_told,
        ],
        true,
    ),
    (
        "36: MP+dmb.st+dsb.ld-tlbi-dsb-isb",
        OLD,
        &[clears_and_tells, |m| {
            if sees_flag(m) {
                hw::dsb();
                flush();
                hw::dsb();
                hw::revoke(OLD);
            }
        }],
        false,
    ),
    (
        "37: MP+dmb.st+dsb.st-tlbi-dsb-isb",
        OLD,
        &[clears_and_tells, |m| {
            if sees_flag(m) {
                flush();
                hw::dsb();
                hw::revoke(OLD);
            }
        }],
        true,
    ),
    (
        "39: V2I-W-DSB.ISH-TLBI-DSB.ISH-W+RR",
        OLD,
        &[
            |m| {
                write(m, 0);
                hw::dsb();
                flush();
                hw::dsb();
                raise_flag(m);
            },
            revokes_when_told,
        ],
        true,
    ),
    (
        "49: MPV2I2V-no-bbm",
        OLD,
        &[
            |m| {
                write(m, 0);
                hw::dsb();
                write(m, NEW);
                hw::dsb();
                raise_flag(m);
            },
            |m| {
                if sees_flag(m) {
                    hw::dsb();
                    hw::revoke(OLD);
                }
            },
        ],
        true,
    ),
    // The CPU that runs the space reads the entry.
    (
        "40: V2I-W+R-CTRL-ISB-TLBI-DSB.ISH-ISB-R; 41: coRRExpNExp+DSB.LD-TLBI-DSB-ISB",
        OLD,
        &[
            |m| write(m, 0),
            |m| {
                if sees(m, 0) {
                    hw::dsb();
                    flush();
                    hw::dsb();
                    hw::revoke(OLD);
                }
            },
        ],
        false,
    ),
    (
        "42: coRRExpNExp+DSB.ST-TLBI-DSB-ISB",
        OLD,
        &[
            |m| write(m, 0),
            |m| {
                if sees(m, 0) {
                    flush();
                    hw::dsb();
                    hw::revoke(OLD);
                }
            },
        ],
        true,
    ),
    (
        "43: coRRExpNExp+DSB-ISB",
        0,
        &[
            |m| {
                write(m, OLD);
                write(m, NEW);
            },
            |m| {
                if sees(m, NEW) {
                    hw::dsb();
                    hw::revoke(OLD);
                }
            },
        ],
        true,
    ),
    // One writes, another flushes, a third runs the space.
    (
        "44: WRC+shoot+DSB",
        OLD,
        &[
            |m| write(m, NEW),
            |m| {
                if sees(m, NEW) {
                    hw::dsb();
                    broadcast(PAGE);
                    raise_flag(m);
                }
            },
            revokes_when_told,
        ],
        false,
    ),
    (
        "45: WRC+dsb-isb+dsb-isb",
        OLD,
        &[
            |m| write(m, NEW),
            |m| {
                if sees(m, NEW) {
                    hw::dsb();
                    raise_flag(m);
                }
            },
            |m| {
                if sees_flag(m) {
                    hw::dsb();
                    hw::revoke(OLD);
                }
            },
        ],
        true,
    ),
];

#[test]
fn aarch64_s_facts_are_those_of_arm_s_model() {
    for &(row, first, mains, wrong) in ROWS {
        assert_eq!(goes_wrong(machine(mains.len(), Barriers, first), mains), wrong, "row {row}");
    }
}

/// A receiver that flushes without a barrier before and after it.
const FLUSHES_ALONE: [Main; 2] = [clears_and_tells, |m| {
    if sees_flag(m) {
        flush();
        hw::revoke(OLD);
    }
}];

#[test]
fn a_flush_alone_is_enough_where_it_orders_walks() {
    let wrong = |order| goes_wrong(machine(2, order, OLD), &FLUSHES_ALONE);
    assert!(!wrong(Program), "x86: INVLPG serializes");
    assert!(!wrong(Flushes), "riscv64: sfence.vma orders earlier stores and loads before later walks");
    assert!(wrong(Barriers), "aarch64: TLBI orders nothing");
    let ordered = common::verdict(machine(2, Barriers, OLD), &FLUSHES_ALONE);
    assert_eq!(ordered, Verdict::Holds, "only weak memory asks");
}

#[test]
fn a_root_that_is_loaded_is_walked_behind_what_orders_walks() {
    fn loads(m: &SmallMachine, before: fn(), after: fn()) {
        if sees_flag(m) {
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
    assert!(!wrong(Program, plain), "a write to CR3 serializes");
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
        flush();
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
        let builder = machine(2, Program, OLD);
        common::verdict_under(Memory::Weak, builder, &[giver, user])
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
    let wrong = |giver: Main| goes_wrong(machine(2, Program, OLD), &[giver, stops]);
    assert!(wrong(|m| unmaps(m, None)), "the flag says nothing of what came before it");
    assert!(!wrong(|m| unmaps(m, Some(PAGE))), "a broadcast waits for accesses through what it drops");
    assert!(wrong(|m| unmaps(m, Some(Which::Page(1, WalkCache::Drop)))), "and for no others");
}
