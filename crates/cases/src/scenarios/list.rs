//! The list of cases, and how a scenario gets into it.

use crate::engine::{Code, Fault, Oracles, Plan, Run, Start, TestMachine};
use shootdown::fault::STALLS;
use shootdown_explore::Memory::{self, Pso, Sc, Tso};
use shootdown_machine::{Case, Expected, Kind, Model, Variant, run, run_again};
use std::sync::{Arc, OnceLock};

/// The groups of scenarios that belong to no narrower one.
pub(super) const TWO: &[&str] = &["two"];
pub(super) const THREE: &[&str] = &["three"];
pub(super) const FOUR: &[&str] = &["four"];
/// Scenarios of two CPUs once more, under weak memory.
const WEAK: &[&str] = &["weak"];
/// And of three.
pub(super) const THREE_WEAK: &[&str] = &["weak", "three-weak"];
/// Scenarios of three CPUs that are few enough states under weak memory.
const THREE_UNDER_WEAK: [&str; 6] = [
    "retired-by-another",
    "secondary-batch",
    "secondary-retired",
    "secondary-table",
    "secondary-unmap",
    "wide-final-drop",
];
/// Those that take longer under weak memory than a plain check should.
const LONG_UNDER_WEAK: [&str; 4] =
    ["ipi-in-flight", "nested-gathers-inside", "reset-after-wait", "user-mode-nmi"];

/// Cases so far.
pub(crate) struct List {
    fault: Fault,
    oracles: Oracles,
    pub(crate) cases: Vec<Case>,
}

impl List {
    pub(crate) fn new(fault: Fault, oracles: Oracles) -> Self {
        Self { fault, oracles, cases: Vec::new() }
    }

    /// Whether the TLB sanitizer for real kernels watches, which is told of loads by [`shootdown::Platform::install`]
    /// alone.
    pub(crate) fn is_watched(&self) -> bool {
        self.oracles != Oracles::Machine
    }

    /// Begins a scenario: one space, no CPUs, and total store order.
    pub(crate) fn scenario<S: TestMachine>(
        &mut self,
        name: &str,
        groups: &'static [&'static str],
    ) -> Scenario<'_, S> {
        Scenario {
            list: self,
            name: name.to_owned(),
            about: String::new(),
            memories: &[Tso],
            groups,
            deep: false,
            plan: Plan::default(),
        }
    }
}

/// A scenario that is being written: what it is called, when it runs, and how its world begins.
#[must_use = "a scenario is in the list once `add` is called"]
pub(crate) struct Scenario<'l, S: TestMachine> {
    list: &'l mut List,
    name: String,
    about: String,
    memories: &'static [Memory],
    groups: &'static [&'static str],
    deep: bool,
    plan: Plan<S>,
}

