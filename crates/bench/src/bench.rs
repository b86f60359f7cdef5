//! One policy under one workload: a row of the table.

use crate::machine::{CpuCount, Outcome, Source, Totals, run};
use crate::policy::{PolicyKind, policy};
use crate::workload::{Params, WorkloadKind, scripts};
use serde::Serialize;

/// What one run gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The workload.
    pub workload: &'static str,
    /// The policy.
    pub policy: &'static str,
    /// CPUs.
    pub cpus: u32,
    /// Spaces.
    pub spaces: u32,
    /// Seed.
    pub seed: u64,
    /// CPUs that waited for ever.
    pub stuck: usize,
    /// The counts.
    pub totals: Totals,
    /// What follows from them.
    pub rates: Rates,
}

/// Counts in relation to operations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// IPIs for each flush.
    pub ipis_per_flush: f64,
    /// Line transfers, handlers included, for each flush.
    pub transfers_per_flush: f64,
    /// The initiator's instructions for each flush.
    pub instructions_per_flush: f64,
    /// The handler's instructions for each IPI.
    pub instructions_per_ipi: f64,
    /// Line transfers for each switch, to a space or away from it.
    pub transfers_per_switch: f64,
    /// Cycles that a frame waited.
    pub cycles_held: f64,
}

impl Rates {
    /// Rates of a run.
    pub fn of(totals: &Totals) -> Self {
        let per = |count: u64, of: u64| count as f64 / of.max(1) as f64;
        let flushes = totals.flush.operations;
        Self {
            ipis_per_flush: per(totals.sent, flushes),
            transfers_per_flush: per(totals.flush_transfers(), flushes),
            instructions_per_flush: per(totals.flush.instructions, flushes),
            instructions_per_ipi: per(totals.handler.instructions, totals.delivered),
            transfers_per_switch: per(
                totals.switch.transfers() + totals.lazy.transfers(),
                totals.switch.operations + totals.lazy.operations,
            ),
            cycles_held: per(totals.held_cycles, totals.frames_held),
        }
    }
}

impl Row {
    /// Whether the run did what its policy promises.
    pub fn is_as_promised(&self) -> bool {
        let safe = PolicyKind::of(self.policy).is_none_or(PolicyKind::is_safe);
        self.stuck == 0 && (!safe || self.totals.violations == 0)
    }
}

/// Runs a workload under a policy.
pub fn bench(policy_kind: PolicyKind, workload: WorkloadKind, params: Params) -> Row {
    let scripts = scripts(workload, params);
    let cpus = params.cpus;
    let Outcome { totals, stuck } =
        run(cpus, policy(policy_kind, cpus.number(), true), Source::Scripts(scripts));
    Row {
        workload: workload.name(),
        policy: policy_kind.name(),
        cpus: cpus.number(),
        spaces: params.spaces,
        seed: params.seed,
        stuck,
        rates: Rates::of(&totals),
        totals,
    }
}

/// Workloads of the exercise that Linux commit bafb056ce279 leaves: a mask that has outgrown its users, and a borrower
/// that begins while its owner flushes.
pub const EXERCISE: [WorkloadKind; 2] = [WorkloadKind::SingleAfterMany, WorkloadKind::Sqpoll];

/// The exercise of Linux commit bafb056ce279: for sparc64 before the fix, sparc64 after it and the engine, a row for
/// each of [`EXERCISE`]. Each owner and its borrower have a space of their own, since otherwise a count of one user
/// means nothing.
pub fn exercise(cpus: CpuCount, seed: u64) -> [[Row; 2]; 3] {
    let params = Params { cpus, spaces: cpus.number().div_ceil(2), seed };
    [PolicyKind::LinuxSparc64Racy, PolicyKind::LinuxSparc64, PolicyKind::Shootdown]
        .map(|policy| EXERCISE.map(|workload| bench(policy, workload, params)))
}
