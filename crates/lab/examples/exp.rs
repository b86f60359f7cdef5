use shootdown_lab::bench::bench;
use shootdown_lab::machine::CpuCount;
use shootdown_lab::policy::PolicyKind;
use shootdown_lab::workload::{Params, WorkloadKind};
fn main() {
    let seeds: u64 = std::env::args().nth(1).map_or(3, |s| s.parse().unwrap());
    let cpus: usize = std::env::args().nth(2).map_or(16, |s| s.parse().unwrap());
    let spaces: u32 = std::env::args().nth(3).map_or(4, |s| s.parse().unwrap());
    let only = std::env::var("ONLY").ok();
    let pol = std::env::var("POL").ok();
    for workload in WorkloadKind::ALL {
        if only.as_deref().is_some_and(|n| n != workload.name()) {
            continue;
        }
        print!("{:<20}", workload.name());
        for kind in [
            PolicyKind::Shootdown,
            PolicyKind::ShootdownKeep,
            PolicyKind::LinuxX86Exact,
            PolicyKind::LinuxX86,
            PolicyKind::Redox,
        ] {
            if pol.as_deref().is_some_and(|n| n != kind.name()) {
                continue;
            }
            let mut sum = (0, 0, 0);
            for seed in 1..=seeds {
                let row = bench(kind, workload, Params { cpus: CpuCount::new(cpus).unwrap(), spaces, seed });
                assert!(row.is_as_promised());
                sum.0 += row.totals.sent;
                sum.1 += row.totals.useless;
                sum.2 += row.totals.cycles;
            }
            print!(" | {:>6} {:>6} {:>9}", sum.0 / seeds, sum.1 / seeds, sum.2 / seeds);
        }
        println!();
    }
}
