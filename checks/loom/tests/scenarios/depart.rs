//! A CPU stops using a space (or kernel memory), or goes on, while another flushes.

use crate::support::{KERNEL, Keep, Plain, Plan, TABLE, explore};

/// SD-6, SD-8: user code runs on until its CPU has answered.
pub fn unmap_under_user() {
    explore::<Plain>(|| Plan {
        pages: &[1],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.on(1).run(0);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                cpu.touch(0);
                cpu.touch(0);
            },
        ],
        ..Plan::default()
    });
}

/// SD-8: user accesses come before the mark that says they are over.
pub fn enter_lazy_vs_flush() {
    explore::<Plain>(|| Plan {
        pages: &[1],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.on(1).run(0);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                cpu.touch(0);
                cpu.go_lazy();
            },
        ],
        ..Plan::default()
    });
}

/// SD-3: the walker is out of the root before the bit goes.
pub fn leave_vs_flush() {
    explore::<Plain>(|| Plan {
        pages: &[2],
        tables: true,
        before: |machine| {
            machine.register(0, 2, 0);
            machine.on(1).run(0);
            machine.on(1).go_lazy();
            machine.on(0).run(0);
        },
        scripts: &[|cpu| cpu.free_table(0), |cpu| cpu.engine().leave()],
        ..Plan::default()
    });
}

/// SD-3, SD-7: the hardware may walk the old root until the new one is in.
pub fn switch_away_vs_table_free() {
    explore::<Plain>(|| Plan {
        pages: &[2, 0],
        tables: true,
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.free_table(0),
            |cpu| {
                cpu.touch(TABLE);
                cpu.run(1);
            },
        ],
        ..Plan::default()
    });
}

/// The same where the bit stays and the other space is ahead by many generations.
pub fn kept_bit_switch_away_vs_table_free() {
    explore::<Keep>(|| Plan {
        pages: &[2, 1],
        tables: true,
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            let cpu = machine.on(0);
            for _ in 0..4 {
                let mut gather = cpu.gather(1);
                gather.changed(crate::support::page(0));
                gather.finish();
            }
            machine.on(1).run(0);
            machine.on(0).run(0);
        },
        scripts: &[|cpu| cpu.free_table(0), |cpu| cpu.run(1)],
        ..Plan::default()
    });
}

/// SD-7: a lazy CPU's walker is told of a freed table.
pub fn lazy_vs_table_free() {
    explore::<Plain>(|| Plan {
        pages: &[2],
        tables: true,
        before: |machine| {
            machine.register(0, 2, 0);
            machine.on(1).run(0);
            machine.on(1).go_lazy();
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.free_table(0),
            |cpu| {
                cpu.poll();
                cpu.run(0);
                cpu.touch(TABLE);
            },
        ],
        ..Plan::default()
    });
}

/// SD-13: a CPU that goes off line has done with kernel memory.
pub fn offline_vs_kernel_flush() {
    explore::<Plain>(|| Plan {
        kernel: 1,
        scripts: &[
            |cpu| cpu.unmap_kernel(0),
            |cpu| {
                cpu.touch(KERNEL);
                cpu.go_offline();
            },
        ],
        ..Plan::default()
    });
}

/// SD-6, SD-8: a CPU that stays on line uses kernel memory until it has answered.
pub fn unmap_under_kernel() {
    explore::<Plain>(|| Plan {
        kernel: 1,
        scripts: &[
            |cpu| cpu.unmap_kernel(0),
            |cpu| {
                cpu.touch(KERNEL);
                cpu.touch(KERNEL);
            },
        ],
        ..Plan::default()
    });
}

/// SD-13: a CPU used kernel memory in its former life, and says in its next one that it has flushed.
pub fn back_on_line_vs_kernel_flush() {
    explore::<Plain>(|| Plan {
        kernel: 1,
        scripts: &[
            |cpu| cpu.unmap_kernel(0),
            |cpu| {
                cpu.touch(KERNEL);
                cpu.go_offline();
                cpu.go_online();
                cpu.touch(KERNEL);
            },
        ],
        ..Plan::default()
    });
}
