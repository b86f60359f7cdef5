//! What was aimed at, and what came out.

use crate::bench::Row;
use crate::commute::{Pair, Relation, free};
use crate::policy::PolicyKind;
use crate::probe::{Probe, updates_per_switch};
use crate::workload::WorkloadKind;
use serde::Serialize;

/// An aim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What is aimed at.
    pub aim: String,
    /// What came out, and why it differs if it does.
    pub found: String,
    /// Whether it was reached.
    pub reached: bool,
}

/// Holds what was measured against the aims.
pub(super) fn figures(rows: &[Row], probes: &[Probe], pairs: &[Pair]) -> Vec<Figure> {
    vec![
        fewest_doorbells(rows),
        near_the_oracle(rows),
        transfers_per_target(probes),
        lazy_returns(rows),
        cross_switch(),
        one_among_many(probes),
        conflicts(pairs),
    ]
}

fn sent(rows: &[Row], workload: WorkloadKind, policy: PolicyKind) -> Option<u64> {
    let row = rows.iter().find(|row| row.workload == workload.name() && row.policy == policy.name());
    row.map(|row| row.totals.sent)
}

fn fewest_doorbells(rows: &[Row]) -> Figure {
    let mut beaten = Vec::new();
    let others = PolicyKind::ALL.into_iter().filter(|kind| kind.is_real() && !kind.broadcasts());
    for policy in others.filter(|kind| !matches!(kind, PolicyKind::Shootdown | PolicyKind::ShootdownKeep)) {
        for workload in WorkloadKind::ALL {
            let ours = sent(rows, workload, PolicyKind::Shootdown);
            let Some((ours, theirs)) = ours.zip(sent(rows, workload, policy)) else { continue };
            if ours > theirs {
                beaten.push(format!("{} under {} ({ours} and {theirs})", workload.name(), policy.name()));
            }
        }
    }
    let found = match beaten.len() {
        0 => "on all".into(),
        _ => format!("fewer doorbells than the engine's: {}", beaten.join(", ")),
    };
    Figure {
        aim: "doorbells at or below every policy that uses doorbells, on every workload".into(),
        reached: beaten.is_empty() && !rows.is_empty(),
        found,
    }
}

fn near_the_oracle(rows: &[Row]) -> Figure {
    let mut ratios: Vec<(f64, &str)> = WorkloadKind::ALL
        .into_iter()
        .filter_map(|workload| {
            let ours = sent(rows, workload, PolicyKind::Shootdown)?;
            let least = sent(rows, workload, PolicyKind::ExactSharers)?;
            let ratio = if ours == least { 1.0 } else { ours as f64 / least as f64 };
            Some((ratio, workload.name()))
        })
        .collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = ratios.get(ratios.len() / 2).map_or(f64::NAN, |ratio| ratio.0);
    let all: Vec<String> = ratios.iter().map(|(ratio, name)| format!("{name} {ratio:.2}")).collect();
    Figure {
        aim: "doorbells at most 1.10 times those of exact-sharers, on the median".into(),
        reached: median <= 1.10,
        found: format!(
            "{median:.2} ({}). A mask says who runs a space, not who uses a page: private pages of threads cost \
             doorbells that only per-CPU page tables or accessed bits could spare",
            all.join(", ")
        ),
    }
}

fn transfers_per_target(probes: &[Probe]) -> Figure {
    let ours = probes.iter().filter(|p| p.policy == PolicyKind::Shootdown.name() && p.cpus == 64);
    let said: Vec<String> = ours.clone().map(|p| format!("{}: {:.1}", p.targets, p.transfers)).collect();
    Figure {
        aim: "at most 2k+2 line transfers for k targets".into(),
        reached: ours.clone().count() > 0
            && ours.clone().all(|p| p.transfers <= f64::from(2 * p.targets + 2)),
        found: format!("by k, {}", said.join(", ")),
    }
}

fn lazy_returns(rows: &[Row]) -> Figure {
    let name = WorkloadKind::Pingpong.name();
    let row = rows.iter().find(|row| row.workload == name && row.policy == PolicyKind::Shootdown.name());
    let totals = row.map(|row| row.totals).unwrap_or_default();
    // Each CPU's first switch joins a mask.
    let joins = row.map_or(0, |row| u64::from(row.cpus));
    let updates = totals.switch.updates + totals.lazy.updates;
    let transfers = totals.lazy.write_transfers;
    Figure {
        aim: "no shared write on user, kernel thread, same user".into(),
        reached: row.is_some() && updates <= joins && transfers == 0,
        found: format!(
            "{updates} read-modify-writes on {} switches, {joins} of which load a space for the first time; \
             {transfers} writes that another CPU noticed",
            totals.switch.operations + totals.lazy.operations
        ),
    }
}

fn cross_switch() -> Figure {
    let (removes, keeps) =
        (updates_per_switch(PolicyKind::Shootdown), updates_per_switch(PolicyKind::ShootdownKeep));
    Figure {
        aim: "at most one shared read-modify-write on a switch to another space".into(),
        reached: removes <= 1.0,
        found: format!("{removes:.2} with bits removed at the switch, {keeps:.2} with bits kept"),
    }
}

fn one_among_many(probes: &[Probe]) -> Figure {
    let probe = probes.iter().find(|p| p.policy == PolicyKind::Shootdown.name() && p.cpus == 4096);
    Figure {
        aim: "one target among 4,096 CPUs: at most 4 lines and 200 instructions at the initiator".into(),
        reached: probe.is_some_and(|p| p.initiator_transfers <= 4.0 && p.instructions <= 200.0),
        found: probe.map_or("not measured".into(), |p| {
            format!(
                "{:.2} lines come from other CPUs; {:.0} instructions; {:.0} words are read, of the mask's 64 those that its \
                 summary marks",
                p.initiator_transfers, p.instructions, p.initiator_reads
            )
        }),
    }
}

fn conflicts(pairs: &[Pair]) -> Figure {
    let said = |relation| {
        let (free, of) = free(pairs, relation);
        (100 * free >= 99 * of, format!("{free} of {of}"))
    };
    let (different, lazy, flush) =
        (said(Relation::DifferentSpaces), said(Relation::SameSpaceNoFlush), said(Relation::SameSpaceFlush));
    Figure {
        aim: "at least 99 % of commutative pairs free of conflicts".into(),
        reached: different.0 && lazy.0 && flush.0,
        found: format!(
            "on different spaces {}, on one space without a flush {} \
             (the rest: two CPUs join one word of its mask), with a flush {}: a flush tells the space's other CPUs",
            different.1, lazy.1, flush.1
        ),
    }
}
