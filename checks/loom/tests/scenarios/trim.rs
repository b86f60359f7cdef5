//! CPUs leave masks on request.

use crate::support::{Idle, Keep, Plain, Plan, explore, explore_bounded};

/// SD-3, SD-6: a CPU that ran the space before takes its bit away when asked.
pub fn kept_bit() {
    explore::<Keep>(|| Plan {
        pages: &[1, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| {
                cpu.engine().trim(cpu.space(0));
                cpu.unmap(0, 0);
            },
            |cpu| {
                cpu.touch(0);
                cpu.run(1);
            },
        ],
        ..Plan::default()
    });
}

/// SD-3: the CPU that is asked took its bit away in the meantime, and looks at the mask for nothing: even that look comes
/// before the space is freed.
pub fn bit_gone_before_the_answer() {
    explore::<Keep>(|| Plan {
        pages: &[0, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(1).run(1);
        },
        scripts: &[
            |cpu| {
                let user = cpu.user(0);
                cpu.engine().trim(&user);
                if let Some(teardown) = user.put() {
                    teardown.finish();
                }
            },
            |cpu| {
                let user = cpu.user(0);
                cpu.engine().switch_to(&user);
                cpu.engine().enter_lazy();
                cpu.engine().leave();
                if let Some(teardown) = user.put() {
                    teardown.finish();
                }
                cpu.poll();
            },
        ],
        ..Plan::default()
    });
}

/// SD-3: the same where neither the CPU that asks nor the one that answers frees the space.
pub fn a_third_frees_what_was_trimmed() {
    explore_bounded::<Keep>(3, || Plan {
        pages: &[0, 0],
        idle: Idle::Parks,
        before: |machine| {
            machine.register(0, 2, 2);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(1).run(1);
            drop(machine.on(0).user(0).put());
            machine.on(0);
        },
        scripts: &[
            |cpu| {
                let pin = cpu.pin(0);
                cpu.engine().trim(&pin);
                drop(pin);
            },
            |cpu| {
                let user = cpu.user(0);
                cpu.engine().switch_to(&user);
                cpu.engine().enter_lazy();
                cpu.engine().leave();
                if let Some(teardown) = user.put() {
                    teardown.finish();
                }
                cpu.poll();
            },
            |cpu| drop(cpu.pin(0)),
        ],
        ..Plan::default()
    });
}

/// SD-11: a CPU that goes lazy after it was passed over is not waited for.
pub fn trim_vs_enter_lazy() {
    explore::<Plain>(|| Plan {
        pages: &[0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.on(1).run(0);
            machine.on(0).run(0);
        },
        scripts: &[|cpu| cpu.engine().trim(cpu.space(0)), |cpu| cpu.go_lazy()],
        ..Plan::default()
    });
}

/// SD-13: a CPU that is off line cannot answer.
pub fn trim_of_an_offline_cpu() {
    explore::<Keep>(|| Plan {
        pages: &[0, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(1).run(1);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.engine().trim(cpu.space(0)),
            |cpu| {
                cpu.engine().enter_lazy();
                cpu.go_offline();
            },
        ],
        ..Plan::default()
    });
}

/// SD-13: a CPU that was sent an IPI before it went off line handles it when it comes back.
pub fn trim_of_a_cpu_that_comes_back() {
    explore::<Keep>(|| Plan {
        pages: &[0, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(1).run(1);
            machine.on(1).go_lazy();
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.engine().trim(cpu.space(0)),
            |cpu| {
                cpu.go_offline();
                cpu.go_online();
            },
        ],
        ..Plan::default()
    });
}

/// SD-3, SD-13: a CPU comes back while the request to it is being taken back, and a third frees the space.
pub fn back_before_the_request_is_taken_back() {
    explore_bounded::<Keep>(3, || Plan {
        pages: &[0, 0],
        idle: Idle::Parks,
        before: |machine| {
            machine.register(0, 1, 2);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(1).run(1);
            machine.on(1).go_offline();
            machine.on(0).user(0).put().expect("the only one").finish();
        },
        scripts: &[
            |cpu| {
                let pin = cpu.pin(0);
                cpu.engine().trim(&pin);
                drop(pin);
            },
            |cpu| cpu.go_online(),
            |cpu| drop(cpu.pin(0)),
        ],
        ..Plan::default()
    });
}

/// SD-3: a trim unwinds when it has asked, and the space dies.
pub fn trim_that_unwinds_vs_answer() {
    explore::<Keep>(|| Plan {
        pages: &[0, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(1).run(0);
            machine.on(1).run(1);
        },
        scripts: &[
            |cpu| {
                let user = cpu.user(0);
                cpu.engine().trim_that_unwinds(&user);
                if let Some(teardown) = user.put() {
                    teardown.finish();
                }
            },
            |cpu| {
                if let Some(teardown) = cpu.user(0).put() {
                    teardown.finish();
                }
                cpu.poll();
            },
        ],
        ..Plan::default()
    });
}
