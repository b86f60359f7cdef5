//! CPUs leave masks on request.

use crate::support::Start::{InTurn, Kernel, User};
use crate::support::{Cpu, Keep, Plain, scenario};

/// SD-3, SD-6: a CPU that ran the space before takes its bit away when asked.
pub fn kept_bit() {
    scenario::<Keep>()
        .space(1, 2)
        .space(0, 1)
        .cpu(User(0), |cpu| {
            cpu.engine().trim(cpu.space(0));
            cpu.unmap(0, 0);
        })
        .cpu(User(0), |cpu| {
            cpu.touch(0);
            cpu.run(1);
        })
        .explore();
}

/// SD-3: the CPU that is asked took its bit away in the meantime, and looks at the mask for nothing: even that look
/// comes before the space is freed.
pub fn bit_gone_before_the_answer() {
    scenario::<Keep>()
        .space(0, 2)
        .space(0, 1)
        .cpu(Kernel, |cpu| {
            let user = cpu.user(0);
            cpu.engine().trim(&user);
            if let Some(teardown) = user.put() {
                teardown.finish();
            }
        })
        .cpu(InTurn(&[0, 1]), come_back_and_leave)
        .explore();
}

/// Runs the space once more, leaves it by itself, puts its reference, and answers.
fn come_back_and_leave(cpu: &Cpu<'_, Keep>) {
    let user = cpu.user(0);
    cpu.engine().switch_to(&user);
    cpu.engine().enter_lazy();
    cpu.engine().leave();
    if let Some(teardown) = user.put() {
        teardown.finish();
    }
    cpu.poll();
}

/// Trims a space that a struct reference keeps, and drops that.
fn trim_and_drop(cpu: &Cpu<'_, Keep>) {
    let pin = cpu.pin(0);
    cpu.engine().trim(&pin);
    drop(pin);
}

/// SD-3: the same where neither the CPU that asks nor the one that answers frees the space.
pub fn a_third_frees_what_was_trimmed() {
    scenario::<Keep>()
        .space(0, 2)
        .pins(2)
        .space(0, 1)
        .cpu(Kernel, trim_and_drop)
        .cpu(InTurn(&[0, 1]), come_back_and_leave)
        .cpu(Kernel, |cpu| drop(cpu.pin(0)))
        .before(|machine| drop(machine.on(0).user(0).put()))
        .parks()
        .preemptions(3)
        .explore();
}

/// SD-11: a CPU that goes lazy after it was passed over is not waited for.
pub fn trim_vs_enter_lazy() {
    scenario::<Plain>()
        .space(0, 2)
        .cpu(User(0), |cpu| cpu.engine().trim(cpu.space(0)))
        .cpu(User(0), |cpu| cpu.go_lazy())
        .explore();
}

/// SD-13: a CPU that is off line cannot answer.
pub fn trim_of_an_offline_cpu() {
    scenario::<Keep>()
        .space(0, 2)
        .space(0, 1)
        .cpu(User(0), |cpu| cpu.engine().trim(cpu.space(0)))
        .cpu(InTurn(&[0, 1]), |cpu| {
            cpu.engine().enter_lazy();
            cpu.go_offline();
        })
        .explore();
}

/// SD-13: a CPU that was sent an IPI before it went off line handles it when it comes back.
pub fn trim_of_a_cpu_that_comes_back() {
    scenario::<Keep>()
        .space(0, 2)
        .space(0, 1)
        .cpu(User(0), |cpu| cpu.engine().trim(cpu.space(0)))
        .cpu(InTurn(&[0, 1]), |cpu| {
            cpu.go_offline();
            cpu.go_online();
        })
        .before(|machine| machine.on(1).go_lazy())
        .explore();
}

/// SD-3, SD-13: a CPU comes back while the request to it is being taken back, and a third frees the space.
pub fn back_before_the_request_is_taken_back() {
    scenario::<Keep>()
        .space(0, 1)
        .pins(2)
        .space(0, 1)
        .cpu(Kernel, trim_and_drop)
        .cpu(InTurn(&[0, 1]), |cpu| cpu.go_online())
        .cpu(Kernel, |cpu| drop(cpu.pin(0)))
        .before(|machine| {
            machine.on(1).go_offline();
            machine.on(0).user(0).put().expect("the only one").finish();
        })
        .parks()
        .preemptions(3)
        .explore();
}

/// SD-3: a trim unwinds when it has asked, and the space dies.
pub fn trim_that_unwinds_vs_answer() {
    scenario::<Keep>()
        .space(0, 2)
        .space(0, 1)
        .cpu(Kernel, |cpu| {
            let user = cpu.user(0);
            cpu.engine().trim_that_unwinds(&user);
            if let Some(teardown) = user.put() {
                teardown.finish();
            }
        })
        .cpu(InTurn(&[0, 1]), |cpu| {
            if let Some(teardown) = cpu.user(0).put() {
                teardown.finish();
            }
            cpu.poll();
        })
        .explore();
}
