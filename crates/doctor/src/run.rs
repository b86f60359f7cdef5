//! Builds a machine with spaces and threads around a platform, and lets the explorer run it.

use crate::cpu::Cpu;
use crate::plan::{Code, Handler, Plan, Start};
use crate::sim::{ARRIVAL, COMMANDS, HOST, IPI, Sim, Wires};
use crate::size::{PAGES, TAGS};
use crate::world::{PlatformUnderTest, World, frame, kernel_frame, root};
use shootdown::mask::MaskStore;
use shootdown::refs::UserHandle;
use shootdown::{AddressSpace, Shootdown};
use shootdown_explore::{Registry, Scenario, sync};
use shootdown_machine::{Machine, MaskWord, space_name};
use std::fmt;
use std::sync::atomic::Ordering::Release;

/// A plan on its machine: a world, and what its CPUs run.
pub(crate) struct Run<P: PlatformUnderTest> {
    world: World<P>,
    code: Vec<Code<P>>,
    handler: Handler,
    preempted: &'static [usize],
    context: u64,
    masks: bool,
}

impl<P: PlatformUnderTest> fmt::Debug for Run<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl<P: PlatformUnderTest> Run<P> {
    /// Builds the world. Its parts are leaked, since explorations refer to them by address.
    pub(crate) fn new(plan: &Plan<P>) -> Self {
        let wires = &*Box::leak(Box::new(Wires::new(
            plan.cpus.len(),
            plan.profile,
            P::RANGE_CEILING,
            plan.kernel_pages,
        )));
        Sim(wires).enter();
        let room = &*Box::leak(Box::new(P::room()));
        let engine = &*Box::leak(Box::new(Shootdown::new(P::new(Sim(wires), room), P::Mask::default())));
        let space = |index| {
            let space = engine.new_space(root::<P>(index), P::Mask::default());
            &*Box::leak(Box::new(space.expect("the machine's mask and its spaces' are of one type")))
        };
        let spaces: Vec<_> = (0..plan.spaces).map(space).collect();
        if plan.masks {
            count(engine, &spaces, plan);
            for (cpu, (start, _)) in plan.cpus.iter().enumerate() {
                wires.boot.go_on(cpu);
                bring_up(engine, &spaces, *start);
            }
        }
        assert!(wires.machine.set(machine(plan, wires)).is_ok(), "a world has one machine");
        wires.boot.finish();
        Self {
            world: World { engine, wires, spaces },
            code: plan.cpus.iter().map(|cpu| cpu.1).collect(),
            handler: plan.handler,
            preempted: plan.preempted,
            context: plan.context,
            masks: plan.masks,
        }
    }
}

