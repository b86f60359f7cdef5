//! Puts the engine on a machine as a plan says, and lets the explorer run it.

use super::boot::Oracles;
use super::code::OLD;
use super::cpu::Cpu;
use super::fault::Fault;
use super::modes::Modes;
use super::nmi::{LINE, Marks, Nmi};
use super::plan::Plan;
use super::queue::COMMANDS;
use super::sim::{Handle, History, IPI, Mask, Sim, TestMachine};
use super::start::Start;
use super::wires::{ACTION, HOST};
use super::world::{MISSING, World, frame, kernel_frame, spaces_with_frames};
use shootdown::mask::MaskStore;
use shootdown::refs::UserHandle;
use shootdown::{AddressSpace, Shootdown};
use shootdown_explore::sync::Word;
use shootdown_explore::{Interrupts, Registry, Scenario};
use shootdown_machine::{Acknowledged, Builder, Machine, MaskWord};
use std::fmt;
use std::sync::Arc;

/// A scenario: a world, and what its CPUs run.
pub struct Run<S: TestMachine> {
    world: World<S>,
    plan: Arc<Plan<S>>,
    fault: Fault,
}

impl<S: TestMachine> fmt::Debug for Run<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl<S: TestMachine> Plan<S> {
    fn lacks(&self, space: usize, page: usize) -> bool {
        self.missing && (space, page) == MISSING
    }
}

impl<S: TestMachine> Run<S> {
    /// Builds the world.
    pub fn new(plan: Arc<Plan<S>>, fault: Fault, oracles: Oracles) -> Self {
        let cpus = plan.cpus.len();
        let sim = Sim::new(cpus, plan.cpus.iter().map(|(start, _)| *start), oracles);
        let engine = Box::leak(Box::new(Shootdown::new(sim, Mask::new())));
        let space = |root| {
            let space = engine.new_space(root, Mask::new()).expect("masks are equally large");
            &*Box::leak(Box::new(space))
        };
        let spaces: Vec<_> = (0..plan.spaces).map(space).collect();
        let counted = if plan.owned { &[] } else { &spaces[..] };
        for (index, &space) in counted.iter().enumerate() {
            let Ok(first) = engine.register(Handle(space)) else {
                unreachable!("a new space is registered once")
            };
            let pins = if index == 0 { plan.pins } else { 0 };
            for _ in 0..pins {
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
            bring_to(engine, &spaces, *start, plan.owned);
        }
        S::before(&History { engine, spaces: &spaces });
        let machine = Self::machine(&plan, engine.platform(), oracles);
        engine.platform().boot.finish();
        let nmi = Marks::new(plan.cpus.iter().map(|(start, _)| matches!(start, Start::User(_))));
        let identities = spaces.iter().map(|space| 1 << space.id().number()).sum();
        let world = World {
            engine,
            machine,
            spaces,
            contested: plan.contested,
            resets: plan.resets,
            nmi,
            has_modes: plan.modes,
            modes: Modes::new(cpus),
            identities: Box::new(Word::new("identities", identities)),
        };
        Self { world, plan, fault }
    }

    fn machine(plan: &Plan<S>, sim: &Sim<S>, oracles: Oracles) -> Machine {
        let mut builder = Machine::builder(plan.cpus.len())
            .spaces(plan.spaces, plan.tables)
            .tags(S::TAGS + 1)
            .kernel_pages(plan.kernel_pages)
            .order(S::ORDER)
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
        if S::CODE {
            builder = builder.code(OLD);
        }
        if plan.modes {
            builder = builder.privilege();
        }
        for (cpu, (start, _)) in plan.cpus.iter().enumerate() {
            let tag = sim.boot.tag(cpu);
            builder = match *start {
                Start::User(space) => builder.start(cpu, space, tag, true),
                Start::Lazy(space) => builder.start(cpu, space, tag, false),
                Start::Kernel => builder,
                Start::Offline => Self::never_booted(builder, cpu, plan.spaces),
                Start::Iommu(space) => builder.start(cpu, space, 0, true).iommu(cpu),
                Start::Device(iommu, space) => builder.start(cpu, space, 0, true).device(cpu, iommu),
            };
        }
        if plan.dies {
            builder = builder.must_free_root(0).must_free_table(1);
            builder = builder.must_free_frame(frame(0, 0)).must_free_frame(frame(0, 1));
        }
        let values = |space| [0, 1].map(|page| (!plan.lacks(space, page)).then(|| frame(space, page) as u64));
        let builder = sim.boot.fill(builder, values);
        if oracles == Oracles::Watch { builder.without_oracle() } else { builder }.build()
    }

    /// A CPU that has not been on line yet: its TLB may hold anything, under any tag.
    fn never_booted(builder: Builder, cpu: usize, spaces: usize) -> Builder {
        let junk = |builder: Builder, (tag, space)| builder.cached(cpu, tag as u8, 0, frame(space, 0) as u64);
        let all = (0..=S::TAGS).flat_map(|tag| (0..spaces).map(move |space| (tag, space)));
        all.fold(builder.offline(cpu), junk)
    }
}

impl<S: TestMachine> Scenario for Run<S> {
    type Device = Machine;

