//! A machine from its start to its end.

use super::host::MachineBuilder;
use super::host::shootdown::{CpuId, Platform};
use super::watch::Watch;
use super::{Machine, mover, vcpu};
use crate::plan::{Plan, Report, Totals, Watchdog};
use crate::shared::Shared;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Runs a guest.
pub fn run(plan: &Plan) -> Report {
    let mut shared = Shared::new(&plan.image, plan.cpus, plan.moves.is_some());
    shared.fencing = plan.fencing;
    let watch = Watch::default();
    let setup = MachineBuilder::new(plan.cpus).sanitized(watch.clone());
    let machine = setup.expect("the command line knows how many fit");
    let space = machine.new_space(());
    let watchdog = Watchdog::start(plan);
    thread::scope(|threads| {
        let (machine, space, shared) = (&machine, &space, &shared);
        for number in 0..plan.cpus {
            threads.spawn(move || vcpu::run(machine, space, shared, number, plan.steps));
        }
        if let Some(seed) = plan.moves {
            threads.spawn(move || mover::run(machine, space, shared, seed));
        }
        shared.wait(Duration::from_secs(plan.seconds));
        (0..plan.cpus).for_each(|cpu| machine.call_out(CpuId::new(cpu)));
    });
    watchdog.call_off();
    shared.console.finish();
    // The end of the space, as an embedder has it: no CPU runs it, so that nobody is waited for.
    let helper = machine.helper().expect("the mover has gone");
    if let Some(teardown) = space.put() {
        teardown.finish();
    }
    drop(helper);
    let unfenced = std::mem::take(&mut *crate::frames::lock(&shared.unfenced));
    Report { end: shared.why(), early: watch.first(), unfenced, totals: totals(&machine, &shared) }
}

fn totals(machine: &Machine, shared: &Shared) -> Totals {
    let mut totals = Totals {
        steps: shared.steps(),
        moved: shared.moves.load(Ordering::Relaxed).into(),
        fences: shared.fences.begun(),
        ..Totals::default()
    };
    // The mover is the helper of the first number after the virtual CPUs.
    for cpu in (0..=machine.virtual_cpus()).map(CpuId::new) {
        let counters = machine.platform().local(cpu).counters();
        totals.flushes += counters.flushes();
        totals.ipis += counters.ipis_sent();
        totals.skipped += counters.ipis_avoided();
        totals.selective += counters.selective_flushes();
    }
    totals
}