/// Counts the references that threads and code own.
fn count<P: PlatformUnderTest>(
    engine: &'static Shootdown<P>,
    spaces: &[&'static AddressSpace<P>],
    plan: &Plan<P>,
) {
    for (index, &space) in spaces.iter().enumerate() {
        let Ok(first) = engine.register(space) else { unreachable!("a new space is registered once") };
        for _ in 0..plan.pins[index] {
            let _ = first.grab().into_handle();
        }
        let owners = plan.cpus.iter().filter(|cpu| cpu.0 == Start::User(index)).count() as u64;
        let users = owners + plan.sleepers[index];
        assert!(users > 0, "space {index} needs a user at the start");
        for _ in 1..users {
            let _ = first.clone().into_handle();
        }
        let _ = first.into_handle();
    }
}

/// Brings the CPU for which the world is being built to its start.
fn bring_up<P: PlatformUnderTest>(
    engine: &'static Shootdown<P>,
    spaces: &[&'static AddressSpace<P>],
    start: Start,
) {
    if let Start::Iommu(_) = start {
        return;
    }
    engine.online_cpu().expect("the masks have room for the machine's CPUs");
    if let Start::User(space) | Start::Lazy(space) = start {
        // SAFETY: 1. the thread's reference is counted; it is taken apart again below.
        let user = unsafe { UserHandle::from_inner(spaces[space]) };
        let user = engine.user_from_handle(user);
        P::enter_user(engine, &user);
        let _ = user.into_handle();
    }
    if let Start::Lazy(_) = start {
        P::leave_user(engine);
    }
}

fn machine<P: PlatformUnderTest>(plan: &Plan<P>, wires: &Wires) -> Machine {
    let mut builder =
        Machine::builder(plan.cpus.len()).spaces(plan.spaces, 1).tags(TAGS).kernel_pages(plan.kernel_pages);
    for (space, page) in (0..2).flat_map(|space| (0..PAGES as usize).map(move |page| (space, page))) {
        let exists = space < plan.spaces;
        builder = builder.translation(frame(space, page), exists.then_some(space), true);
        if exists {
            builder = builder.map(space, page, frame(space, page) as u64);
        }
    }
    if plan.kernel_table {
        builder = builder.kernel_table();
    }
    for page in 0..plan.kernel_pages {
        let frame = kernel_frame(page);
        builder = builder.translation(frame, None, true).map_kernel(page, frame as u64);
    }
    if plan.masks {
        for (cpu, (start, _)) in plan.cpus.iter().enumerate() {
            if let Start::Iommu(space) = *start {
                wires.queue.shares(cpu, space);
                builder = builder.start(cpu, space, 0, true).iommu(cpu);
                continue;
            }
            let booted = wires.boot.booted(cpu);
            if let Some(space) = booted.space {
                builder = builder.start(cpu, space, booted.tag, matches!(start, Start::User(_)));
            }
            if !P::HARDWARE_WALKER && !matches!(start, Start::User(_)) {
                builder = builder.taken_off(cpu);
            }
        }
    }
    for &space in plan.die {
        builder = builder.must_free_root(space).must_free_table(space as u64 + 1);
        builder = builder.must_free_frame(frame(space, 0)).must_free_frame(frame(space, 1));
    }
    wires.boot.fill(builder, |space, page| frame(space, page) as u64).build()
}

impl<P: PlatformUnderTest> Scenario for Run<P> {
    type Device = Machine;

    fn cpus(&self) -> usize {
        self.code.len()
    }
    fn main(&self, cpu: usize) {
        Sim(self.world.wires).enter();
        self.code[cpu](&Cpu::new(&self.world, cpu));
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        Sim(self.world.wires).enter();
        match (line, self.handler) {
            (IPI, handler) => {
                // SAFETY: 1. a handler runs with interrupts off, and comes where they are on.
                unsafe { P::handle_ipi(self.world.engine) };
                if let Handler::Notes = handler {
                    assert!(!sync::irq_enabled(), "the IPI handler returns with interrupts on");
                    self.world.wires.handled[cpu].store(1, Release);
                }
            }
            (ARRIVAL, _) => self.world.wires.arrive(),
            (COMMANDS, _) => self.world.wires.queue.work_off(),
            _ => self.world.wires.preempt(),
        }
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        u32::from(self.preempted.contains(&cpu)) << HOST
    }
    fn non_maskable(&self) -> u32 {
        1 << HOST | 1 << ARRIVAL
    }
    fn device(&self) -> &Machine {
        self.world.machine()
    }
    fn register(&self, registry: &mut Registry) {
        for (index, &space) in self.world.spaces.iter().enumerate() {
            registry.object(space_name(index), space);
        }
        let platform = self.world.engine.platform();
        for cpu in 0..self.code.len() {
            let local = platform.local(shootdown::CpuId::new(cpu as u32));
            registry.local(cpu, format!("cpu{cpu}"), local);
        }
        registry.object("engine", self.world.engine);
        self.world.wires.name(registry);
        let words: Vec<_> = self.world.spaces.iter().map(|space| space.mask().words()[0].cell()).collect();
        let masks = words.iter().enumerate().map(|(space, &word)| MaskWord { space, word, first: 0 });
        let masks: Vec<_> = masks.filter(|_| self.masks).collect();
        self.world.machine().register(registry, &masks);
    }
    fn context(&self) -> u64 {
        self.context
    }
}
