//! A CPU becomes lazy on a space, returns to it, and another CPU reads what that return says of the space used before.
//!
//! An initiator pairs with the last store to the `loaded` word, which is the return's. That store must carry what the
//! CPU did before it became lazy: the use of the earlier space, and the generation that an acknowledgement is read
//! from.

use crate::support::Start::{Kernel, Lazy, User};
use crate::support::{Cpu, Keep, Plain, TABLE, scenario};

/// Uses `place` of space 0, becomes lazy there and returns.
fn use_and_return(cpu: &Cpu<Plain>, place: usize) {
    cpu.run(0);
    cpu.touch(place);
    cpu.go_lazy();
    cpu.run(0);
}

/// SD-8: the CPU has left the space that is flushed, and says so by its return to another one; its bit stayed.
pub fn lazy_return_elsewhere_vs_unmap() {
    scenario::<Keep>()
        .space(1, 2)
        .space(0, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.touch(0);
            cpu.run(1);
            cpu.go_lazy();
            cpu.run(1);
        })
        .explore();
}

/// SD-8: the generation beside the return must be this space's, not the larger one of the space before, which has seen
/// four flushes more.
pub fn lazy_return_after_another_space_vs_unmap() {
    scenario::<Plain>()
        .space(1, 2)
        .space(1, 1)
        .cpu(Kernel, |cpu| cpu.unmap(0, 0))
        .cpu(Kernel, |cpu| use_and_return(cpu, 0))
        .before(|machine| {
            machine.on(0).change(1, 4);
            machine.on(1).run(1);
            machine.on(0).run(0);
        })
        .explore();
}

/// SD-7, SD-8: the same where a table goes.
pub fn lazy_return_after_another_space_vs_table_free() {
    scenario::<Plain>()
        .space(2, 2)
        .space(1, 1)
        .tables()
        .cpu(Kernel, |cpu| cpu.free_table(0))
        .cpu(Kernel, |cpu| use_and_return(cpu, TABLE))
        .before(|machine| {
            machine.on(0).change(1, 4);
            machine.on(1).run(1);
            machine.on(0).run(0);
        })
        .explore();
}

/// SD-10: the space that the CPU was lazy on dies; that the CPU has left it is known from its return to another one.
pub fn lazy_return_elsewhere_vs_final_drop() {
    scenario::<Keep>()
        .space(0, 1)
        .space(0, 2)
        .cpu(Kernel, |cpu| cpu.exit(0))
        .cpu(Lazy(0), |cpu| {
            cpu.run(1);
            cpu.go_lazy();
            cpu.run(1);
        })
        .explore();
}
