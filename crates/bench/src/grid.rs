//! Every workload on machines of ten shapes with three seeds.

use crate::bench::bench;
use crate::machine::CpuCount;
use crate::policy::PolicyKind;
use crate::workload::{Params, WorkloadKind};
use serde::Serialize;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// CPUs and spaces of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// CPUs.
    pub cpus: u32,
    /// Spaces.
    pub spaces: u32,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.cpus, self.spaces)
    }
}

/// The shapes of the grid.
pub const SHAPES: [Shape; 10] = {
    const fn shape(cpus: u32, spaces: u32) -> Shape {
        Shape { cpus, spaces }
    }
    [
        shape(2, 1),
        shape(4, 1),
        shape(4, 2),
        shape(8, 1),
        shape(8, 4),
        shape(12, 3),
        shape(16, 1),
        shape(16, 4),
        shape(24, 8),
        shape(32, 2),
    ]
};

/// The seeds of the grid.
pub const SEEDS: [u64; 3] = [1, 2, 3];

/// What one policy costs in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The policy.
    pub policy: &'static str,
    /// IPIs sent.
    pub ipis: u64,
    /// Cycles until the last CPU ends.
    pub cycles: u64,
    /// Cycles that a frame waits, on average.
    pub held: f64,
    /// Requests that found an IPI under way.
    pub merged: u64,
    /// Pages dropped one by one.
    pub pages: u64,
    /// Tags dropped.
    pub tags: u64,
    /// Translations loaded by a walk.
    pub refills: u64,
    /// Whether it did what it promises.
    pub as_promised: bool,
}

/// One workload on one shape with one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The workload.
    pub workload: &'static str,
    /// The machine.
    pub shape: Shape,
    /// The seed.
    pub seed: u64,
    /// Flushes that the workload asks for.
    pub flushes: u64,
    /// The engine, then its rivals.
    pub costs: Vec<Cost>,
}

/// Policies that the engine is held against: what kernels do with IPIs. Those whose hardware broadcasts send none.
pub fn rivals() -> impl Iterator<Item = PolicyKind> {
    let rivals = |kind: &PolicyKind| kind.is_real() && !kind.broadcasts() && !kind.is_ours();
    PolicyKind::ALL.into_iter().filter(rivals)
}

/// Runs one cell.
pub fn cell(workload: WorkloadKind, shape: Shape, seed: u64) -> Cell {
    let cpus = CpuCount::new(shape.cpus as usize).expect("shapes have CPUs");
    let run = |policy| bench(policy, workload, Params { cpus, spaces: shape.spaces, seed });
    let rows: Vec<_> = [PolicyKind::Shootdown].into_iter().chain(rivals()).map(run).collect();
    let cost = |row: &crate::bench::Row| Cost {
        policy: row.policy,
        ipis: row.totals.sent,
        cycles: row.totals.cycles,
        held: row.rates.cycles_held,
        merged: row.totals.merged,
        pages: row.totals.flushed_pages,
        tags: row.totals.full_flushes,
        refills: row.totals.refills,
        as_promised: row.is_as_promised(),
    };
    let flushes = rows[0].totals.flush.operations;
    Cell { workload: workload.name(), shape, seed, flushes, costs: rows.iter().map(cost).collect() }
}

/// Runs the cells of these workloads and shapes, on all CPUs of the host; `done` is told of each. The order is that of
/// the arguments.
pub fn grid(workloads: &[WorkloadKind], shapes: &[Shape], done: impl Fn() + Sync) -> Vec<Cell> {
    let mut asked = Vec::new();
    for &workload in workloads {
        for &shape in shapes {
            asked.extend(SEEDS.map(|seed| (workload, shape, seed)));
        }
    }
    let (next, cells) = (AtomicUsize::new(0), Mutex::new(vec![None; asked.len()]));
    let work = || {
        while let Some(&(workload, shape, seed)) = asked.get(next.fetch_add(1, Ordering::Relaxed)) {
            let cell = cell(workload, shape, seed);
            let at = asked.iter().position(|one| *one == (workload, shape, seed)).expect("it was asked for");
            cells.lock().expect("no cell panics with it")[at] = Some(cell);
            done();
        }
    };
    let others = std::thread::available_parallelism().map_or(1, |threads| threads.get()) - 1;
    std::thread::scope(|scope| {
        // Where this host has no thread for one, the others do its work.
        (0..others).for_each(|_| drop(std::thread::Builder::new().spawn_scoped(scope, work)));
        work();
    });
    cells.into_inner().expect("no cell panics with it").into_iter().flatten().collect()
}
