//! Processes that come and go, and threads that mostly wait.

use super::script::Scripts;
use crate::machine::{Op, PageTables, Pages};

pub(super) fn fork_exec_migrate(scripts: &mut Scripts) {
    scripts.create_spaces();
    let (cpus, makes) = (scripts.cpus(), scripts.spaces());
    let jobs = (20 * cpus).min(8_000);
    let mut next = makes;
    // Jobs are written one after the other, so that each wait has its end before it in some CPU's script.
    for _ in 0..jobs {
        let make = scripts.random(u64::from(makes)) as u32;
        // A parent stays on one CPU: it would otherwise have to be stopped before it runs elsewhere.
        let parent = make % cpus;
        let (fork, image) = (next, next + 1);
        next += 2;
        scripts.push(parent, Op::Switch(make));
        scripts.touch(parent, 0, 24);
        scripts.push(parent, Op::Fork(fork));
        let start = scripts.channel();
        scripts.push(parent, Op::Post(start));
        scripts.push(parent, Op::Lazy(true));
        let cpu = scripts.random(u64::from(cpus)) as u32;
        scripts.push(cpu, Op::Take(start));
        scripts.push(cpu, Op::Switch(fork));
        scripts.touch(cpu, 0, 6);
        scripts.push(cpu, Op::Exit(fork));
        scripts.push(cpu, Op::Create(image));
        scripts.push(cpu, Op::Switch(image));
        job(scripts, cpu, image);
    }
}

/// A program from exec to exit; some move to another CPU in between.
fn job(scripts: &mut Scripts, mut cpu: u32, image: u32) {
    let pages = 20 + scripts.random(60);
    scripts.touch(cpu, 0x100, pages);
    scripts.push(cpu, Op::Protect(Pages { first: 0x100, count: 2 }));
    for _ in 0..scripts.random(4) {
        if scripts.random(10) < 3 {
            let to = scripts.random(u64::from(scripts.cpus())) as u32;
            let moves = scripts.channel();
            scripts.push(cpu, Op::Lazy(moves % 2 == 0));
            scripts.push(cpu, Op::Post(moves));
            scripts.push(to, Op::Take(moves));
            scripts.push(to, Op::Switch(image));
            cpu = to;
        }
        let count = 1 + scripts.random(12);
        scripts.touch(cpu, 0x400, count);
        scripts.push(cpu, Op::Compute(5_000));
        scripts.push(cpu, Op::Unmap(Pages { first: 0x400, count }, PageTables::Freed));
    }
    scripts.push(cpu, Op::Exit(image));
    scripts.push(cpu, Op::Lazy(true));
}

pub(super) fn context_switch(scripts: &mut Scripts) {
    scripts.create_spaces();
    let (rounds, flushers) = scripts.rounds();
    for cpu in 0..scripts.cpus() {
        for round in 0..rounds.max(20) {
            let space = (cpu + round % 2) % scripts.spaces();
            scripts.push(cpu, Op::Switch(space));
            let hot = scripts.random(60);
            scripts.touch(cpu, hot, 4);
            let work = 1_000 + scripts.random(4_000);
            scripts.push(cpu, Op::Compute(work));
            if cpu < flushers && scripts.random(8) == 0 {
                scripts.unmap(cpu, hot, 1);
            }
        }
    }
}

pub(super) fn sqpoll(scripts: &mut Scripts) {
    scripts.create_spaces();
    let spaces = scripts.spaces();
    for pair in 0..scripts.cpus().div_ceil(2) {
        let (owner, borrower) = (2 * pair, 2 * pair + 1);
        let (space, base) = (pair % spaces, u64::from(pair) << 12);
        scripts.push(owner, Op::Switch(space));
        for _ in 0..100 {
            let pages = 1 + scripts.random(8);
            scripts.touch(owner, base, pages);
            let work = scripts.random(8_000);
            scripts.push(owner, Op::Compute(work));
            scripts.unmap(owner, base, pages);
        }
        if borrower < scripts.cpus() {
            for _ in 0..60 {
                scripts.push(borrower, Op::Borrow(space));
                scripts.touch(borrower, base, 4);
                let work = scripts.random(4_000);
                scripts.push(borrower, Op::Compute(work));
                scripts.push(borrower, Op::Unborrow);
                let rest = scripts.random(16_000);
                scripts.push(borrower, Op::Compute(rest));
            }
        }
    }
}

pub(super) fn mmap_server(scripts: &mut Scripts) {
    scripts.create_spaces();
    let (rounds, flushers) = scripts.rounds();
    for cpu in 0..flushers {
        let space = cpu % scripts.spaces();
        scripts.push(cpu, Op::Switch(space));
        for _ in 0..rounds.min(100) {
            let hot = scripts.random(56);
            scripts.touch(cpu, hot, 8);
            let (file, pages) = (0x1000 + u64::from(cpu) * 64, 3 + scripts.random(8));
            scripts.touch(cpu, file, pages);
            let work = 2_000 + scripts.random(10_000);
            scripts.push(cpu, Op::Compute(work));
            scripts.unmap(cpu, file, pages);
            if scripts.random(2) == 0 {
                scripts.push(cpu, Op::Lazy(true));
                let rest = scripts.random(30_000);
                scripts.push(cpu, Op::Compute(rest));
                scripts.push(cpu, Op::Switch(space));
            }
        }
        scripts.push(cpu, Op::Lazy(true));
    }
}

pub(super) fn single_after_many(scripts: &mut Scripts) {
    scripts.create_spaces();
    let (cpus, spaces) = (scripts.cpus(), scripts.spaces());
    for cpu in 0..cpus {
        scripts.push(cpu, Op::Switch(0));
        scripts.touch(cpu, 0, 64);
    }
    scripts.barrier();
    for cpu in 1..cpus {
        scripts.push(cpu, Op::Lazy(true));
        if cpu % 2 == 0 && spaces > 1 {
            scripts.push(cpu, Op::Switch(1 + cpu % (spaces - 1)));
            scripts.touch(cpu, 0, 8);
        }
    }
    scripts.barrier();
    for round in 0..200 {
        scripts.touch(0, 0x100 + round % 4, 1);
        scripts.push(0, Op::Compute(1_000));
        scripts.unmap(0, 0x100 + round % 4, 1);
    }
}

pub(super) fn memcached_lazy(scripts: &mut Scripts) {
    scripts.create_spaces();
    let (rounds, flushers) = scripts.rounds();
    for cpu in 0..scripts.cpus() {
        let space = cpu % scripts.spaces();
        for _ in 0..rounds.max(20) {
            scripts.push(cpu, Op::Switch(space));
            let hot = scripts.random(248);
            scripts.touch(cpu, hot, 4);
            let work = 500 + scripts.random(2_000);
            scripts.push(cpu, Op::Compute(work));
            if cpu < flushers && scripts.random(8) == 0 {
                scripts.unmap(cpu, hot, 1);
            }
            scripts.push(cpu, Op::Lazy(true));
            let rest = scripts.random(20_000);
            scripts.push(cpu, Op::Compute(rest));
        }
    }
}
