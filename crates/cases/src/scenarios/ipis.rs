//! IPIs that cross: CPUs that flush each other, answers that come late, and IPIs that nobody asked for.

use super::list::{List, THREE, TWO};
use super::machines::Plain;
use crate::engine::Start::User;
use shootdown_explore::sync;

pub(super) fn add(list: &mut List) {
    list.scenario::<Plain>("two-flushers", THREE)
        .about("two threads unmap at once while a third runs")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.unmap_split(0, 1))
        .cpu(User(0), |_| {})
        .add();
    list.scenario::<Plain>("asked-while-answering", TWO)
        .about("a CPU that has acknowledged a flush is asked for the next one before its handler ends, twice")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap(0, 1);
            cpu.flush_page(0, 0);
        })
        .cpu(User(0), |_| {})
        .pso()
        .add();
    list.scenario::<Plain>("masked-flushers", TWO)
        .about("two CPUs flush each other's space with interrupts off")
        .cpu(User(0), |cpu| cpu.unmap_masked(1, 0))
        .cpu(User(1), |cpu| cpu.unmap_masked(0, 0))
        .spaces(2, [0, 0])
        .add();
    list.scenario::<Plain>("ipi-in-flight", TWO)
        .about("a CPU that waits handles a request before its interrupt comes, and is sent another request")
        .cpu(User(0), |cpu| cpu.flush_page(0, 0))
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap(0, 1);
        })
        .add();
    list.scenario::<Plain>("stalled-target", THREE)
        .about("a target answers late: it is reported, sent another IPI, and waited for")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |_| {
            let were_on = sync::irq_save();
            sync::irq_restore(were_on);
        })
        .cpu(User(0), |cpu| cpu.run_kernel_thread())
        .stalls()
        .add();
    // An IPI that arrives twice is one of these too: nothing was asked for the second.
    list.scenario::<Plain>("spurious-ipi", &["hard"])
        .about("spurious and duplicate IPIs arrive at a CPU that flushes and at one that goes lazy")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.run_in_turn(&[0]);
        })
        .cpu(User(0), |cpu| {
            cpu.send_spurious_ipi(1);
            cpu.send_spurious_ipi(0);
            cpu.send_spurious_ipi(1);
        })
        .add();
}
