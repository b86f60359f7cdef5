//! The end of a space: its last user reference goes while others want one.

use super::list::{List, THREE, TWO};
use super::machines::Plain;
use crate::engine::Start::{Kernel, Lazy, User};
use shootdown_explore::sync;
use std::sync::atomic::Ordering::Acquire;

pub(super) fn add(list: &mut List) {
    list.scenario::<Plain>("upgrade-vs-last-drop", THREE)
        .about("two outsiders upgrade and borrow while the last user exits")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Kernel, |cpu| cpu.upgrade_and_borrow_once(0))
        .cpu(Kernel, |cpu| cpu.upgrade_and_borrow_once(0))
        .pins(2)
        .dies(true)
        .add();
    list.scenario::<Plain>("deferred-teardown", TWO)
        .about("the last user reference is dropped where nothing may run")
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            drop(cpu.user(0));
        })
        .cpu(Kernel, |cpu| {
            let pin = cpu.pinned(0);
            let upgraded = pin.upgrade();
            drop(upgraded);
            cpu.drop_pin(pin);
            sync::wait_until(|| cpu.engine().platform().deferred[0].load(Acquire) == 1);
            cpu.reap(0);
        })
        .pins(1)
        .dies(true)
        .add();
    list.scenario::<Plain>("temporary-vs-exit", THREE)
        .about("a lazy CPU patches through a temporary space while its own dies")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Lazy(0), |cpu| cpu.patch(1, false))
        .cpu(User(1), |cpu| cpu.unmap(1, 0))
        .spaces(2, [0, 1])
        .dies(true)
        .add();
}
