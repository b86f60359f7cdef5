//! What the bench's counts must always say.

use shootdown_bench::bench::bench;
use shootdown_bench::grid::rivals;
use shootdown_bench::machine::CpuCount;
use shootdown_bench::policy::PolicyKind;
use shootdown_bench::probe::probe;
use shootdown_bench::workload::{Params, WorkloadKind};

fn params(cpus: usize, spaces: u32, seed: u64) -> Params {
    Params { cpus: CpuCount::new(cpus).expect("a number of CPUs"), spaces, seed }
}

#[test]
fn one_target_among_4096_cpus_takes_four_lines_and_200_instructions() {
    let cpus = CpuCount::new(4_096).expect("a number of CPUs");
    let one = probe(PolicyKind::Shootdown, cpus, 1);
    // The generation, the request, the answer, and in five flushes of eight the line of the history, which is the generation's in the
    // other three.
    assert!(one.initiator_transfers <= 4.0 && one.instructions <= 200.0, "{one:?}");
}

#[test]
fn a_flush_with_sixty_three_targets_is_sooner_than_under_any_policy_with_ipis() {
    let cpus = CpuCount::new(64).expect("a number of CPUs");
    let wide = |kind| probe(kind, cpus, 63);
    let ours = wide(PolicyKind::Shootdown);
    // What it takes: `docs/book/src/counts.md` says what bounds it, and what was tried.
    assert!(ours.cycles <= 24_800.0 && ours.transfers <= 357.0, "{ours:?}");
    for theirs in rivals().map(wide) {
        assert!(ours.cycles < theirs.cycles, "{ours:?} and {theirs:?}");
    }
}

#[test]
fn safe_policies_never_use_a_stale_translation_and_none_does() {
    let mut caught = 0;
    for workload in WorkloadKind::ALL {
        for policy in PolicyKind::ALL {
            for (cpus, spaces) in [(1, 1), (2, 1), (5, 2), (12, 3)] {
                let row = bench(policy, workload, params(cpus, spaces, 7));
                assert_eq!(row.stuck, 0, "{} under {}, {cpus} CPUs", row.workload, row.policy);
                if policy.is_safe() {
                    assert_eq!(
                        row.totals.violations, 0,
                        "{} under {}, {cpus} CPUs",
                        row.workload, row.policy
                    );
                } else {
                    caught += row.totals.violations;
                }
            }
        }
    }
    assert!(caught > 0, "the staleness check must notice that nobody was told");
}

#[test]
fn the_same_seed_gives_the_same_counts_and_another_seed_others() {
    for policy in PolicyKind::ALL {
        for workload in WorkloadKind::ALL {
            let first = bench(policy, workload, params(6, 2, 3));
            assert_eq!(first, bench(policy, workload, params(6, 2, 3)), "{}", first.policy);
        }
    }
    let seeds = [3, 4].map(|seed| bench(PolicyKind::Shootdown, WorkloadKind::MmapServer, params(6, 2, seed)));
    assert_ne!(seeds[0].totals, seeds[1].totals);
}

#[test]
fn a_lazy_cpu_that_returns_to_its_space_writes_no_shared_line() {
    let row = bench(PolicyKind::Shootdown, WorkloadKind::Pingpong, params(4, 2, 1));
    assert!(row.totals.switch.operations >= 400);
    assert_eq!(row.totals.lazy.write_transfers, 0);
    // The first switch of each CPU joins the mask; those that follow return to what is loaded.
    let updates = row.totals.switch.updates;
    assert!(updates <= 4, "{updates} read-modify-writes on {} switches", row.totals.switch.operations);
}

#[test]
fn four_thousand_cpus_run() {
    let row = bench(PolicyKind::Shootdown, WorkloadKind::SingleAfterMany, params(4096, 2, 1));
    assert!(row.is_as_promised());
    assert_eq!(row.totals.sent, 0, "everyone else has left or is lazy");
    // Three for each member that stayed behind; `docs/book/src/counts.md` says what would take them out.
    assert!(row.rates.instructions_per_flush <= 12_800.0, "{:?}", row.rates);
}

#[test]
fn operations_add_up_to_what_was_counted_by_class() {
    for workload in WorkloadKind::ALL {
        for policy in [PolicyKind::Shootdown, PolicyKind::LinuxX86, PolicyKind::Redox] {
            let totals = bench(policy, workload, params(8, 2, 3)).totals;
            let kernel = totals.kernel();
            let sum = |part: fn(&shootdown_bench::machine::Spent) -> u64| -> u64 {
                totals.operations.iter().map(|(_, spent)| part(&spent)).sum()
            };
            let found =
                (sum(|spent| spent.ipis), sum(|spent| spent.transfers), sum(|spent| spent.instructions));
            assert_eq!(found, (totals.sent, kernel.transfers(), kernel.instructions), "{}", workload.name());
        }
    }
}
