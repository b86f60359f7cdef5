//! A CPU becomes lazy on a space, returns to it, and another CPU reads what that return says of the space used before.
//!
//! An initiator pairs with the last store to the `loaded` word, which is the return's. That store must carry what the CPU
//! did before it became lazy: the use of the earlier space, and the generation that an acknowledgement is read from.

use crate::support::{Cpu, Keep, Plain, Plan, TABLE, explore, page};

/// Space 0 runs on CPU 0; CPU 1 comes from space 1, which has seen four flushes that space 0 has not.
fn after_flushes_elsewhere() -> Plan<Plain> {
    Plan {
        pages: &[1, 1],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            let cpu = machine.on(0);
            for _ in 0..4 {
                let mut gather = cpu.gather(1);
                gather.changed(page(0));
                gather.finish();
            }
            machine.on(1).run(1);
            machine.on(0).run(0);
        },
        ..Plan::default()
    }
}

/// Uses `place` of space 0, becomes lazy there and returns.
fn use_and_return(cpu: &Cpu<Plain>, place: usize) {
    cpu.run(0);
    cpu.touch(place);
    cpu.go_lazy();
    cpu.run(0);
}

/// SD-8: the CPU has left the space that is flushed, and says so by its return to another one; its bit stayed.
pub fn lazy_return_elsewhere_vs_unmap() {
    explore::<Keep>(|| Plan {
        pages: &[1, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 2, 0);
            machine.on(1).run(0);
            machine.on(0).run(0);
        },
        scripts: &[
            |cpu| cpu.unmap(0, 0),
            |cpu| {
                cpu.touch(0);
                cpu.run(1);
                cpu.go_lazy();
                cpu.run(1);
            },
        ],
        ..Plan::default()
    });
}

/// SD-8: the generation beside the return must be this space's, not the larger one of the space before.
pub fn lazy_return_after_another_space_vs_unmap() {
    explore::<Plain>(|| Plan {
        scripts: &[|cpu| cpu.unmap(0, 0), |cpu| use_and_return(cpu, 0)],
        ..after_flushes_elsewhere()
    });
}

/// SD-7, SD-8: the same where a table goes.
pub fn lazy_return_after_another_space_vs_table_free() {
    explore::<Plain>(|| Plan {
        pages: &[2, 1],
        tables: true,
        scripts: &[|cpu| cpu.free_table(0), |cpu| use_and_return(cpu, TABLE)],
        ..after_flushes_elsewhere()
    });
}

/// SD-10: the space that the CPU was lazy on dies; that the CPU has left it is known from its return to another one.
pub fn lazy_return_elsewhere_vs_final_drop() {
    explore::<Keep>(|| Plan {
        pages: &[0, 0],
        before: |machine| {
            machine.register(0, 1, 0);
            machine.register(1, 2, 0);
            machine.on(1).run(0);
            machine.on(1).go_lazy();
        },
        scripts: &[
            |cpu| cpu.exit(0),
            |cpu| {
                cpu.run(1);
                cpu.go_lazy();
                cpu.run(1);
            },
        ],
        ..Plan::default()
    });
}
