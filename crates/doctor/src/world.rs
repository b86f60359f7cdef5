//! Builds a machine with spaces and threads around a platform.

use crate::cpu::Cpu;
use crate::sim::{ARRIVAL, HOST, IPI, PAGES, Profile, Sim, TAGS, Wires};
use shootdown::mask::MaskStore;
use shootdown::refs::UserHandle;
use shootdown::{AddressSpace, Shootdown};
use shootdown_explore::{Registry, Scenario, sync};
use shootdown_machine::{Machine, MaskWord, space_name};
use shootdown_ports::Portable;
use std::sync::atomic::Ordering::Release;

/// A platform that the doctor can examine: one over the simulated machine's ports.
///
/// Nobody implements it: it names what every [`Portable`] platform has that is made of nothing borrowed.
pub trait PlatformUnderTest: Portable<Sim, Mask: Default, Pin: Sized> + Sync + 'static {}

impl<P> PlatformUnderTest for P where P: Portable<Sim, Mask: Default> + Sync + 'static {}

/// What a CPU does at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Runs a thread of this space, which owns a user reference.
    User(usize),
    /// Runs a kernel thread, lazy on this space; nothing is owned.
    Lazy(usize),
    /// Runs a kernel thread on the kernel's own root.
    Kernel,
}

/// Which code handles the IPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    /// The platform's handler.
    Own,
    /// The same, and it notes that it was called.
    Notes,
}

