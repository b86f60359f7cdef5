//! All engine cases by name.

use crate::engine::fault::Fault;
use crate::engine::sim::TestMachine;
use crate::engine::world::{Oracles, Plan, World};
use shootdown_explore::Memory;
use shootdown_machine::{Case, Expected, Kind, Model, Variant, run, run_again};
use std::sync::{Arc, OnceLock};

/// All engine cases, with `fault` injected.
pub fn cases(fault: Fault) -> Vec<Case> {
    cases_under(fault, Oracles::Machine)
}

/// The same by other oracles.
pub fn cases_under(fault: Fault, oracles: Oracles) -> Vec<Case> {
    let mut list = List { fault, oracles, cases: Vec::new() };
    super::add(&mut list);
    super::pairs::add(&mut list);
    list.cases
}

/// Cases so far.
pub(crate) struct List {
    fault: Fault,
    oracles: Oracles,
    cases: Vec<Case>,
}

/// What a case is called and when it runs.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) about: &'a str,
    pub(crate) memories: &'a [Memory],
    pub(crate) groups: &'static [&'static str],
    pub(crate) deep: bool,
}

impl List {
    /// Adds a scenario: one case a memory model; names of all but the first carry the model.
    pub(crate) fn add<S: TestMachine>(&mut self, entry: &Entry<'_>, plan: fn() -> Plan<S>) {
        self.add_with(entry, plan);
    }

    /// The same with a plan that depends on something.
    pub(crate) fn add_with<S: TestMachine, F>(&mut self, entry: &Entry<'_>, plan: F)
    where
        F: Fn() -> Plan<S> + Copy + Send + Sync + 'static,
    {
        let (fault, oracles) = (self.fault, self.oracles);
        for (index, &memory) in entry.memories.iter().enumerate() {
            let suffix = match memory {
                _ if index == 0 => "",
                Memory::Sc => "/sc",
                Memory::Tso => "/tso",
                Memory::Pso => "/pso",
            };
            // One world for all runs of a case: what they reach can be compared only by the same words' addresses.
            let built = Arc::new(OnceLock::<Model>::new());
            let again = Arc::clone(&built);
            let build = move || -> Model { Box::new(World::new(&plan(), fault, oracles)) };
            self.cases.push(Case {
                name: format!("{}{suffix}", entry.name),
                kind: Kind::Engine,
                variant: Variant::Shipped,
                expected: Expected::Holds,
                memory,
                cpus: plan().cpus.len(),
                deep: entry.deep,
                groups: entry.groups,
                about: entry.about.to_string(),
                story: "",
                run: Box::new(move |options| run(built.get_or_init(build), options)),
                replay: Box::new(move |options, moves| run_again(again.get_or_init(build), options, moves)),
            });
        }
    }
}
