//! Concurrent flushes: IPIs, gathers, the history of recent requests.

use crate::support::Start::{Kernel, Lazy, User};
use crate::support::{Cpu, Plain, TABLE, Tagged, page, run_and_touch, scenario};
use shootdown_under_loom::flush::FlushRequest;

/// SD-6: a second request finds an IPI pending, or just taken.
pub fn coalesced_ipis() {
    scenario::<Plain>()
        .space(2, 2)
        .cpu(User(0), |cpu| {
            let first = cpu.send_unmap(0, 0);
            let second = cpu.send_unmap(0, 1);
            second.finish();
            first.finish();
        })
        .cpu(User(0), |cpu| {
            cpu.touch(0);
            cpu.touch(1);
        })
        .explore();
}

/// SD-6, SD-11: two CPUs flush each other.
pub fn two_flushers() {
    scenario::<Plain>()
        .space(2, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 1);
            cpu.touch(0);
        })
        .preemptions(3)
        .explore();
}

/// SD-6: two CPUs send an IPI to a third.
pub fn two_flushers_one_target() {
    scenario::<Plain>()
        .space(2, 3)
        .cpu(Kernel, |cpu| cpu.unmap(0, 0))
        .cpu(Kernel, |cpu| cpu.unmap(0, 1))
        .puppet(1, 0)
        .explore();
}

/// SD-8: a gather that finds an entry already cleared relies on the CPU that cleared it.
pub fn nested_gathers() {
    scenario::<Plain>()
        .space(1, 1)
        .cpu(Kernel, |cpu| {
            unmap_under_lock(cpu);
            // Nobody uses the address any more. The caller may say so, no matter which CPU cleared the entry.
            cpu.address_is_free(0);
        })
        .cpu(Kernel, unmap_under_lock)
        .puppet(1, 0)
        .explore();
}

/// Page tables change under a lock; the CPU that holds it may find the entry already cleared.
fn unmap_under_lock(cpu: &Cpu<'_, Plain>) {
    let mut gather = cpu.gather(0);
    let pending = cpu.locked(|| {
        cpu.clear(0, 0, &mut gather);
        gather.send()
    });
    pending.finish();
}

/// SD-14: a lazy CPU that comes back catches up with a request that is being written into a place used before.
pub fn recall_vs_record() {
    scenario::<Tagged>()
        .space(2, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, TABLE))
        .cpu(Kernel, |cpu| run_and_touch(cpu, 0, TABLE))
        .before(|machine| {
            // Generations 2 and 3: the next request takes the place of the first, which named another page.
            machine.on(0).engine().flush(machine.on(0).space(0), FlushRequest::pages(page(0)));
            machine.on(0).engine().flush(machine.on(0).space(0), FlushRequest::pages(page(0)));
            machine.on(1).run(0);
            machine.on(1).go_lazy();
        })
        .preemptions(3)
        .explore();
}

/// SD-14: what a lazy CPU missed is overwritten while it catches up.
pub fn recall_vs_overwrite() {
    scenario::<Plain>()
        .space(2, 2)
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Lazy(0), |cpu| run_and_touch(cpu, 0, 1))
        .before(|machine| {
            // Generations 2 and 3, of which the lazy CPU is not told; the page of the first is reused.
            machine.on(0).unmap(0, 1);
            machine.on(0).engine().flush(machine.on(0).space(0), FlushRequest::pages(page(3)));
        })
        .preemptions(3)
        .explore();
}

/// SD-14: two CPUs write requests into one entry of the history, one after the other, and one of them catches up with
/// what the other wrote last.
pub fn record_vs_record() {
    scenario::<Tagged>()
        .space(2, 1)
        .cpu(User(0), |cpu| {
            let pending = cpu.engine().send(cpu.space(0), FlushRequest::pages(page(0)));
            cpu.touch(1);
            pending.finish();
            cpu.touch(1);
        })
        .cpu(Kernel, |cpu| {
            let first = cpu.engine().send(cpu.space(0), FlushRequest::pages(page(5)));
            let second = cpu.send_unmap(0, 1);
            second.finish();
            first.finish();
        })
        .preemptions(3)
        .explore();
}