/// What a CPU runs.
pub(crate) type Code<P> = fn(&Cpu<'_, P>);

/// How a world begins.
pub(crate) struct Plan<P: PlatformUnderTest> {
    /// Start and code of each CPU.
    pub(crate) cpus: Vec<(Start, Code<P>)>,
    /// Number of spaces.
    pub(crate) spaces: usize,
    /// Per space: user references owned by threads that sleep for ever.
    pub(crate) sleepers: [u64; 2],
    /// Per space: struct references owned by code.
    pub(crate) pins: [u64; 2],
    /// Spaces whose root must be freed by the end.
    pub(crate) die: &'static [usize],
    /// Kernel pages.
    pub(crate) kernel_pages: usize,
    /// CPUs that the hypervisor takes off once, at any time.
    pub(crate) preempted: &'static [usize],
    pub(crate) handler: Handler,
    pub(crate) profile: Profile,
    /// What is asked of the engine's checks, besides.
    pub(crate) context: u64,
    /// Whether the engine's masks are checked, which takes an engine that loads the roots.
    pub(crate) masks: bool,
}

impl<P: PlatformUnderTest> Plan<P> {
    pub(crate) fn new(cpus: Vec<(Start, Code<P>)>) -> Self {
        Self {
            cpus,
            spaces: 1,
            sleepers: [0; 2],
            pins: [0; 2],
            die: &[],
            kernel_pages: 0,
            preempted: &[],
            handler: Handler::Own,
            profile: Profile::PLAIN,
            context: 0,
            masks: true,
        }
    }
}

/// A plan on its machine.
pub(crate) struct World<P: PlatformUnderTest> {
    pub(crate) engine: &'static Shootdown<P>,
    pub(crate) wires: &'static Wires,
    pub(crate) spaces: Vec<&'static AddressSpace<P>>,
    code: Vec<Code<P>>,
    handler: Handler,
    preempted: &'static [usize],
    context: u64,
    masks: bool,
}

/// Frame (and translation value) of a page of a space.
pub(crate) fn frame(space: usize, page: usize) -> usize {
    1 + space * PAGES as usize + page
}

/// Frame of a kernel page; the machine has frames for two spaces.
pub(crate) fn kernel_frame(page: usize) -> usize {
    frame(2, page)
}

impl<P: PlatformUnderTest> World<P> {
    /// Builds the world. What it is made of is never given back: explorations refer to it by address.
    pub(crate) fn new(plan: &Plan<P>) -> Self {
        let wires = &*Box::leak(Box::new(Wires::new(plan.cpus.len(), plan.profile)));
        let room = &*Box::leak(Box::new(P::room()));
        let engine = &*Box::leak(Box::new(Shootdown::new(P::new(Sim(wires), room), P::Mask::default())));
        let space = |index| {
            let space = engine.new_space(Sim::root_of(index), P::Mask::default());
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
            engine,
            wires,
            spaces,
            code: plan.cpus.iter().map(|cpu| cpu.1).collect(),
            handler: plan.handler,
            preempted: plan.preempted,
            context: plan.context,
            masks: plan.masks,
        }
    }

    pub(crate) fn machine(&self) -> &'static Machine {
        self.wires.machine.get().expect("set when the world was built")
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
    engine.online_cpu().expect("the masks have room for the machine's CPUs");
    if let Start::User(space) | Start::Lazy(space) = start {
        // SAFETY: 1. the thread's reference is counted; it is taken apart again below.
        let user = unsafe { UserHandle::from_inner(spaces[space]) };
        let user = engine.user_from_handle(user);
        engine.switch_to(&user);
        let _ = user.into_handle();
    }
    if let Start::Lazy(_) = start {
        engine.enter_lazy();
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
    for page in 0..plan.kernel_pages {
        let frame = kernel_frame(page);
        builder = builder.translation(frame, None, true).map_kernel(page, frame as u64);
    }
    if plan.masks {
        for (cpu, (start, _)) in plan.cpus.iter().enumerate() {
            let booted = wires.boot.booted(cpu);
            if let Some(space) = booted.space {
                builder = builder.start(cpu, space, booted.tag, matches!(start, Start::User(_)));
            }
        }
    }
    for &space in plan.die {
        builder = builder.must_free_root(space).must_free_table(space as u64 + 1);
        builder = builder.must_free_frame(frame(space, 0)).must_free_frame(frame(space, 1));
    }
    wires.boot.fill(builder, |space, page| frame(space, page) as u64).build()
}

impl<P: PlatformUnderTest> Scenario for World<P> {
    type Device = Machine;

    fn cpus(&self) -> usize {
        self.code.len()
    }
    fn main(&self, cpu: usize) {
        self.code[cpu](&Cpu::new(self, cpu));
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        match (line, self.handler) {
            (IPI, handler) => {
                // SAFETY: 1. a handler runs with interrupts off, and comes where they are on.
                unsafe { P::handle_ipi(self.engine) };
                if let Handler::Notes = handler {
                    self.wires.handled[cpu].store(1, Release);
                }
            }
            (ARRIVAL, _) => self.wires.arrive(),
            _ => self.wires.preempt(),
        }
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        u32::from(self.preempted.contains(&cpu)) << HOST
    }
    fn non_maskable(&self) -> u32 {
        1 << HOST | 1 << ARRIVAL
    }
    fn device(&self) -> &Machine {
        self.machine()
    }
    fn register(&self, registry: &mut Registry) {
        for (index, &space) in self.spaces.iter().enumerate() {
            registry.object(space_name(index), space);
        }
        let platform = self.engine.platform();
        for cpu in 0..self.code.len() {
            let local = platform.local(shootdown::CpuId::new(cpu as u32));
            registry.local(cpu, format!("cpu{cpu}"), local);
        }
        registry.object("engine", self.engine);
        self.wires.name(registry);
        let words: Vec<_> = self.spaces.iter().map(|space| space.mask().words()[0].cell()).collect();
        let masks = words.iter().enumerate().map(|(space, &word)| MaskWord { space, word, first: 0 });
        let masks: Vec<_> = masks.filter(|_| self.masks).collect();
        self.machine().register(registry, &masks);
    }
    fn context(&self) -> u64 {
        self.context
    }
}

/// Heads a part of the drawing.
pub(crate) fn note(text: &'static str) {
    sync::note(text);
}
