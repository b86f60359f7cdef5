//! How a scenario is written: what the machine has, how its CPUs begin, and what they run.

use super::cpu::Cpu;
use super::hw::Kind;
use super::machine::{Idle, Machine, Plan, Script, Space, Start, execute};

/// A scenario that is being written; two CPUs handle IPIs to the end, and loom preempts up to four times.
#[must_use = "a scenario runs once `explore` is called"]
pub struct Scenario<K: Kind> {
    plan: Plan<K>,
    preemptions: usize,
}

/// Begins a scenario: no space, no kernel page and no CPU.
pub fn scenario<K: Kind>() -> Scenario<K> {
    let plan = Plan {
        spaces: Vec::new(),
        kernel: 0,
        tables: false,
        before: |_| {},
        cpus: Vec::new(),
        idle: Idle::Serves,
        puppets: Vec::new(),
    };
    Scenario { plan, preemptions: 4 }
}

impl<K: Kind> Scenario<K> {
    /// Adds a space of `pages` user pages and `users` counted user references, which scripts take up.
    pub fn space(mut self, pages: usize, users: usize) -> Self {
        self.plan.spaces.push(Space { pages, users, pins: 0 });
        self
    }

    /// Counts struct references of the space that was added last.
    pub fn pins(mut self, pins: usize) -> Self {
        self.plan.spaces.last_mut().expect("a space").pins = pins;
        self
    }

    /// Puts page [`TABLE`](super::TABLE) of each space behind a second table.
    pub fn tables(mut self) -> Self {
        self.plan.tables = true;
        self
    }

    /// Adds a kernel page.
    pub fn kernel_page(mut self) -> Self {
        self.plan.kernel += 1;
        self
    }

    /// Adds a CPU.
    pub fn cpu(mut self, start: Start, script: Script<K>) -> Self {
        self.plan.cpus.push((start, script));
        self
    }

    /// Adds a CPU without a thread of its own, which runs space 0 and whose user touches `page` whenever the thread of
    /// CPU `host` waits.
    pub fn puppet(mut self, host: usize, page: usize) -> Self {
        self.plan.puppets.push((host, page));
        self
    }

    /// Says what happens besides before the CPUs are brought to their starts, as whichever CPU it names.
    pub fn before(mut self, before: fn(&Machine<K>)) -> Self {
        self.plan.before = before;
        self
    }

    /// Has CPUs hand their parts over after their scripts: for three threads.
    pub fn parks(mut self) -> Self {
        self.plan.idle = Idle::Parks;
        self
    }

    /// Preempts up to so many times.
    pub fn preemptions(mut self, preemptions: usize) -> Self {
        self.preemptions = preemptions;
        self
    }

    /// Explores all executions that loom finds within that many preemptions, which takes a scenario of two threads at
    /// most a few seconds.
    ///
    /// # Panics
    /// If any execution breaks a rule; the message says how.
    pub fn explore(self) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(self.preemptions);
        model.max_branches = 20_000;
        let plan = self.plan;
        model.check(move || execute(&plan));
    }
}

/// Runs the space and touches a page of it.
pub fn run_and_touch<K: Kind>(cpu: &Cpu<'_, K>, space: usize, page: usize) {
    cpu.run(space);
    cpu.touch(page);
}
