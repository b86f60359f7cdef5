//! Harts as fibers, several on a thread.

use corosensei::{Coroutine, CoroutineResult, Yielder};
use shootdown_host::shootdown::{CpuId, refs::UserRef};
use shootdown_host::{Guest, Host, Machine, SoftTlb};
use std::cell::Cell;
use std::ops::Range;

thread_local! {
    /// The hart whose fiber runs on this thread.
    static RUNS: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The hart whose fiber runs on this thread.
pub fn running_hart() -> Option<CpuId> {
    RUNS.get().map(CpuId::new)
}

/// A hart in guest code. Its TLB leads from guest-virtual pages to words of the host's memory.
pub struct Hart<'g, 'c, 'm> {
    pub guest: &'g mut Guest<'c, 'm, Host<()>, SoftTlb<usize>>,
    fiber: &'g Yielder<(), ()>,
}

// ANCHOR: turn
impl Hart<'_, '_, '_> {
    /// Lets the other harts of this thread run. No flush and no fence waits for this one meanwhile.
    pub fn turn(&mut self) {
        self.guest.pause(|| self.fiber.suspend(()));
    }
}
// ANCHOR_END: turn

/// Runs some harts on the calling thread, in turn, until all have ended.
pub fn run(
    machine: &'static Machine<()>,
    space: UserRef<'static, Host<()>>,
    harts: Range<u32>,
    code: fn(&mut Hart),
) {
    let mut fibers: Vec<_> = harts
        .map(|number| {
            let space = space.clone();
            let fiber = Coroutine::<(), (), ()>::new(move |fiber, ()| {
                let cpu = machine.virtual_cpu(number, SoftTlb::new(64));
                let mut cpu = cpu.expect("each hart is one fiber");
                cpu.run(&space, |guest| code(&mut Hart { guest, fiber }));
            });
            (number, fiber)
        })
        .collect();
    while !fibers.is_empty() {
        fibers.retain_mut(|(number, fiber)| {
            RUNS.set(Some(*number));
            matches!(fiber.resume(()), CoroutineResult::Yield(()))
        });
    }
}
