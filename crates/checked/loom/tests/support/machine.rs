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
    /// Handles IPIs until all have finished. The stronger check, for two threads: with three, two that wait would alternate
    /// for ever.
    Serves,
    /// Hands its part over: a CPU that waits for it handles its IPI in its place.
    Parks,
}

/// What a machine has at the start.
#[derive(Clone, Copy)]
pub struct Plan<K: Kind> {
    /// User pages of each space; page [`TABLE`] of a space that has it lies behind a table of its own.
    pub pages: &'static [usize],
    /// Kernel pages.
    pub kernel: usize,
    /// Whether page [`TABLE`] lies behind a second table.
    pub tables: bool,
    /// What happened before the CPUs run at once: called as CPU 0, may act as others.
    pub before: fn(&Machine<K>),
    /// What each CPU does.
    pub scripts: &'static [fn(&Cpu<K>)],
    /// What CPUs do after their scripts.
    pub idle: Idle,
    /// CPUs without a thread of their own, numbered on from the scripts: whose thread they run on, and what they touch.
    pub puppets: &'static [(usize, usize)],
}

impl<K: Kind> Default for Plan<K> {
    /// No space, no kernel page and no CPU; CPUs handle IPIs to the end.
    fn default() -> Self {
        Self {
            pages: &[],
            kernel: 0,
            tables: false,
            before: |_| {},
            scripts: &[],
            idle: Idle::Serves,
            puppets: &[],
        }
    }
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
        for (space, &pages) in plan.pages.iter().enumerate() {
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
        let pages = plan.pages.iter().copied().max().unwrap_or(0);
        let addresses =
            (0..pages).map(|page| Memory::new(format!("address of page {page}"), &blame)).collect();
        let online = Mask::new::<K>(&Memory::new("machine", &blame));
        let puppet = |(index, &(host, page))| Puppet { cpu: plan.scripts.len() + index, host, page };
        let puppets: Vec<_> = plan.puppets.iter().enumerate().map(puppet).collect();
        let cpus = plan.scripts.len() + puppets.len();
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

    /// Adopts `space` and counts `users` user references and `pins` struct references, which scripts take up.
    pub fn register(&self, space: usize, users: usize, pins: usize) {
        let first = self
            .engine
            .register(self.spaces[space].clone())
            .map_err(|refused| refused.0)
            .expect("registered once");
        for _ in 0..pins {
            let _ = first.grab().into_handle();
        }
        for _ in 1..users {
            let _ = first.clone().into_handle();
        }
        let _ = first.into_handle();
    }

    /// Runs the CPU that the calling thread is.
    fn run(&self, cpu: usize, script: fn(&Cpu<K>), idle: Idle) {
        become_cpu(cpu);
        let cpu = Cpu::new(self);
        script(&cpu);
        match idle {
            Idle::Serves => cpu.serve_until_all_finish(),
            Idle::Parks => self.engine.platform().park(),
        }
    }
}

/// Explores a plan with up to 4 preemptions, which takes each scenario of two threads at most a few seconds.
pub fn explore<K: Kind>(plan: fn() -> Plan<K>) {
    explore_bounded(4, plan);
}

/// Explores a plan with up to `preemptions` preemptions.
///
/// # Panics
/// If any execution breaks a rule; the message says how.
pub fn explore_bounded<K: Kind>(preemptions: usize, plan: fn() -> Plan<K>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 20_000;
    model.check(move || execute(&plan()));
}

/// One execution.
fn execute<K: Kind>(plan: &Plan<K>) {
    let machine = Machine::new(plan);
    for cpu in 0..plan.scripts.len() + plan.puppets.len() {
        machine.on(cpu);
        machine.engine.online_cpu().expect("fits");
    }
    (plan.before)(&machine);
    let others: Vec<_> = (1..plan.scripts.len())
        .map(|cpu| {
            let (machine, script, idle) = (machine.clone(), plan.scripts[cpu], plan.idle);
            loom::thread::spawn(move || machine.run(cpu, script, idle))
        })
        .collect();
    machine.run(0, plan.scripts[0], plan.idle);
    for other in others {
        other.join().expect("failures are collected, not thrown");
    }
    if let Some(what) = machine.engine.platform().blame.first() {
        panic!("{what}");
    }
}
