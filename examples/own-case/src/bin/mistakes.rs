//! The command `shootdown` for models with a mistake each: `check` refuses every one and says why. `tests/mistakes.rs` holds it
//! to that.

use shootdown_cases::bugs::Bug;
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry, Scenario};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Variant};
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// What is wrong with a model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    /// The broken variant does what the mended one does.
    BrokenHolds,
    Panics,
    BuildPanics,
    SpinsOnWord,
    SpinsWithoutSteps,
    NoFence,
    NineCpus,
    CpusDiffer,
    MoreCpusThanMachine,
    GetsStuck,
    NothingRegistered,
    WordNotRegistered,
    Random,
    RandomOnce,
    WordOnStack,
    LargeStack,
    FixDoesNothing,
    FixNeverFrees,
    FixPanics,
    WaitStores,
    RaisesOnCpuNine,
    HugeValue,
    NoSuchPage,
    NoSuchFrame,
    GoesOffline,
    /// CPU 1 does not run at all.
    Vacuous,
    OtherWords,
    OtherRule,
}
use Mistake::*;

const ALL: [(&str, &str, Mistake); 28] = [
    ("toy-broken-holds", "G1", BrokenHolds),
    ("toy-panics", "G2", Panics),
    ("toy-build-panics", "G3", BuildPanics),
    ("toy-spins-on-word", "G4", SpinsOnWord),
    ("toy-spins-without-steps", "G5", SpinsWithoutSteps),
    ("toy-no-fence", "G6", NoFence),
    ("toy-nine-cpus", "G7", NineCpus),
    ("toy-cpus-differ", "G8", CpusDiffer),
    ("toy-more-cpus-than-machine", "G9", MoreCpusThanMachine),
    ("toy-gets-stuck", "G10", GetsStuck),
    ("toy-nothing-registered", "G11", NothingRegistered),
    ("toy-word-not-registered", "G12", WordNotRegistered),
    ("toy-random", "G13", Random),
    ("toy-random-once", "G14", RandomOnce),
    ("toy-word-on-stack", "G15", WordOnStack),
    ("toy-large-stack", "G16", LargeStack),
    ("toy-fix-does-nothing", "G17", FixDoesNothing),
    ("toy-fix-never-frees", "G18", FixNeverFrees),
    ("toy-fix-panics", "G19", FixPanics),
    ("toy-wait-stores", "G20", WaitStores),
    ("toy-raises-on-cpu-nine", "G21", RaisesOnCpuNine),
    ("toy-huge-value", "G22", HugeValue),
    ("toy-no-such-page", "G23", NoSuchPage),
    ("toy-no-such-frame", "G24", NoSuchFrame),
    ("toy-goes-offline", "G25", GoesOffline),
    ("toy-vacuous", "G26", Vacuous),
    ("toy-other-words", "G27", OtherWords),
    ("toy-other-rule", "G28", OtherRule),
];

fn main() -> ExitCode {
    let bugs = [
        bug::<0>(),
        bug::<1>(),
        bug::<2>(),
        bug::<3>(),
        bug::<4>(),
        bug::<5>(),
        bug::<6>(),
        bug::<7>(),
        bug::<8>(),
        bug::<9>(),
        bug::<10>(),
        bug::<11>(),
        bug::<12>(),
        bug::<13>(),
        bug::<14>(),
        bug::<15>(),
        bug::<16>(),
        bug::<17>(),
        bug::<18>(),
        bug::<19>(),
        bug::<20>(),
        bug::<21>(),
        bug::<22>(),
        bug::<23>(),
        bug::<24>(),
        bug::<25>(),
        bug::<26>(),
        bug::<27>(),
    ];
    shootdown_cli::main_with(&bugs)
}

/// The model with the mistake of this number.
const fn bug<const N: usize>() -> Bug {
    let (name, id, mistake) = ALL[N];
    Bug {
        name,
        id,
        source: "made up for this example",
        title: "toy: tell the other CPU",
        kernel: "Toy",
        rules: &[8],
        about: "A page is unmapped and its frame freed, and nobody tells the other CPU.",
        story: include_str!("../counted_acks.md"),
        ends: match mistake {
            OtherRule => "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-7)",
            OtherWords => "CPU 0 can still use page 1 of space A -> frame 1, which was freed (SD-8)",
            _ => "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
        },
        engine: "borrow-vs-unmap",
        code: &[("mistakes.rs", include_str!("mistakes.rs"))],
        ..Bug::race(Memory::Tso, |variant| Box::new(Toy::new(variant, ALL[N].2)))
    }
}

