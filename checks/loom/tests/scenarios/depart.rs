//! A CPU stops using a space (or kernel memory), or goes on, while another flushes.

use crate::support::Start::{Kernel, Lazy, User};
use crate::support::{KERNEL, Keep, Plain, TABLE, run_and_touch, scenario};

/// SD-6, SD-8: user code runs on until its CPU has answered.
pub fn unmap_under_user() {
    scenario::<Plain>()
        .space(1, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.touch(0);
            cpu.touch(0);
        })
        .explore();
}

/// SD-8: user accesses come before the mark that says they are over.
pub fn enter_lazy_vs_flush() {
    scenario::<Plain>()
        .space(1, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.touch(0);
            cpu.go_lazy();
        })
        .explore();
}

/// SD-3: the walker is out of the root before the bit goes.
pub fn leave_vs_flush() {
    scenario::<Plain>()
        .space(2, 2)
        .tables()
        .cpu(User(0), |cpu| cpu.free_table(0))
        .cpu(Lazy(0), |cpu| cpu.engine().leave())
        .explore();
}

/// SD-3, SD-7: the hardware may walk the old root until the new one is in.
pub fn switch_away_vs_table_free() {
    scenario::<Plain>()
        .space(2, 2)
        .space(0, 1)
        .tables()
        .cpu(User(0), |cpu| cpu.free_table(0))
        .cpu(User(0), |cpu| {
            cpu.touch(TABLE);
            cpu.run(1);
        })
        .explore();
}

/// The same where the bit stays and the other space is ahead by many generations.
pub fn kept_bit_switch_away_vs_table_free() {
    scenario::<Keep>()
        .space(2, 2)
        .space(1, 1)
        .tables()
        .cpu(User(0), |cpu| cpu.free_table(0))
        .cpu(User(0), |cpu| cpu.run(1))
        .before(|machine| machine.on(0).change(1, 4))
        .explore();
}

/// SD-7: a lazy CPU's walker is told of a freed table.
pub fn lazy_vs_table_free() {
    scenario::<Plain>()
        .space(2, 2)
        .tables()
        .cpu(User(0), |cpu| cpu.free_table(0))
        .cpu(Lazy(0), |cpu| {
            cpu.poll();
            run_and_touch(cpu, 0, TABLE);
        })
        .explore();
}

/// SD-13: a CPU that goes off line has done with kernel memory.
pub fn offline_vs_kernel_flush() {
    scenario::<Plain>()
        .kernel_page()
        .cpu(Kernel, |cpu| cpu.unmap_kernel(0))
        .cpu(Kernel, |cpu| {
            cpu.touch(KERNEL);
            cpu.go_offline();
        })
        .explore();
}

/// SD-6, SD-8: a CPU that stays on line uses kernel memory until it has answered.
pub fn unmap_under_kernel() {
    scenario::<Plain>()
        .kernel_page()
        .cpu(Kernel, |cpu| cpu.unmap_kernel(0))
        .cpu(Kernel, |cpu| {
            cpu.touch(KERNEL);
            cpu.touch(KERNEL);
        })
        .explore();
}

/// SD-8, SD-20: a CPU uses kernel memory, runs user code, and comes back to use it again.
pub fn user_mode_vs_kernel_flush() {
    scenario::<Plain>()
        .kernel_page()
        .cpu(Kernel, |cpu| cpu.unmap_kernel(0))
        .cpu(Kernel, |cpu| {
            cpu.touch(KERNEL);
            cpu.poll();
            cpu.enter_user();
            cpu.exit_user();
            cpu.touch(KERNEL);
        })
        .explore();
}

/// SD-13: a CPU used kernel memory in its former life, and says in its next one that it has flushed.
pub fn back_on_line_vs_kernel_flush() {
    scenario::<Plain>()
        .kernel_page()
        .cpu(Kernel, |cpu| cpu.unmap_kernel(0))
        .cpu(Kernel, |cpu| {
            cpu.touch(KERNEL);
            cpu.go_offline();
            cpu.go_online();
            cpu.touch(KERNEL);
        })
        .explore();
}
