//! A CPU begins to use a space (or kernel memory) while another flushes.

use crate::support::{Idle, KERNEL, Paired, Plain, Plan, Tagged, Wide, explore, explore_bounded};

/// SD-2, SD-5: a CPU with nothing loaded switches in.
pub fn switch_in_vs_flush() {
    explore::<Plain>(|| Plan {
        pages: &[1],
        before: |machine| {
            machine.on(0);
            machine.register(0, 2, 0);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                cpu.run(0);
                cpu.touch(0);
            },
        ],
        ..Plan::default()
    });
}

/// SD-5, SD-12: a CPU comes back to a tag under which it still has entries.
pub fn tagged_switch_in_vs_flush() {
    explore::<Tagged>(|| Plan {
        pages: &[1, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(1).run(1);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                cpu.run(0);
                cpu.touch(0);
            },
        ],
        ..Plan::default()
    });
}

/// SD-5: a lazy CPU returns to what it has loaded.
pub fn lazy_return_vs_flush() {
    explore::<Plain>(|| Plan {
        pages: &[1],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.on(1).run(0);
            machine.on(1).go_lazy();
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                cpu.run(0);
                cpu.touch(0);
            },
        ],
        ..Plan::default()
    });
}

/// SD-9: a kernel thread upgrades and borrows while the only user unmaps. The seed.
pub fn borrow_vs_unmap() {
    explore::<Plain>(|| Plan {
        pages: &[1],
        before: |machine| {
            machine.register(0, 1, 1);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                let pin = cpu.pin(0);
                let user = pin.upgrade().expect("its user stays");
                {
                    let _borrowed = cpu.engine().borrow(&user).expect("a kernel thread");
                    cpu.touch(0);
                }
                assert!(user.put().is_none(), "its user stays");
                let _ = pin.into_handle();
            },
        ],
        ..Plan::default()
    });
}

/// SD-13: a CPU comes on line while kernel memory goes.
pub fn online_vs_kernel_flush() {
    explore::<Plain>(|| Plan {
        kernel: 1,
        before: |machine| machine.on(1).go_offline(),
        scripts: &[
            |cpu| cpu.unmap_kernel(0),
            |cpu| {
                cpu.go_online();
                cpu.touch(KERNEL);
            },
        ],
        ..Plan::default()
    });
}

/// SD-1: a CPU is the first in its word of a mask, and marks it.
pub fn switch_into_another_word_vs_flush() {
    explore::<Wide>(|| Plan {
        pages: &[1],
        before: |machine| {
            machine.on(0);
            machine.register(0, 2, 0);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                cpu.run(0);
                cpu.touch(0);
            },
        ],
        ..Plan::default()
    });
}

/// SD-1: a CPU joins under the mark that another one, of which the CPU that flushes knows nothing, may have set.
pub fn join_under_a_mark_vs_flush() {
    explore_bounded::<Paired>(2, || Plan {
        pages: &[1],
        idle: Idle::Parks,
        before: |machine| {
            machine.on(2);
            machine.register(0, 3, 0);
            machine.on(2).run(0);
            machine.on(0);
        },
        scripts: &[
            |cpu| {
                cpu.run(0);
                cpu.touch(0);
            },
            |cpu| {
                cpu.run(0);
                cpu.touch(0);
            },
            |cpu| cpu.unmap(0, 0),
        ],
        ..Plan::default()
    });
}
