//! Models with a mistake each, as somebody new to modelling makes them: `check` refuses every one and says why.
//! `tests/mistakes.rs` holds it to that.

use shootdown_model::hw::{self, WalkCache};
use shootdown_model::kit::Lock;
use shootdown_model::sync::{self, Word};
use shootdown_model::{Interrupts, Machine, Memory, Model, Registry, Scenario, Sketch, Variant, main_with};
use std::panic;
use std::process::{self, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, SystemTime};

const ENDS: &str = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";

/// Makes the mistakes, and a sketch of each row of the table.
macro_rules! mistakes {
    (
        $($(#[$about:meta])* $name:literal $mistake:ident $ends:tt $said:tt;)+
        again $($other:literal $same:ident $other_ends:tt $other_said:tt;)+
    ) => {
        /// A mistake in a model.
        #[derive(Clone, Copy, Debug, PartialEq)]
        enum Mistake {
            $($(#[$about])* $mistake,)+
        }
        use Mistake::*;

        const SKETCHES: &[Sketch] = &[
            $(sketch($name, $mistake, $ends, |variant| Box::new(Toy::new(variant, $mistake))),)+
            $(sketch($other, $same, $other_ends, |variant| Box::new(Toy::new(variant, $same))),)+
        ];
    };
}

include!("mistakes/table.rs");

const fn sketch(
    name: &'static str,
    mistake: Mistake,
    ends: &'static str,
    build: fn(Variant) -> Model,
) -> Sketch {
    let code: &[(&str, &str)] = match mistake {
        NoSource => &[],
        OtherSource => &[("main.rs", include_str!("../main.rs"))],
        SourceByPath => &[("src/bin/mistakes.rs", include_str!("mistakes.rs"))],
        _ => &[("mistakes.rs", include_str!("mistakes.rs"))],
    };
    // Without a fence it holds where stores keep their order.
    let memory = if matches!(mistake, NoFence) { Memory::Pso } else { Memory::Tso };
    Sketch { memory, ends, ..Sketch::new(name, code, build) }
}

/// Words that a model has no room for.
const MANY: usize = 5000;

fn main() -> ExitCode {
    main_with(SKETCHES)
}

/// CPU 0 unmaps page 0, CPU 1 runs another thread of the same program.
#[derive(Debug)]
struct Toy {
    fixed: bool,
    mistake: Mistake,
    machine: Machine,
    flushed: Word,
    lock: Lock,
    twins: [Word; 2],
    many: Vec<Word>,
    /// What no model may have: it changes while the model runs, and is no word.
    runs: AtomicU64,
    flag: AtomicBool,
    held: Mutex<u64>,
}

impl Toy {
    fn new(variant: Variant, mistake: Mistake) -> Self {
        let fixed = variant == Variant::Fixed;
        err_in_build(mistake);
        let cpus = match mistake {
            ZeroCpus => 0,
            NineCpus => 9,
            SixtyFiveCpus => 65,
            CpusDiffer if fixed => 3,
            _ => 2,
        };
        let mut machine = Machine::builder(cpus).own_page(0, 0, 1).start(0, 0, 0, true);
        match mistake {
            NoOracle => machine = machine.without_oracle(),
            FixChangesHardware if !fixed => machine = machine.late_accesses(),
            _ => {}
        }
        if mistake != Vacuous && !(fixed && mistake == FixRemovesVictim) {
            machine = machine.start(1, 0, 0, true);
        }
        if !matches!(mistake, FixDoesNothing | FixNeverFrees | FixFreesOtherFrame) {
            machine = machine.must_free_frame(1);
        }
        Self {
            fixed,
            mistake,
            machine: machine.build(),
            flushed: Word::new("flushed", 0),
            lock: Lock::new("toy.held"),
            twins: [const { Word::new("twin", 0) }; 2],
            many: (0..MANY).map(|_| Word::new("many", 0)).collect(),
            runs: AtomicU64::new(0),
            flag: AtomicBool::new(false),
            held: Mutex::new(0),
        }
    }

    fn munmap(&self) {
        if (self.fixed && self.mistake == FixDoesNothing) || (!self.fixed && self.mistake == NothingFreed) {
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
        if self.tells() {
            sync::raise(1, 0);
            if self.mistake != FixNeverWaits {
                sync::wait_until(|| self.flushed.load(Acquire) == 1);
            }
        }
        match self.mistake {
            FixNeverFrees if self.fixed => {}
            FixFreesSometimes if self.fixed && sync::choose(2) == 0 => {}
            FixFreesOtherFrame if self.fixed => hw::free_frame(2),
            _ => hw::free_frame(1),
        }
        if self.fixed && self.mistake == FreesTwice {
            hw::free_frame(1);
        }
    }

    /// Whether the other CPU is told.
    fn tells(&self) -> bool {
        match self.mistake {
            FixRemovesVictim | FixDelays => false,
            BrokenHolds => true,
            _ => self.fixed,
        }
    }

    /// The step that is a mistake.
    fn err(&self) {
        match self.mistake {
            Panics => panic!("an index is out of range"),
            FixPanics => assert!(!self.fixed, "the mended protocol panics"),
            FixSwallowsPanic if self.fixed => drop(panic::catch_unwind(|| panic!("nobody is told"))),
            FixDelays if self.fixed => while !(0..9).all(|_| self.flushed.load(SeqCst) == 0) {},
            FixGetsStuck if self.fixed => sync::wait_until(|| self.flushed.load(Acquire) == 7),
            SpinsOnWord => while self.flushed.load(Acquire) == 0 {},
            GetsStuck => sync::wait_until(|| self.flushed.load(Acquire) == 7),
            RaisesOnCpuNine => sync::raise(9, 0),
            NoSuchLine => sync::raise(1, 77),
            NoSuchPage => hw::flush_page(0, 5, WalkCache::Drop),
            NoSuchFrame => hw::free_frame(77),
            NoSuchTag => hw::flush_tag(3),
            GoesOffline => hw::offline(),
            WaitsMasked => self.wait_masked(1),
            WordOnStack => Word::new("local", 0).store(1, Relaxed),
            LargeStack => overflow(),
            HugeArray => self.many.iter().for_each(|word| word.store(1, Relaxed)),
            CountsForEver => sync::retry(|| (self.flushed.fetch_add(1, Relaxed) == u64::MAX).then_some(())),
            NmiTakesLock => {
                self.lock.lock();
                self.flushed.load(Relaxed);
                self.lock.unlock();
            }
            NamesakesInObject => self.twins.iter().for_each(|word| word.store(1, Relaxed)),
            WaitStores => sync::wait_until(|| {
                self.flushed.store(1, Relaxed);
                self.flushed.load(Acquire) == 1
            }),
            _ => self.use_the_host(),
        }
    }

    /// Mistakes with what the explorer knows nothing of.
    fn use_the_host(&self) {
        match self.mistake {
            SpinsWithoutSteps => loop {
                std::hint::spin_loop();
            },
            StdAtomic => {
                while !self.flag.load(SeqCst) {
                    std::hint::spin_loop();
                }
            }
            StdAtomicInWait => sync::wait_until(|| self.flag.load(SeqCst)),
            StdMutex => self.hold(),
            Exits => process::exit(0),
            Aborts => process::abort(),
            PanicsInDestructor => {
                let _panics = PanicsAgain;
                panic!("the first of two");
            }
            HugeAllocation => drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 62))),
            ThreadPanics => drop(thread::spawn(|| panic!("nobody joins")).join()),
            ThreadExits => drop(thread::spawn(|| process::exit(0)).join()),
            StdThread => thread::scope(|scope| {
                scope.spawn(|| self.flushed.store(1, Release));
            }),
            Sleeps => thread::sleep(Duration::from_secs(60)),
            Recursion => {
                recurse(0);
            }
            AllocatesWithoutSteps => {
                let mut all: Vec<u64> = Vec::new();
                loop {
                    all.push(1);
                }
            }
            AllocatesPerStep => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                while self.flushed.load(Acquire) == 0 {
                    all.push(vec![1; 1 << 10]);
                }
            }
            Random if self.runs.fetch_add(1, SeqCst) % 2 == 0 => {
                self.flushed.load(Relaxed);
            }
            RandomOnce if self.runs.fetch_add(1, SeqCst) == 0 => {
                self.flushed.load(Relaxed);
            }
            Clock => {
                let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
                self.flushed.store(now as u64 | 1 << 20, Relaxed);
            }
            StaticState => {
                static RUNS: AtomicU64 = AtomicU64::new(0);
                self.flushed.store(2 + RUNS.fetch_add(1, SeqCst), Relaxed);
            }
            _ => {}
        }
    }

    /// Both CPUs run this: each keeps the other one waiting.
    fn hold(&self) {
        let mut count = self.held.lock().unwrap_or_else(|poison| poison.into_inner());
        self.flushed.load(Relaxed);
        *count += 1;
    }

    fn wait_masked(&self, other: usize) {
        let on = sync::irq_save();
        sync::raise(other, 0);
        sync::wait_until(|| self.flushed.load(Acquire) == 1);
        sync::irq_restore(on);
    }
}

/// Panics while another panic unwinds.
struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("the second of two");
    }
}

