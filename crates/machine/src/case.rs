use crate::config::Builder;
use crate::machine::{Machine, MaskWord};
use shootdown_explore::{
    Interrupts, Memory, Move, Options, Registry, Report, Scenario, Trace, Verdict, explore, replay,
};
use std::fmt::{self, Debug};

/// One case to check: a scenario with a name, and the outcome that is expected of it.
pub struct Case {
    /// Name, unique; what `shootdown check NAME` takes.
    pub name: String,
    /// The engine, or a protocol of a bug.
    pub kind: Kind,
    /// Which variant of the protocol.
    pub variant: Variant,
    /// The verdict that must come out.
    pub expected: Expected,
    /// The verdicts under the memory models that the case names; the default check runs it under each of them.
    pub stated: Vec<(Memory, Expected)>,
    /// Memory model of the default check.
    pub memory: Memory,
    /// CPUs of the machine.
    pub cpus: usize,
    /// Whether only `check --deep` runs it.
    pub deep: bool,
    /// Groups for `check GROUP`: `pairs`, `tags`, `bugs`, ...
    pub groups: &'static [&'static str],
    /// One sentence: what it shows.
    pub about: String,
    /// A page of prose for `explain`.
    pub story: &'static str,
    /// Runs it.
    pub run: Box<dyn Fn(&Options<'_>) -> Report + Send + Sync>,
    /// Replays moves on it; the error names the first impossible move.
    pub replay: ReplayFn,
    /// Says what is wrong with a report of it under a memory model, although its verdict is the expected one.
    pub objections: Objections,
    /// Names lines of its own file that could make a step and that neither this protocol nor another of its bug
    /// reaches, after a report of it: `FILE:LINE`. Once for all protocols of a bug, with the mended one.
    pub unreached: Unreached,
}

impl Case {
    /// Returns the verdict that must come out under `memory`; if the case does not name it, the one of its own model.
    pub fn expected_under(&self, memory: Memory) -> Expected {
        let stated = self.stated.iter().find(|(stated, _)| *stated == memory);
        stated.map_or(self.expected, |&(_, expected)| expected)
    }
}

/// See [`Case::objections`].
pub type Objections = Box<dyn Fn(&Report, Memory) -> Vec<String> + Send + Sync>;

/// See [`Case::unreached`].
pub type Unreached = Box<dyn Fn(&Report) -> Vec<String> + Send + Sync>;

/// A protocol on the machine. Its debug output shows the values by which the broken and the fixed one differ.
pub trait Protocol: Scenario<Device = Machine> + Debug + Send {}

impl<S: Scenario<Device = Machine> + Debug + Send> Protocol for S {}

/// A protocol, whatever its type: the explorer is compiled once for all of them.
pub type Model = Box<dyn Protocol>;

/// What the CPUs of a machine run. This is a [`Scenario`] without what all scenarios on a [`Machine`] have in common;
/// [`Builder::runs`] makes a model of it.
pub trait Program: Debug + Send + Sync + 'static {
    /// What `cpu` runs, from start to end.
    fn main(&self, cpu: usize);

    /// Handler of interrupt `line` on `cpu`; runs with interrupts off.
    fn interrupt(&self, cpu: usize, line: u8) {
        panic!("cpu {cpu}: interrupt {line} has no handler");
    }

    /// Names the objects that hold words. The machine's have names; so have words of the program itself that are called
    /// `object.word`, as those of the [kit](crate::kit) are.
    fn register(&self, registry: &mut Registry) {
        let _ = registry;
    }

    /// A mask that the oracle checks (SD-1).
    fn mask(&self) -> Option<MaskWord<'_>> {
        None
    }

    /// Lines pending at start, as [`Scenario::pending_at_start`] has them.
    fn pending_at_start(&self, cpu: usize) -> u32 {
        let _ = cpu;
        0
    }

    /// Lines that are taken even with interrupts off, as [`Scenario::non_maskable`] has them.
    fn non_maskable(&self) -> u32 {
        0
    }

    /// Whether interrupts may overtake stores, as [`Scenario::interrupts`] has it. What kernels call to send an IPI
    /// orders the stores before it (Linux: `dsb ishst` for GICv3, a fence for x2APIC, `fence w, o` for riscv64), so by
    /// default they do not. A case about one that does not order says so.
    fn interrupts(&self) -> Interrupts {
        Interrupts::Follow
    }
}

impl Builder {
    /// Makes the machine, and of it and the program that its CPUs run a model.
    pub fn runs<P: Program>(self, program: impl FnOnce(Machine) -> P) -> Model {
        let machine = self.build();
        Box::new(OnMachine { program: program(machine.clone()), machine })
    }
}

/// A program as a scenario of the machine; its debug output is the program's.
struct OnMachine<P> {
    program: P,
    machine: Machine,
}

impl<P: Debug> Debug for OnMachine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.fmt(f)
    }
}

impl<P: Program> Scenario for OnMachine<P> {
    type Device = Machine;

    fn cpus(&self) -> usize {
        self.machine.cpus()
    }
    fn main(&self, cpu: usize) {
        self.program.main(cpu);
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        self.program.interrupt(cpu, line);
    }
    fn device(&self) -> &Machine {
        &self.machine
    }
    fn register(&self, registry: &mut Registry) {
        self.program.register(registry);
        registry.object("", &self.program);
        self.machine.register(registry, self.program.mask().as_slice());
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        self.program.pending_at_start(cpu)
    }
    fn non_maskable(&self) -> u32 {
        self.program.non_maskable()
    }
    fn interrupts(&self) -> Interrupts {
        self.program.interrupts()
    }
}

/// Visits every execution of `model`.
pub fn run(model: &Model, options: &Options<'_>) -> Report {
    explore(model, options)
}

/// Runs exactly `moves`.
///
/// # Errors
/// The index of the first move that the machine cannot make, and why.
pub fn run_again(model: &Model, options: &Options<'_>, moves: &[Move]) -> Result<Trace, (usize, String)> {
    replay(model, options, moves)
}

/// See [`Case::replay`].
pub type ReplayFn = Box<dyn Fn(&Options<'_>, &[Move]) -> Result<Trace, (usize, String)> + Send + Sync>;

/// What a case checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The shipped engine.
    Engine,
    /// A protocol with a bug, broken or fixed.
    Bug,
    /// A protocol as read in a current kernel, which looks wrong and is not confirmed to be wrong.
    Suspect,
}

/// Variant of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The engine as it ships.
    Shipped,
    /// A historical protocol as it was.
    Broken,
    /// The same with its fix.
    Fixed,
}

impl Variant {
    /// Returns its name, with which names of cases end.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Broken => "broken",
            Self::Fixed => "fixed",
        }
    }
}

/// Expected outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No execution breaks a rule.
    Holds,
    /// Some execution does (a deadlock or livelock counts; a panic or a misuse of the machine shows no bug).
    Violates,
}

impl Expected {
    /// Whether `verdict` is what this says. A run that was stopped never is.
    pub fn is_met_by(self, verdict: &Verdict) -> bool {
        match self {
            Self::Holds => *verdict == Verdict::Holds,
            Self::Violates => {
                matches!(verdict, Verdict::Violates(_) | Verdict::Deadlock(_) | Verdict::Livelock(_))
            }
        }
    }
}
