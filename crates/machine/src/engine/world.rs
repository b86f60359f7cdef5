//! Builds a machine with spaces and threads, and gives scenario code the vocabulary of a small kernel.

use super::boot::{self, History};
use super::cpu::Cpu;
use super::fault::Fault;
use super::nmi::{LINE, Marks, Nmi};
use super::sim::{Handle, IPI, Mask, Sim, TestMachine};
use super::transport::{ACTION, HOST};
use crate::config::Builder;
use crate::hw;
use crate::machine::{Acknowledged, Machine, MaskWord};
use shootdown::mask::MaskStore;
use shootdown::{AddressSpace, Shootdown};
use shootdown_explore::sync::Word;
use shootdown_explore::{Registry, Scenario};

/// What a CPU does at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Runs a thread of this space, which owns a user reference.
    User(usize),
    /// Runs a kernel thread, lazy on this space; nothing is owned.
    Lazy(usize),
    /// Runs a kernel thread on the kernel's own root.
    Kernel,
    /// Off line.
    Offline,
}

/// What a CPU runs.
pub type Code<S> = fn(&Cpu<'_, S>);

/// A scenario: starts, references that sleep, and code.
pub struct World<S: TestMachine> {
    pub(super) engine: &'static Shootdown<Sim<S>>,
    pub(super) machine: Machine,
    pub(super) spaces: Vec<&'static AddressSpace<Sim<S>>>,
    code: Vec<Code<S>>,
    pub(super) contested: bool,
    pub(super) resets: bool,
    acknowledged: bool,
    context: u64,
    preempted: &'static [usize],
    pub(super) nmi: Marks,
    /// A bit for each identity that a space has been given.
    pub(super) identities: Box<Word>,
}

/// How a world begins.
pub struct Plan<S: TestMachine> {
    /// Start and code of each CPU.
    pub cpus: Vec<(Start, Code<S>)>,
    /// Number of spaces (1 to 5).
    pub spaces: usize,
    /// Per space: user references owned by threads that sleep for ever; 1 for the third space and on.
    pub sleepers: [u64; 2],
    /// Per space: struct references owned by code (`Cpu::pinned`); 0 for the third space and on.
    pub pins: [u64; 2],
    /// Spaces whose root must be freed by the end.
    pub die: &'static [usize],
    /// Leaf tables of each space: 1, or 2 where there is one space.
    pub tables: usize,
    /// Kernel pages.
    pub kernel_pages: usize,
    /// Whether they are in a table of their own, which can be freed.
    pub kernel_table: bool,
    /// Whether CPUs that come on line are checked by what they acknowledge, and not only once they have flushed.
    pub acknowledged: bool,
    /// Whether a CPU that comes on line was reset, so that the IPIs that it had not handled are lost. Else it finds them.
    pub resets: bool,
    /// Whether two CPUs may clear the same entry: entries are then cleared by an atomic exchange.
    pub contested: bool,
    /// Context bits besides the fault.
    pub context: u64,
    /// CPUs that the hypervisor takes off once, at any time.
    pub preempted: &'static [usize],
    /// Whether page 1 of the first space is not mapped at the start; its frame is there for [`Cpu::resolve`].
    pub missing: bool,
}

/// Which oracles check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracles {
    /// The machine, which knows what TLBs hold.
    Machine,
    /// The TLB sanitizer for real kernels (`shootdown-judge`), which knows what the platform is told.
    Watch,
    /// Both.
    Both,
}

/// An unmapped frame or table; given back when dropped.
pub enum Page {
    /// A frame.
    Frame(usize),
    /// A leaf table.
    Table(u64),
}

impl Drop for Page {
    fn drop(&mut self) {
        match *self {
            Page::Frame(frame) => hw::free_frame(frame),
            Page::Table(table) => hw::free_table(table),
        }
    }
}

/// The page that [`Plan::missing`] is about.
pub(super) const MISSING: (usize, usize) = (0, 1);

impl<S: TestMachine> Plan<S> {
    fn lacks(&self, space: usize, page: usize) -> bool {
        self.missing && (space, page) == MISSING
    }
}

/// Frame (and translation value) of a page of a space.
pub(super) fn frame(space: usize, page: usize) -> usize {
    1 + space * 2 + page
}

/// Spaces whose frames a machine of so many spaces has.
fn spaces_with_frames(spaces: usize) -> usize {
    spaces.max(2)
}

/// Frame of a kernel page.
pub(super) fn kernel_frame(spaces: usize, page: usize) -> usize {
    1 + spaces_with_frames(spaces) * 2 + page
}

impl<S: TestMachine> World<S> {
    /// Builds the world.
    pub fn new(plan: &Plan<S>, fault: Fault, oracles: Oracles) -> Self {
        let cpus = plan.cpus.len();
        let engine = Box::leak(Box::new(Shootdown::new(Sim::new(cpus, oracles), Mask::new())));
        let space = |root| {
            let space = engine.new_space(root, Mask::new()).expect("masks are equally large");
            &*Box::leak(Box::new(space))
        };
        let spaces: Vec<_> = (0..plan.spaces).map(space).collect();
        for (index, &space) in spaces.iter().enumerate() {
            let Ok(first) = engine.register(Handle(space)) else {
                unreachable!("a new space is registered once")
            };
            for _ in 0..plan.pins.get(index).copied().unwrap_or(0) {
                let _ = first.grab().into_handle();
            }
            let owners = plan.cpus.iter().filter(|cpu| cpu.0 == Start::User(index)).count() as u64;
            let users = owners + plan.sleepers.get(index).copied().unwrap_or(1);
            assert!(users > 0, "space {index} needs a user at the start");
            for _ in 1..users {
                let _ = first.clone().into_handle();
            }
            let _ = first.into_handle();
        }
        for (cpu, (start, _)) in plan.cpus.iter().enumerate() {
            engine.platform().boot.go_on(cpu);
            boot::start(engine, &spaces, *start);
        }
        S::before(&History { engine, spaces: &spaces });
        let machine = Self::machine(plan, engine.platform(), oracles);
        engine.platform().boot.finish();
        let code = plan.cpus.iter().map(|cpu| cpu.1).collect();
        let context = fault.context() | plan.context;
        let nmi = Marks::new(plan.cpus.iter().map(|(start, _)| matches!(start, Start::User(_))));
        let identities = spaces.iter().map(|space| 1 << space.id().number()).sum();
        Self {
            engine,
            machine,
            spaces,
            code,
            contested: plan.contested,
            resets: plan.resets,
            acknowledged: plan.acknowledged,
            context,
            preempted: plan.preempted,
            nmi,
            identities: Box::new(Word::new("identities", identities)),
        }
    }

