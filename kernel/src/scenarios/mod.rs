//! The scenarios, the same on all architectures.

mod clients;
mod count;
mod cpus;
mod kthreads;
mod lifetime;
mod memory;
mod workers;

use crate::arch;
use crate::console::say;
use crate::findings::{self, Count, Finding};
use crate::frames;
use crate::machine::ENGINE;
use crate::params::Params;
use crate::sched;
use core::sync::atomic::{AtomicUsize, Ordering};
use shootdown::{CpuId, Platform};

/// A scenario: its name, and what gives the CPUs their tasks.
type Scenario = (&'static str, fn(usize));

const SCENARIOS: &[Scenario] = &[
    ("remap", memory::remap),
    ("reuse", memory::reuse),
    ("write-protect", memory::write_protect),
    ("table-free", memory::table_free),
    ("cow", memory::cow),
    ("nested-gathers", memory::nested_gathers),
    ("borrow", kthreads::borrow),
    ("lazy", kthreads::lazy),
    ("trim", kthreads::trim),
    ("upgrade-exit", lifetime::upgrade_exit),
    ("exec", lifetime::exec),
    ("many-spaces", lifetime::many_spaces),
    ("hotplug", cpus::hotplug),
    ("masked-flushers", cpus::masked_flushers),
    ("lost-ipis", cpus::lost_ipis),
    ("sqpoll", clients::sqpoll),
    ("userfault", clients::userfault),
    ("soak", soak),
];

/// What `count` stands for; no part of `all`.
const COUNTED: &[Scenario] = &[("count-one", count::one), ("count-three", count::three)];

/// A bit of everything.
fn soak(cpus: usize) {
    memory::reuse(cpus);
    memory::cow(cpus);
    kthreads::lazy(cpus);
    kthreads::trim(cpus);
    lifetime::upgrade_exit(cpus);
    lifetime::exec(cpus);
    lifetime::many_spaces(cpus);
    clients::sqpoll(cpus);
    clients::userfault(cpus);
}

/// Which CPU the `number`-th helper of a scenario runs on: not the first, where there are others.
fn helper(cpus: usize, number: usize) -> usize {
    if cpus == 1 { 0 } else { 1 + number % (cpus - 1) }
}

/// Rounds that were begun, and CPUs that have ended the latest.
static ROUND: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Runs what the parameters ask for, and says whether all was well.
///
/// # Panics
/// There is no such scenario.
pub fn run_chosen(params: &Params) -> bool {
    let mut clean = true;
    let mut found = false;
    let counted = params.scenario == "count";
    for &(name, setup) in if counted { COUNTED } else { SCENARIOS } {
        if counted || params.scenario == "all" || params.scenario == name {
            found = true;
            clean &= run_one(name, setup, params);
        }
    }
    assert!(found, "no scenario {}", params.scenario);
    say!("@{{\"event\":\"end\",\"clean\":{clean}}}");
    clean
}

/// What CPUs other than the first do: take part in every round.
pub fn help() -> ! {
    let mut seen = 0;
    loop {
        while ROUND.load(Ordering::Acquire) == seen {
            arch::yield_now();
        }
        seen += 1;
        sched::run();
        ENDED.fetch_add(1, Ordering::AcqRel);
    }
}

fn run_one(name: &str, setup: fn(usize), params: &Params) -> bool {
    let (before, found_before, free) = (Totals::now(params.cpus), findings::count(), frames::free_count());
    say!("@{{\"event\":\"begin\",\"scenario\":\"{name}\"}}");
    let begin = arch::ticks();
    sched::begin(begin + params.seconds * arch::ticks_per_second(), params.cycles);
    setup(params.cpus);
    ENDED.store(0, Ordering::Relaxed);
    ROUND.fetch_add(1, Ordering::AcqRel);
    sched::run();
    while ENDED.load(Ordering::Acquire) < params.cpus - 1 {
        arch::yield_now();
    }
    let lost = free.saturating_sub(frames::free_count());
    if lost > 0 {
        findings::report(Finding::LostFrames { count: lost });
    }
    let ms = (arch::ticks() - begin) * 1000 / arch::ticks_per_second();
    let found = findings::count();
    let found = Count {
        stale: found.stale - found_before.stale,
        shadow: found.shadow - found_before.shadow,
        lost: found.lost - found_before.lost,
    };
    write(name, ms, &Totals::now(params.cpus).since(&before), found);
    found.stale + found.shadow + found.lost == 0
}

fn write(name: &str, ms: u64, totals: &Totals, found: Count) {
    let [flushes, sent, answered, merged, skipped, trims, evictions, full, selective, stalls] = totals.engine;
    let [reads, faults] = totals.workers;
    say!(
        "@{{\"event\":\"scenario\",\"scenario\":\"{name}\",\"ms\":{ms},\"cycles\":{},\"flushes\":{flushes},\"ipis\":{sent},\"answered\":{answered},\"merged\":{merged},\"skipped\":{skipped},\"trims\":{trims},\"evictions\":{evictions},\"full\":{full},\"selective\":{selective},\"stalls\":{stalls},\"reads\":{reads},\"faults\":{faults},\"stale\":{},\"shadow\":{},\"lost\":{}}}",
        sched::cycles(),
        found.stale,
        found.shadow,
        found.lost
    );
}

/// What happened so far, on all CPUs.
struct Totals {
    engine: [u64; 10],
    workers: [u64; 2],
}

impl Totals {
    fn now(cpus: usize) -> Self {
        let mut engine = [0; 10];
        for cpu in 0..cpus {
            let counters = ENGINE.platform().local(CpuId::new(cpu as u32)).counters();
            let of_cpu = [
                counters.flushes(),
                counters.ipis_sent(),
                counters.ipis_handled(),
                counters.ipis_coalesced(),
                counters.ipis_avoided(),
                counters.trims(),
                counters.evictions(),
                counters.full_flushes(),
                counters.selective_flushes(),
                counters.stalls(),
            ];
            engine.iter_mut().zip(of_cpu).for_each(|(sum, count)| *sum += count);
        }
        Self { engine, workers: workers::counts() }
    }

    fn since(mut self, before: &Self) -> Self {
        self.engine.iter_mut().zip(before.engine).for_each(|(count, before)| *count -= before);
        self.workers.iter_mut().zip(before.workers).for_each(|(count, before)| *count -= before);
        self
    }
}
