//! One flush at a time, with a known number of CPUs that must be told.

use crate::bench::Rates;
use crate::machine::{CpuCount, Op, PageTables, Pages, Source, run};
use crate::policy::{PolicyKind, policy};
use serde::Serialize;

const FLUSHES: u64 = 100;
/// Cycles between two flushes: enough that nothing is left to do.
const PAUSE: u64 = 200_000;

/// What a flush costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// The policy.
    pub policy: &'static str,
    /// CPUs of the machine.
    pub cpus: u32,
    /// CPUs that run the space besides the initiator.
    pub targets: u32,
    /// IPIs.
    pub ipis: f64,
    /// Line transfers, handlers included.
    pub transfers: f64,
    /// The same at the initiator.
    pub initiator_transfers: f64,
    /// The initiator's loads of shared words, whether they hit or not.
    pub initiator_reads: f64,
    /// The initiator's instructions.
    pub instructions: f64,
    /// A handler's instructions.
    pub handler_instructions: f64,
    /// Cycles until the frame may go.
    pub cycles: f64,
}

/// Read-modify-writes of shared words for each switch between two spaces that take turns on one CPU, the first two
/// aside.
pub fn updates_per_switch(kind: PolicyKind) -> f64 {
    let mut script = vec![Op::Create(0), Op::Create(1), Op::Switch(0), Op::Switch(1)];
    let count = |script: Vec<Op>| {
        let one = CpuCount::new(1).expect("a number of CPUs");
        run(one, policy(kind, 1, true), Source::Scripts(vec![script])).totals.switch.updates
    };
    let before = count(script.clone());
    script.extend((0..FLUSHES).map(|turn| Op::Switch((turn % 2) as u32)));
    (count(script) - before) as f64 / FLUSHES as f64
}

/// Measures flushes of one page by CPU 0, with `targets` of the CPUs with the highest numbers running the same space.
/// The first flush, which meets cold lines, is not counted apart.
pub fn probe(kind: PolicyKind, cpus: CpuCount, targets: u32) -> Probe {
    let all = cpus.number();
    let targets = targets.min(all - 1);
    let mut scripts = vec![Vec::new(); all as usize];
    scripts[0].push(Op::Create(0));
    for cpu in all - targets..all {
        scripts[0].push(Op::Post(0));
        scripts[cpu as usize].extend([Op::Take(0), Op::Switch(0), Op::Compute(PAUSE * (FLUSHES + 4))]);
    }
    scripts[0].extend([Op::Switch(0), Op::Compute(PAUSE)]);
    let page = Pages { first: 1, count: 1 };
    for _ in 0..FLUSHES {
        scripts[0].extend([Op::Touch(page), Op::Unmap(page, PageTables::Kept), Op::Compute(PAUSE)]);
    }
    let totals = run(cpus, policy(kind, all, true), Source::Scripts(scripts)).totals;
    let each = |count: u64| count as f64 / FLUSHES as f64;
    Probe {
        policy: kind.name(),
        cpus: all,
        targets,
        ipis: each(totals.sent),
        transfers: each(totals.flush_transfers()),
        initiator_transfers: each(totals.flush.transfers()),
        initiator_reads: each(totals.flush.reads),
        instructions: each(totals.flush.instructions),
        handler_instructions: Rates::of(&totals).instructions_per_ipi,
        cycles: Rates::of(&totals).cycles_held,
    }
}
