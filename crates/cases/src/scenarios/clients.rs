//! Outsiders that borrow a space: the seed's machine, and the two clients that this project began with. `shootdown
//! boot` has scenarios of the same names.

use super::list::{FOUR, List, THREE, TWO};
use super::machines::Plain;
use crate::engine::Start::{Kernel, User};

const CLIENTS: &[&str] = &["two", "clients"];

pub(super) fn add(list: &mut List) {
    list.scenario::<Plain>("seed", TWO)
        .about("the 2020 sparc64 machine: an outsider upgrades and borrows while the one user unmaps")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap(0, 1);
        })
        .cpu(Kernel, |cpu| {
            let pin = cpu.pinned(0);
            cpu.upgrade_and_borrow(0, &pin);
            cpu.upgrade_and_borrow(0, &pin);
            cpu.drop_pin(pin);
        })
        .pins(1)
        .pso()
        .add();
    list.scenario::<Plain>("borrow-vs-unmap", THREE)
        .about("a kernel thread borrows while one thread of the space unmaps and another goes lazy")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.run_kernel_thread())
        .cpu(Kernel, |cpu| cpu.upgrade_and_borrow_once(0))
        .pins(1)
        .add();
    list.scenario::<Plain>("four-borrow", FOUR)
        .about("an unmap meets a borrower, a thread that goes lazy and one that runs")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Kernel, |cpu| {
            let user = cpu.user(0);
            cpu.borrow(&user);
            let _ = user.into_handle();
        })
        .cpu(User(0), |cpu| cpu.run_kernel_thread())
        .cpu(User(0), |_| {})
        .spaces(1, [1, 0])
        .add();
    sqpoll(list);
    userfault(list);
}

fn sqpoll(list: &mut List) {
    list.scenario::<Plain>("sqpoll", CLIENTS)
        .about(
            "a submission-queue worker upgrades, borrows and goes idle again for each request, while the owner \
             unmaps and exits under it",
        )
        .cpu(User(0), |cpu| {
            cpu.submit(1);
            cpu.submit(2);
            cpu.unmap(0, 0);
            cpu.exit(0);
        })
        .cpu(Kernel, |cpu| {
            let pin = cpu.pinned(0);
            cpu.await_request(1);
            cpu.upgrade_and_borrow(0, &pin);
            // In between it is lazy on the space, and its TLB keeps what it has.
            cpu.await_request(2);
            cpu.upgrade_and_borrow(0, &pin);
            cpu.drop_pin(pin);
        })
        .pins(1)
        .dies(true)
        .every_memory()
        .add();
}

fn userfault(list: &mut List) {
    list.scenario::<Plain>("userfault", CLIENTS)
        .about(
            "a fault handler upgrades a struct reference for each fault, while the owner unmaps what was mapped and \
             exits",
        )
        .cpu(User(0), |cpu| {
            cpu.submit(1);
            cpu.await_answer(1);
            cpu.submit(2);
            cpu.unmap(0, 1);
            cpu.exit(0);
        })
        .cpu(Kernel, |cpu| {
            let pin = cpu.pinned(0);
            cpu.await_request(1);
            cpu.resolve(1, &pin);
            cpu.await_request(2);
            cpu.upgrade_and_borrow(0, &pin);
            cpu.drop_pin(pin);
        })
        .pins(1)
        .dies(true)
        .missing()
        .every_memory()
        .add();
}
