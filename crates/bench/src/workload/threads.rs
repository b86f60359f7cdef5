//! Threads that share spaces.

use super::script::Scripts;
use crate::machine::{LARGE, LARGE_SHIFT, Op};

/// Pages of which each thread has as many for itself.
const REGION: u64 = 1 << 12;

fn run_threads(scripts: &mut Scripts) {
    scripts.create_spaces();
    for cpu in 0..scripts.cpus() {
        scripts.push(cpu, Op::Switch(cpu % scripts.spaces()));
    }
}

pub(super) fn tlb_flush2(scripts: &mut Scripts) {
    run_threads(scripts);
    let (rounds, flushers) = scripts.rounds();
    for cpu in 0..scripts.cpus() {
        scripts.touch(cpu, u64::from(cpu) * REGION, 256);
        scripts.push(cpu, Op::Compute(1_000));
    }
    scripts.barrier();
    for cpu in 0..flushers {
        for round in 0..rounds {
            let page = u64::from(cpu) * REGION + u64::from(round) % 256;
            scripts.touch(cpu, page, 1);
            scripts.unmap(cpu, page, 1);
            scripts.touch(cpu, page, 1);
        }
    }
}

pub(super) fn mapbench_local(scripts: &mut Scripts) {
    run_threads(scripts);
    let (rounds, flushers) = scripts.rounds();
    scripts.barrier();
    for cpu in 0..flushers {
        for _ in 0..rounds {
            scripts.touch(cpu, u64::from(cpu) * REGION, 16);
            scripts.push(cpu, Op::Compute(2_000));
            scripts.unmap(cpu, u64::from(cpu) * REGION, 16);
        }
    }
}

pub(super) fn mapbench_pipeline(scripts: &mut Scripts) {
    run_threads(scripts);
    let (rounds, flushers) = scripts.rounds();
    let channels: Vec<u32> = (0..flushers).map(|_| scripts.channel()).collect();
    for round in 0..rounds {
        for cpu in 0..flushers {
            // Neighbours must share a space: the next thread of the same one.
            let next = (cpu + scripts.spaces()) % flushers;
            let next = if next % scripts.spaces() == cpu % scripts.spaces() { next } else { cpu };
            let page = u64::from(cpu) * REGION + u64::from(round % 8) * 16;
            scripts.touch(cpu, page, 16);
            scripts.push(cpu, Op::Post(channels[cpu as usize]));
            scripts.push(next, Op::Take(channels[cpu as usize]));
            scripts.touch(next, page, 16);
            scripts.unmap(next, page, 16);
        }
    }
}

pub(super) fn mapbench_global(scripts: &mut Scripts) {
    run_threads(scripts);
    let (rounds, flushers) = scripts.rounds();
    let rounds = rounds.min(50);
    for _ in 0..rounds {
        scripts.barrier();
        for cpu in 0..scripts.cpus() {
            scripts.touch(cpu, 0, 4 * u64::from(flushers.min(64)));
        }
        scripts.barrier();
        for cpu in 0..flushers.min(64) {
            scripts.unmap(cpu, 4 * u64::from(cpu), 4);
        }
    }
}

pub(super) fn working_sets(scripts: &mut Scripts) {
    run_threads(scripts);
    let (rounds, flushers) = scripts.rounds();
    scripts.barrier();
    for cpu in 0..flushers {
        let (own, hot) = (u64::from(cpu) * REGION, 8 << (2 * (cpu % 4)));
        for _ in 0..rounds.min(100) {
            scripts.touch(cpu, own, hot);
            let pages = 1 + scripts.random(48);
            scripts.touch(cpu, own + REGION / 2, pages);
            let work = 1_000 + scripts.random(4_000);
            scripts.push(cpu, Op::Compute(work));
            scripts.unmap(cpu, own + REGION / 2, pages);
        }
    }
}

pub(super) fn large_pages(scripts: &mut Scripts) {
    run_threads(scripts);
    let (rounds, flushers) = scripts.rounds();
    scripts.barrier();
    for cpu in 0..flushers {
        let small = u64::from(cpu) * REGION;
        // Addresses above those of all small pages.
        let large = LARGE | (1 << 20) | ((u64::from(cpu) * REGION) >> LARGE_SHIFT);
        for _ in 0..rounds.min(100) {
            let pages = 1 + scripts.random(4);
            scripts.touch(cpu, large, pages);
            scripts.touch(cpu, small, 8);
            scripts.push(cpu, Op::Compute(2_000));
            match scripts.random(4) {
                0 => scripts.unmap(cpu, small, 8),
                _ => scripts.unmap(cpu, large, pages),
            }
        }
    }
}

pub(super) fn pingpong(scripts: &mut Scripts) {
    scripts.create_spaces();
    let spaces = scripts.spaces();
    for pair in 0..scripts.cpus().div_ceil(2) {
        let space = pair % spaces;
        let both: Vec<u32> = [2 * pair, 2 * pair + 1].into_iter().filter(|&c| c < scripts.cpus()).collect();
        let channels = [scripts.channel(), scripts.channel()];
        scripts.push(both[0], Op::Post(channels[0]));
        for _ in 0..100 {
            for (at, &cpu) in both.iter().enumerate() {
                scripts.push(cpu, Op::Take(channels[at]));
                scripts.push(cpu, Op::Switch(space));
                scripts.touch(cpu, u64::from(pair) * REGION, 2);
                scripts.push(cpu, Op::Lazy(true));
                scripts.push(cpu, Op::Post(channels[(at + 1) % both.len()]));
            }
        }
    }
}