/// CPU 0 unmaps page 0, CPU 1 runs another thread of the same program.
#[derive(Debug)]
struct Toy {
    fixed: bool,
    mistake: Mistake,
    machine: Machine,
    flushed: Word,
    /// What no model may have: it changes while the model runs, and is no word.
    runs: AtomicU64,
}

impl Toy {
    fn new(variant: Variant, mistake: Mistake) -> Self {
        let fixed = variant == Variant::Fixed;
        assert!(mistake != BuildPanics, "there is no such machine");
        let cpus = match mistake {
            NineCpus => 9,
            CpusDiffer if fixed => 3,
            _ => 2,
        };
        let mut machine = Machine::builder(cpus).own_page(0, 0, 1).start(0, 0, 0, true);
        if mistake != Vacuous {
            machine = machine.start(1, 0, 0, true);
        }
        if !matches!(mistake, FixDoesNothing | FixNeverFrees) {
            machine = machine.must_free_frame(1);
        }
        Self {
            fixed,
            mistake,
            machine: machine.build(),
            flushed: Word::new("flushed", 0),
            runs: AtomicU64::new(0),
        }
    }

    fn munmap(&self) {
        if self.fixed && self.mistake == FixDoesNothing {
            return;
        }
        sync::note("munmap");
        let nothing = if self.mistake == HugeValue { 77 } else { 0 };
        self.machine.tables.leaf(0, 0).store(nothing, Relaxed);
        if self.mistake != NoFence {
            sync::fence(SeqCst);
        }
        self.err();
        hw::flush_page(0, 0, WalkCache::Drop);
        if self.fixed || self.mistake == BrokenHolds {
            sync::raise(1, 0);
            sync::wait_until(|| self.flushed.load(Acquire) == 1);
        }
        if !(self.fixed && self.mistake == FixNeverFrees) {
            hw::free_frame(1);
        }
    }

    /// The step that is a mistake.
    fn err(&self) {
        match self.mistake {
            Panics => panic!("an index is out of range"),
            FixPanics => assert!(!self.fixed, "the mended protocol panics"),
            SpinsOnWord => while self.flushed.load(Acquire) == 0 {},
            SpinsWithoutSteps => loop {
                std::hint::spin_loop();
            },
            GetsStuck => sync::wait_until(|| self.flushed.load(Acquire) == 7),
            RaisesOnCpuNine => sync::raise(9, 0),
            NoSuchPage => hw::flush_page(0, 5, WalkCache::Drop),
            NoSuchFrame => hw::free_frame(77),
            GoesOffline => hw::offline(),
            Random if self.runs.fetch_add(1, SeqCst) % 2 == 0 => {
                self.flushed.load(Relaxed);
            }
            RandomOnce if self.runs.fetch_add(1, SeqCst) == 0 => {
                self.flushed.load(Relaxed);
            }
            WordOnStack => Word::new("local", 0).store(1, Relaxed),
            LargeStack => overflow(),
            WaitStores => sync::wait_until(|| {
                self.flushed.store(1, Relaxed);
                self.flushed.load(Acquire) == 1
            }),
            _ => {}
        }
    }
}

/// Has a frame of its own, which no other mistake enters.
#[inline(never)]
fn overflow() {
    std::hint::black_box([0_u8; 16 << 20]);
}

impl Scenario for Toy {
    type Device = Machine;

    fn cpus(&self) -> usize {
        if self.mistake == MoreCpusThanMachine { 3 } else { self.machine.cpus() }
    }

    fn main(&self, cpu: usize) {
        match cpu {
            0 => self.munmap(),
            1 if self.mistake != Vacuous => hw::touch(0),
            _ => {}
        }
    }

    fn interrupt(&self, _cpu: usize, _line: u8) {
        hw::flush_page(0, 0, WalkCache::Drop);
        self.flushed.store(1, Release);
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        if self.mistake == NothingRegistered {
            return;
        }
        if self.mistake != WordNotRegistered {
            registry.object("toy", &self.flushed);
        }
        self.machine.register(registry, &[]);
    }
}
