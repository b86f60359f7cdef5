//! Building a machine, running scripts on its CPUs in all ways that loom finds, and checking each.

use super::cpu::Cpu;
use super::hw::{Hw, Kind, Mask, Puppet, Root, become_cpu};
use super::memory::{Blame, Memory};
use loom::sync::atomic::AtomicU64;
use shootdown_under_loom::flush::{PageRange, VirtAddr};
use shootdown_under_loom::refs::SpaceHandle;
use shootdown_under_loom::{AddressSpace, Shootdown, SpaceId};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Number of the first kernel page.
pub const KERNEL: usize = 64;
/// The page that lies behind a second table.
pub const TABLE: usize = 1;

/// What a CPU does after its script.
#[derive(Clone, Copy, PartialEq)]
pub enum Idle {
    /// Handles IPIs until all have finished. The stronger check, for two threads: with three, two that wait would
    /// alternate for ever.
    Serves,
    /// Hands its part over: a CPU that waits for it handles its IPI in its place.
    Parks,
}

/// What a CPU does at the start.
#[derive(Clone, Copy)]
pub enum Start {
    /// Runs a kernel thread on the kernel's own root.
    Kernel,
    /// Runs a thread of this space.
    User(usize),
    /// Runs a kernel thread, lazy on this space.
    Lazy(usize),
    /// Has run a thread of each of these spaces in turn, and runs the last.
    InTurn(&'static [usize]),
}

/// What a CPU runs.
pub type Script<K> = fn(&Cpu<K>);

/// A space at the start.
pub(super) struct Space {
    /// User pages; page [`TABLE`], where there is one, lies behind a table of its own if the plan says so.
    pub(super) pages: usize,
    /// User references that scripts take up.
    pub(super) users: usize,
    /// Struct references that scripts take up.
    pub(super) pins: usize,
}

/// What a machine has at the start, and what its CPUs do.
pub(super) struct Plan<K: Kind> {
    pub(super) spaces: Vec<Space>,
    /// Kernel pages.
    pub(super) kernel: usize,
    /// Whether page [`TABLE`] lies behind a second table.
    pub(super) tables: bool,
    pub(super) cpus: Vec<(Start, Script<K>)>,
    /// What happens once the CPUs are brought to their starts, before they run at once.
    pub(super) before: fn(&Machine<K>),
    /// What CPUs do after their scripts.
    pub(super) idle: Idle,
    /// CPUs without a thread of their own, numbered on from the others: whose thread they run on, and what they touch.
    pub(super) puppets: Vec<(usize, usize)>,
}

/// A machine with its engine and spaces.
pub struct Machine<K: Kind> {
    /// The engine.
    pub engine: Shootdown<Hw<K>>,
    pub(super) spaces: Vec<Arc<Object<K>>>,
    /// What users of each space keep besides its translations (a list of mappings, say).
    pub(super) notes: Vec<Arc<Memory>>,
    /// What user code may assume of each page's address: nobody uses what was there.
    pub(super) addresses: Vec<Arc<Memory>>,
    /// Identities of all spaces.
    pub(super) identities: Mutex<BTreeSet<u64>>,
    /// Lock over all page tables.
    pub(super) lock: loom::sync::Mutex<()>,
}

/// The embedder's object around a space.
pub struct Object<K: Kind> {
    space: AddressSpace<Hw<K>>,
}

// SAFETY: 1. one field of one allocation; 2. the `Arc` keeps it in place.
unsafe impl<K: Kind> SpaceHandle<Hw<K>> for Arc<Object<K>> {
    fn space(&self) -> &AddressSpace<Hw<K>> {
        &self.space
    }
}

/// Range of one page.
pub fn page(page: usize) -> PageRange {
    PageRange::page(VirtAddr((page as u64) << 12))
}

impl<K: Kind> Machine<K> {
    fn new(plan: &Plan<K>) -> Arc<Self> {
        let blame = Blame::default();
        let mut memory = Vec::new();
        let mut add = |name: String| {
            memory.push(Memory::new(name, &blame));
            memory.len() as u64
        };
        let mut roots = Vec::new();
        for (space, &Space { pages, .. }) in plan.spaces.iter().enumerate() {
            let frames =
                (0..pages).map(|page| AtomicU64::new(add(format!("frame of page {page} of space {space}"))));
            let pages = frames.collect();
            let directory = plan.tables.then(|| AtomicU64::new(add(format!("table of space {space}"))));
            roots.push(Root { memory: Memory::new(format!("space {space}"), &blame), directory, pages });
        }
        for page in 0..plan.kernel {
            add(format!("frame of kernel page {page}"));
        }
        let owners: Vec<_> = roots.iter().map(|root| root.memory.clone()).collect();
        let notes =
            (0..roots.len()).map(|space| Memory::new(format!("notes of space {space}"), &blame)).collect();
        let pages = plan.spaces.iter().map(|space| space.pages).max().unwrap_or(0);
        let addresses =
            (0..pages).map(|page| Memory::new(format!("address of page {page}"), &blame)).collect();
        let online = Mask::new::<K>(&Memory::new("machine", &blame));
        let puppet = |(index, &(host, page))| Puppet { cpu: plan.cpus.len() + index, host, page };
        let puppets: Vec<_> = plan.puppets.iter().enumerate().map(puppet).collect();
        let cpus = plan.cpus.len() + puppets.len();
        let engine = Shootdown::new(Hw::new(cpus, puppets, roots, plan.kernel, memory, blame), online);
        let space = |(root, memory)| {
            let space = engine.new_space(root, Mask::new::<K>(memory)).expect("masks of one size");
            Arc::new(Object { space })
        };
        let spaces = owners.iter().enumerate().map(space).collect();
        let identities = Mutex::default();
        let lock = loom::sync::Mutex::new(());
        let machine = Arc::new(Self { engine, spaces, notes, addresses, identities, lock });
        for object in &machine.spaces {
            machine.identify(object.space.id());
        }
        let known = machine.engine.platform().machine.set(Arc::downgrade(&machine));
        assert!(known.is_ok(), "a new platform");
        machine
    }

