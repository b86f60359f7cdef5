//! The measurements of a report.

use super::figures::{Figure, Measured, figures};
use crate::bench::{Row, bench};
use crate::commute::{Pair, pairs};
use crate::grid::Cell;
use crate::losses::{Group, Loss, groups, losses};
use crate::machine::CpuCount;
use crate::policy::PolicyKind;
use crate::probe::{Probe, probe};
use crate::workload::{Params, WorkloadKind};
use serde::Serialize;

/// Policies that are shown over numbers of CPUs.
pub(super) const SHOWN: [PolicyKind; 6] = [
    PolicyKind::Shootdown,
    PolicyKind::LinuxX86,
    PolicyKind::LinuxSparc64,
    PolicyKind::Redox,
    PolicyKind::Asterinas,
    PolicyKind::ExactSharers,
];
/// The workload that is shown over numbers of CPUs.
const SWEPT: WorkloadKind = WorkloadKind::MemcachedLazy;
const SWEEP: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
const TARGETS: [u32; 7] = [1, 2, 4, 8, 16, 32, 63];

/// All measurements.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Policies under workloads.
    pub rows: Vec<Row>,
    /// One workload on machines of several sizes, in one space.
    pub sweep: Vec<Row>,
    /// Single flushes.
    pub probes: Vec<Probe>,
    /// Pairs of operations that commute.
    pub pairs: Vec<Pair>,
    /// The same where masks are exact.
    pub pairs_exact: Vec<Pair>,
    /// Cells of the grid.
    pub cells: usize,
    /// Those that the engine loses.
    pub losses: Vec<Loss>,
    /// The same by workload, rival and count, with what was counted.
    pub groups: Vec<Group>,
    /// What was aimed at, and what came out.
    pub figures: Vec<Figure>,
}

/// Measures what is not in `rows`, which are policies under all workloads, nor in `cells`, which are those of the grid.
pub fn report(rows: Vec<Row>, cells: &[Cell], seed: u64) -> Report {
    let count = |cpus| CpuCount::new(cpus).expect("a number of CPUs");
    let mut sweep = Vec::new();
    for cpus in SWEEP {
        let params = Params { cpus: count(cpus), spaces: 1, seed };
        sweep.extend(SHOWN.map(|policy| bench(policy, SWEPT, params)));
    }
    let mut probes = Vec::new();
    for policy in SHOWN.into_iter().chain([PolicyKind::ShootdownExact]) {
        probes.extend(TARGETS.map(|targets| probe(policy, count(64), targets)));
        probes.push(probe(policy, count(4096), 1));
    }
    let [pairs, pairs_exact] = [PolicyKind::Shootdown, PolicyKind::ShootdownExact].map(pairs);
    let losses = losses(cells);
    let groups = groups(cells, &losses);
    let measured =
        Measured { rows: &rows, probes: &probes, pairs: &pairs, pairs_exact: &pairs_exact, groups: &groups };
    let figures = figures(&measured);
    Report { rows, sweep, probes, pairs, pairs_exact, cells: cells.len(), losses, groups, figures }
}