    fn machine(plan: &Plan<S>, sim: &Sim<S>, oracles: Oracles) -> Machine {
        let mut builder = Machine::builder(plan.cpus.len())
            .spaces(plan.spaces, plan.tables)
            .tags(S::TAGS + 1)
            .kernel_pages(plan.kernel_pages)
            .share_tlb(S::SHARED_TLB);
        assert!(plan.tables == 1 || plan.spaces == 1, "two tables where there is one space");
        let pages = 2 * plan.tables;
        for number in 0..2 * spaces_with_frames(plan.spaces) {
            let (space, page) = (number / pages, number % pages);
            builder = builder.translation(frame(space, page), (space < plan.spaces).then_some(space), true);
            if space < plan.spaces && !plan.lacks(space, page) {
                builder = builder.map(space, page, frame(space, page) as u64);
            }
        }
        for page in 0..plan.kernel_pages {
            let frame = kernel_frame(plan.spaces, page);
            builder = builder.translation(frame, None, true).map_kernel(page, frame as u64);
        }
        if plan.kernel_table {
            builder = builder.kernel_table();
        }
        for (cpu, (start, _)) in plan.cpus.iter().enumerate() {
            let tag = sim.boot.tag(cpu);
            builder = match *start {
                Start::User(space) => builder.start(cpu, space, tag, true),
                Start::Lazy(space) => builder.start(cpu, space, tag, false),
                Start::Kernel => builder,
                Start::Offline => Self::never_booted(builder, cpu, plan.spaces),
            };
        }
        for &space in plan.die {
            builder = builder.must_free_root(space).must_free_table(space as u64 + 1);
            builder = builder.must_free_frame(frame(space, 0)).must_free_frame(frame(space, 1));
        }
        let values = |space| [0, 1].map(|page| (!plan.lacks(space, page)).then(|| frame(space, page) as u64));
        let builder = sim.boot.fill(builder, values);
        if oracles == Oracles::Watch { builder.without_oracle() } else { builder }.build()
    }
}

impl<S: TestMachine> World<S> {
    /// A CPU that has not been on line yet: its TLB may hold anything, under any tag.
    fn never_booted(builder: Builder, cpu: usize, spaces: usize) -> Builder {
        let junk = |builder: Builder, (tag, space)| builder.cached(cpu, tag as u8, 0, frame(space, 0) as u64);
        let all = (0..=S::TAGS).flat_map(|tag| (0..spaces).map(move |space| (tag, space)));
        all.fold(builder.offline(cpu), junk)
    }
}

impl<S: TestMachine> Scenario for World<S> {
    type Device = Machine;

    fn cpus(&self) -> usize {
        self.code.len()
    }
    fn main(&self, cpu: usize) {
        self.code[cpu](&Cpu::new(self, cpu));
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        match line {
            // SAFETY: 1. a handler runs with interrupts off; 2. none comes between the engine's steps, which have them off.
            IPI => unsafe { self.engine.handle_ipi() },
            ACTION => self.engine.platform().wires.act(cpu),
            LINE => self.nmi.taken(S::NMI, cpu, self.spaces[0]),
            _ => self.engine.platform().wires.preempt(cpu),
        }
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        let nmi = u32::from(S::NMI != Nmi::Never) << LINE;
        nmi | u32::from(self.preempted.contains(&cpu)) << HOST
    }
    fn non_maskable(&self) -> u32 {
        1 << ACTION | 1 << HOST | 1 << LINE
    }
    fn device(&self) -> &Machine {
        &self.machine
    }
    fn register(&self, registry: &mut Registry) {
        // In each later word are the CPUs from a later one on.
        let words = |space: usize| {
            let words = self.spaces[space].mask().words().iter().enumerate();
            let first = |at: usize| at * S::CPUS_PER_WORD as usize;
            words.map(move |(at, word)| MaskWord { space, word: word.cell(), first: first(at) })
        };
        let masks: Vec<_> = (0..self.spaces.len()).flat_map(words).collect();
        for (index, &space) in self.spaces.iter().enumerate() {
            registry.object(crate::tables::space_name(index), space);
        }
        for (cpu, local) in self.engine.platform().locals.iter().enumerate() {
            registry.local(cpu, format!("cpu{cpu}"), local);
        }
        registry.object("engine", self.engine);
        if let Some(watch) = &self.engine.platform().boot.watch {
            registry.object("sanitizer", watch);
        }
        let caught: Vec<_> =
            self.engine.platform().locals.iter().map(|local| local.kernel_caught()).collect();
        let generation = self.engine.kernel_generation();
        let acknowledged = self.acknowledged.then_some(Acknowledged { generation, caught: &caught });
        self.machine.register_acknowledged(registry, &masks, acknowledged);
    }
    fn context(&self) -> u64 {
        self.context
    }
}