    /// Notes the identity of a space, which no other may have.
    pub(super) fn identify(&self, id: SpaceId) {
        let new = self.identities.lock().expect("no panic under this lock").insert(id.number());
        if !new {
            self.engine.platform().blame.report(format!("two spaces have identity {}", id.number()));
        }
    }

    /// Acts as CPU `cpu`, before the CPUs run at once.
    pub fn on(&self, cpu: usize) -> Cpu<'_, K> {
        become_cpu(cpu);
        Cpu::new(self)
    }

    /// Registers a space and counts its references.
    fn register(&self, space: usize, plan: &Space) {
        let first = self
            .engine
            .register(self.spaces[space].clone())
            .map_err(|refused| refused.0)
            .expect("registered once");
        for _ in 0..plan.pins {
            let _ = first.grab().into_handle();
        }
        for _ in 1..plan.users {
            let _ = first.clone().into_handle();
        }
        let _ = first.into_handle();
    }

    /// Brings CPU `cpu` to its start.
    fn bring_to(&self, cpu: usize, start: Start) {
        let cpu = self.on(cpu);
        match start {
            Start::Kernel => {}
            Start::User(space) => cpu.run(space),
            Start::Lazy(space) => {
                cpu.run(space);
                cpu.go_lazy();
            }
            Start::InTurn(spaces) => spaces.iter().for_each(|&space| cpu.run(space)),
        }
    }

    /// Runs the CPU that the calling thread is.
    fn run(&self, cpu: usize, script: Script<K>, idle: Idle) {
        become_cpu(cpu);
        let cpu = Cpu::new(self);
        script(&cpu);
        match idle {
            Idle::Serves => cpu.serve_until_all_finish(),
            Idle::Parks => self.engine.platform().park(),
        }
    }
}

/// One execution.
pub(super) fn execute<K: Kind>(plan: &Plan<K>) {
    let machine = Machine::new(plan);
    for cpu in 0..plan.cpus.len() + plan.puppets.len() {
        machine.on(cpu);
        machine.engine.online_cpu().expect("fits");
    }
    for (space, plan) in plan.spaces.iter().enumerate() {
        machine.register(space, plan);
    }
    let puppets = plan.puppets.iter().map(|_| Start::User(0));
    let starts: Vec<_> = plan.cpus.iter().map(|cpu| cpu.0).chain(puppets).collect();
    for (cpu, &start) in starts.iter().enumerate().rev() {
        machine.bring_to(cpu, start);
    }
    (plan.before)(&machine);
    let others: Vec<_> = (1..plan.cpus.len())
        .map(|cpu| {
            let (machine, script, idle) = (machine.clone(), plan.cpus[cpu].1, plan.idle);
            loom::thread::spawn(move || machine.run(cpu, script, idle))
        })
        .collect();
    machine.run(0, plan.cpus[0].1, plan.idle);
    for other in others {
        other.join().expect("failures are collected, not thrown");
    }
    if let Some(what) = machine.engine.platform().blame.first() {
        panic!("{what}");
    }
}
