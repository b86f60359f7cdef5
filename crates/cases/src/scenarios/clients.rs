//! The two clients that this project began with. `shootdown boot` has scenarios of the same names.

use super::catalog::List;
use super::{Plain, named, plan};
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::{self, Pso, Sc, Tso};

const CLIENTS: &[&str] = &["two", "clients"];
const ALL: &[Memory] = &[Tso, Pso, Sc];

pub(super) fn add(list: &mut List) {
    sqpoll(list);
    userfault(list);
}

fn sqpoll(list: &mut List) {
    let about = "a submission-queue worker upgrades, borrows and goes idle again for each request, while the owner \
                 unmaps and exits under it";
    list.add(&named("sqpoll", CLIENTS, ALL, about), || {
        let owner: Code<Plain> = |cpu| {
            cpu.submit(1);
            cpu.submit(2);
            cpu.unmap(0, 0);
            cpu.exit(0);
        };
        let worker: Code<Plain> = |cpu| {
            let pin = cpu.pinned(0);
            cpu.await_request(1);
            cpu.upgrade_and_borrow(0, &pin);
            // In between it is lazy on the space, and its TLB keeps what it has.
            cpu.await_request(2);
            cpu.upgrade_and_borrow(0, &pin);
            cpu.drop_pin(pin);
        };
        Plan { pins: [1, 0], die: &[0], ..plan(vec![(Start::User(0), owner), (Start::Kernel, worker)]) }
    });
}

fn userfault(list: &mut List) {
    let about = "a fault handler upgrades a struct reference for each fault, while the owner unmaps what was mapped and \
                 exits";
    list.add(&named("userfault", CLIENTS, ALL, about), || {
        let owner: Code<Plain> = |cpu| {
            cpu.submit(1);
            cpu.await_answer(1);
            cpu.submit(2);
            cpu.unmap(0, 1);
            cpu.exit(0);
        };
        let handler: Code<Plain> = |cpu| {
            let pin = cpu.pinned(0);
            cpu.await_request(1);
            cpu.resolve(1, &pin);
            cpu.await_request(2);
            cpu.upgrade_and_borrow(0, &pin);
            cpu.drop_pin(pin);
        };
        let cpus = vec![(Start::User(0), owner), (Start::Kernel, handler)];
        Plan { pins: [1, 0], die: &[0], missing: true, ..plan(cpus) }
    });
}