/// Mistakes that are made before anything runs.
fn err_in_build(mistake: Mistake) {
    match mistake {
        BuildPanics => panic!("there is no such machine"),
        BuildExits => process::exit(0),
        BuildHangs => loop {
            std::hint::spin_loop();
        },
        _ => {}
    }
}

/// Has a frame of its own, which no other mistake enters.
#[inline(never)]
fn overflow() {
    std::hint::black_box([0_u8; 16 << 20]);
}

#[expect(unconditional_recursion, reason = "it is the mistake")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1))) + 1
}

impl Scenario for Toy {
    type Device = Machine;

    fn cpus(&self) -> usize {
        if self.mistake == MoreCpusThanMachine { 3 } else { self.machine.cpus() }
    }

    fn main(&self, cpu: usize) {
        match (cpu, self.mistake) {
            (0, _) => self.munmap(),
            (1, StdMutex) => self.hold(),
            (1, WaitsMasked) => self.wait_masked(0),
            (1, Vacuous | FixRemovesVictim) => {}
            (1, _) => hw::touch(0),
            _ => {}
        }
    }

    fn interrupt(&self, _cpu: usize, line: u8) {
        match self.mistake {
            PanicsInHandler => panic!("the handler has no request"),
            ExitsInHandler => process::exit(0),
            NmiTakesLock if line == 1 => {
                self.lock.lock();
                self.lock.unlock();
            }
            FixAnswersFirst => {
                self.flushed.store(1, Release);
                hw::flush_page(0, 0, WalkCache::Drop);
            }
            mistake => {
                hw::flush_page(0, usize::from(mistake == FixFlushesOtherPage), WalkCache::Drop);
                self.flushed.store(1, Release);
            }
        }
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        if self.mistake == NothingRegistered {
            return;
        }
        if self.mistake != WordNotRegistered {
            registry.object("toy", self);
        }
        registry.array("toy.many", &self.many);
        self.machine.register(registry, &[]);
    }

    fn pending_at_start(&self, cpu: usize) -> u32 {
        if self.mistake == NmiTakesLock && cpu == 0 { 0b10 } else { 0 }
    }

    fn non_maskable(&self) -> u32 {
        0b10
    }

    fn interrupts(&self) -> Interrupts {
        Interrupts::Follow
    }
}