impl<S: TestMachine> Scenario<'_, S> {
    /// Says in one sentence what the scenario shows.
    pub(crate) fn about(mut self, about: &str) -> Self {
        about.clone_into(&mut self.about);
        self
    }

    /// Adds a CPU.
    pub(crate) fn cpu(mut self, start: Start, code: Code<S>) -> Self {
        self.plan.cpus.push((start, code));
        self
    }

    /// Runs the scenario under partial store order, too.
    pub(crate) fn pso(mut self) -> Self {
        self.memories = &[Tso, Pso];
        self
    }

    /// Runs the scenario under each memory model.
    pub(crate) fn every_memory(mut self) -> Self {
        self.memories = &[Tso, Pso, Sc];
        self
    }

    /// Runs the scenario under weak memory alone.
    pub(crate) fn only_weak(mut self) -> Self {
        self.memories = &[Memory::Weak];
        self
    }

    /// Leaves the scenario to `check --deep`.
    pub(crate) fn deep(mut self) -> Self {
        self.deep = true;
        self
    }

    /// Sets [`Plan::spaces`] and [`Plan::sleepers`].
    pub(crate) fn spaces(mut self, spaces: usize, sleepers: [u64; 2]) -> Self {
        (self.plan.spaces, self.plan.sleepers) = (spaces, sleepers);
        self
    }

    /// Sets [`Plan::pins`].
    pub(crate) fn pins(mut self, pins: u64) -> Self {
        self.plan.pins = pins;
        self
    }

    /// Sets [`Plan::dies`].
    pub(crate) fn dies(mut self, dies: bool) -> Self {
        self.plan.dies = dies;
        self
    }

    /// Sets [`Plan::owned`].
    pub(crate) fn owned(mut self) -> Self {
        self.plan.owned = true;
        self
    }

    /// Sets [`Plan::contested`].
    pub(crate) fn contested(mut self) -> Self {
        self.plan.contested = true;
        self
    }

    /// Sets [`Plan::tables`] to 2.
    pub(crate) fn two_tables(mut self) -> Self {
        self.plan.tables = 2;
        self
    }

    /// Sets [`Plan::kernel_pages`].
    pub(crate) fn kernel_pages(mut self, pages: usize) -> Self {
        self.plan.kernel_pages = pages;
        self
    }

    /// Sets [`Plan::kernel_table`], and two pages in it.
    pub(crate) fn kernel_table(mut self) -> Self {
        self.plan.kernel_table = true;
        self.kernel_pages(2)
    }

    /// Sets [`Plan::modes`].
    pub(crate) fn modes(mut self) -> Self {
        self.plan.modes = true;
        self
    }

    /// Sets [`Plan::acknowledged`].
    pub(crate) fn acknowledged(mut self) -> Self {
        self.plan.acknowledged = true;
        self
    }

    /// Sets [`Plan::resets`].
    pub(crate) fn resets(mut self) -> Self {
        self.plan.resets = true;
        self
    }

    /// Has waits take too long, so that targets are reported.
    pub(crate) fn stalls(mut self) -> Self {
        self.plan.context = STALLS;
        self
    }

    /// Sets [`Plan::preempted`].
    pub(crate) fn preempted(mut self, cpus: &'static [usize]) -> Self {
        self.plan.preempted = cpus;
        self
    }

    /// Sets [`Plan::missing`].
    pub(crate) fn missing(mut self) -> Self {
        self.plan.missing = true;
        self
    }

    /// Adds the scenario to the list: one case a memory model; names of all but the first carry the model. One of two
    /// CPUs gets a case of the group `weak` as well, and so do few of three.
    pub(crate) fn add(self) {
        let (fault, oracles) = (self.list.fault, self.list.oracles);
        let three = THREE_UNDER_WEAK.contains(&self.name.as_str());
        let weak = (three || self.groups.contains(&"two") && !self.deep).then_some(Memory::Weak);
        let long = LONG_UNDER_WEAK.contains(&self.name.as_str());
        let plan = Arc::new(self.plan);
        for (index, memory) in self.memories.iter().copied().chain(weak).enumerate() {
            let suffix = match memory {
                _ if index == 0 => "",
                Sc => "/sc",
                Tso => "/tso",
                Pso => "/pso",
                Memory::Weak => "/weak",
            };
            // One world for all runs of a case: what they reach can be compared only by the same words' addresses.
            let world = Arc::new(OnceLock::<Model>::new());
            let again = Arc::clone(&world);
            let build = {
                let plan = Arc::clone(&plan);
                move || -> Model { Box::new(Run::new(Arc::clone(&plan), fault, oracles)) }
            };
            let build_again = build.clone();
            self.list.cases.push(Case {
                name: format!("{}{suffix}", self.name),
                kind: Kind::Engine,
                variant: Variant::Shipped,
                expected: Expected::Holds,
                stated: Vec::new(),
                memory,
                cpus: plan.cpus.len(),
                deep: self.deep || memory == Memory::Weak && long,
                groups: match memory {
                    Memory::Weak if index > 0 && three => THREE_WEAK,
                    Memory::Weak if index > 0 => WEAK,
                    _ => self.groups,
                },
                about: self.about.clone(),
                story: "",
                run: Box::new(move |options| run(world.get_or_init(&build), options)),
                replay: Box::new(move |options, moves| {
                    run_again(again.get_or_init(&build_again), options, moves)
                }),
                objections: Box::new(|_, _| Vec::new()),
                unreached: Box::new(|_| Vec::new()),
            });
        }
    }
}
