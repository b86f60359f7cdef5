//! What the kernel itself does to spaces that programs run in.

use super::processes::mmap_server;
use super::script::Scripts;
use crate::machine::{Op, Pages};

/// Pages that are taken back by one flush (Linux: `SWAP_CLUSTER_MAX`).
const BATCH: u64 = 32;
/// Nodes of the machine of `numa-balancing`.
const NODES: u32 = 4;
/// Pages that each thread uses.
const REGION: u64 = 256;

/// CPU 0 takes pages back; the others use theirs again and again.
pub(super) fn reclaim(scripts: &mut Scripts) {
    scripts.create_spaces();
    let (rounds, spaces) = (scripts.rounds().0.min(100), scripts.spaces());
    programs(scripts, rounds);
    for round in 0..rounds {
        let owner = scripts.random(u64::from(scripts.cpus()));
        let first = owner * REGION + scripts.random(REGION / BATCH) * BATCH;
        let space = if round % 4 == 0 { round / 4 % spaces } else { owner as u32 % spaces };
        scripts.push(0, Op::Reclaim(space, Pages { first, count: BATCH }));
        let rest = 2_000 + scripts.random(8_000);
        scripts.push(0, Op::Compute(rest));
    }
}

/// Programs on all CPUs but the first, idle now and then.
fn programs(scripts: &mut Scripts, rounds: u32) {
    for cpu in 1..scripts.cpus() {
        let space = cpu % scripts.spaces();
        scripts.push(cpu, Op::Switch(space));
        for _ in 0..rounds {
            let hot = u64::from(cpu) * REGION + scripts.random(REGION - 16);
            scripts.touch(cpu, hot, 16);
            let work = 1_000 + scripts.random(10_000);
            scripts.push(cpu, Op::Compute(work));
            if scripts.random(8) == 0 {
                scripts.push(cpu, Op::Lazy(true));
                scripts.push(cpu, Op::Compute(work));
                scripts.push(cpu, Op::Switch(space));
            }
        }
    }
}

pub(super) fn isolated_tables(scripts: &mut Scripts) {
    scripts.push(0, Op::Isolate);
    mmap_server(scripts);
}

/// On a machine of four nodes. Each thread's pages are made inaccessible run by run; a page that faults next may move
/// to another node.
pub(super) fn numa_balancing(scripts: &mut Scripts) {
    scripts.push(0, Op::Nodes(scripts.cpus().div_ceil(NODES)));
    scripts.create_spaces();
    let (rounds, flushers) = scripts.rounds();
    for cpu in 0..flushers {
        scripts.push(cpu, Op::Switch(cpu % scripts.spaces()));
        let first = u64::from(cpu) * REGION;
        for round in 0..rounds.min(60) {
            scripts.touch(cpu, first, 128);
            let run = first + u64::from(round % 2) * 64;
            scripts.push(cpu, Op::Protect(Pages { first: run, count: 64 }));
            scripts.touch(cpu, run, 64);
            let moved = run + scripts.random(64);
            scripts.unmap(cpu, moved, 1);
            let work = 5_000 + scripts.random(10_000);
            scripts.push(cpu, Op::Compute(work));
        }
    }
}