    fn cpus(&self) -> usize {
        self.plan.cpus.len()
    }
    fn main(&self, cpu: usize) {
        self.plan.cpus[cpu].1(&Cpu::new(&self.world, cpu));
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        match line {
            IPI => self.world.handle_ipi(cpu),
            ACTION => self.world.engine.platform().wires.act(cpu),
            COMMANDS => self.world.work_off_commands(cpu),
            LINE if S::NMI == Nmi::Profiles => self.world.profile(cpu),
            LINE => self.world.nmi.taken(S::NMI, cpu, self.world.spaces[0]),
            _ => self.world.engine.platform().wires.preempt(cpu, S::ON_ENTRY, S::CODE),
        }
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        let nmi = u32::from(S::NMI != Nmi::Never) << LINE;
        nmi | u32::from(self.plan.preempted.contains(&cpu)) << HOST
    }
    fn non_maskable(&self) -> u32 {
        1 << ACTION | 1 << HOST | 1 << LINE
    }
    fn interrupts(&self) -> Interrupts {
        S::INTERRUPTS
    }
    fn device(&self) -> &Machine {
        &self.world.machine
    }
    fn register(&self, registry: &mut Registry) {
        // In each later word are the CPUs from a later one on.
        let words = |space: usize| {
            let words = self.world.spaces[space].mask().words().iter().enumerate();
            let first = |at: usize| at * S::CPUS_PER_WORD as usize;
            words.map(move |(at, word)| MaskWord { space, word: word.cell(), first: first(at) })
        };
        let masks: Vec<_> = (0..self.world.spaces.len()).flat_map(words).collect();
        for (index, &space) in self.world.spaces.iter().enumerate() {
            registry.object(shootdown_machine::space_name(index), space);
        }
        for (cpu, local) in self.world.engine.platform().locals.iter().enumerate() {
            registry.local(cpu, format!("cpu{cpu}"), local);
        }
        registry.object("engine", self.world.engine);
        if let Some(queue) = &self.world.engine.platform().queue {
            registry.object("queue", &**queue);
        }
        if let Some(watch) = &self.world.engine.platform().boot.watch {
            registry.object("sanitizer", watch);
        }
        let caught: Vec<_> =
            self.world.engine.platform().locals.iter().map(|local| local.kernel_caught()).collect();
        let generation = self.world.engine.kernel_generation();
        let acknowledged = self.plan.acknowledged.then_some(Acknowledged { generation, caught: &caught });
        self.world.machine.register_acknowledged(registry, &masks, acknowledged);
    }
    fn context(&self) -> u64 {
        self.fault.context() | self.plan.context
    }
}

/// Brings the CPU for which the engine is being built to its start.
fn bring_to<S: TestMachine>(
    engine: &Shootdown<Sim<S>>,
    spaces: &[&'static AddressSpace<Sim<S>>],
    start: Start,
    owned: bool,
) {
    if matches!(start, Start::Offline | Start::Iommu(_) | Start::Device(..)) {
        return;
    }
    engine.online_cpu().expect("a mask holds eight CPUs");
    if let (Start::User(space) | Start::Lazy(space), true) = (start, owned) {
        super::enter::enter(engine, spaces[space]);
    } else if let Start::User(space) | Start::Lazy(space) = start {
        // SAFETY: 1. the thread's reference is counted; it is taken apart again below.
        let user = unsafe { UserHandle::from_inner(Handle(spaces[space])) };
        let user = engine.user_from_handle(user);
        engine.switch_to(&user);
        let _ = user.into_handle();
    }
    if let Start::Lazy(_) = start {
        engine.enter_lazy();
    }
}
