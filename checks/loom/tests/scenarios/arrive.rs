//! A CPU begins to use a space (or kernel memory) while another flushes.

use crate::support::Start::{InTurn, Kernel, Lazy, User};
use crate::support::{KERNEL, Paired, Plain, Tagged, Wide, run_and_touch, scenario};

/// SD-2, SD-5: a CPU with nothing loaded switches in.
pub fn switch_in_vs_flush() {
    scenario::<Plain>()
        .space(1, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Kernel, |cpu| run_and_touch(cpu, 0, 0))
        .explore();
}

/// SD-5, SD-12: a CPU comes back to a tag under which it still has entries.
pub fn tagged_switch_in_vs_flush() {
    scenario::<Tagged>()
        .space(1, 2)
        .space(0, 1)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(InTurn(&[0, 1]), |cpu| run_and_touch(cpu, 0, 0))
        .explore();
}

/// SD-5: a lazy CPU returns to what it has loaded.
pub fn lazy_return_vs_flush() {
    scenario::<Plain>()
        .space(1, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Lazy(0), |cpu| run_and_touch(cpu, 0, 0))
        .explore();
}

/// SD-9: a kernel thread upgrades and borrows while the only user unmaps. The seed.
pub fn borrow_vs_unmap() {
    scenario::<Plain>()
        .space(1, 1)
        .pins(1)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Kernel, |cpu| {
            let pin = cpu.pin(0);
            let user = pin.upgrade().expect("its user stays");
            {
                let _borrowed = cpu.engine().borrow(&user).expect("a kernel thread");
                cpu.touch(0);
            }
            assert!(user.put().is_none(), "its user stays");
            let _ = pin.into_handle();
        })
        .explore();
}

/// SD-13: a CPU comes on line while kernel memory goes.
pub fn online_vs_kernel_flush() {
    scenario::<Plain>()
        .kernel_page()
        .cpu(Kernel, |cpu| cpu.unmap_kernel(0))
        .cpu(Kernel, |cpu| {
            cpu.go_online();
            cpu.touch(KERNEL);
        })
        .before(|machine| machine.on(1).go_offline())
        .explore();
}

/// SD-1: a CPU is the first in its word of a mask, and marks it.
pub fn switch_into_another_word_vs_flush() {
    scenario::<Wide>()
        .space(1, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Kernel, |cpu| run_and_touch(cpu, 0, 0))
        .explore();
}

/// SD-1: a CPU joins under the mark that another one, of which the CPU that flushes knows nothing, may have set.
pub fn join_under_a_mark_vs_flush() {
    scenario::<Paired>()
        .space(1, 3)
        .cpu(Kernel, |cpu| run_and_touch(cpu, 0, 0))
        .cpu(Kernel, |cpu| run_and_touch(cpu, 0, 0))
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .parks()
        .preemptions(2)
        .explore();
}
