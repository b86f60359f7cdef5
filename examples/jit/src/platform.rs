//! All that the translator writes for the engine. `cargo run -p example-jit` counts these lines.

use corosensei::{Coroutine, CoroutineResult, Yielder};
use shootdown_host::shootdown::{CpuId, refs::UserRef};
use shootdown_host::{Guest, Host, Machine, MachineBuilder, PollWord, SoftTlb};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Virtual CPUs of the machine.
pub const HARTS: usize = 4;

thread_local! {
    /// The hart whose fiber runs on this thread.
    static RUNS: Cell<Option<u32>> = const { Cell::new(None) };
}

/// What translated code reaches through a register.
#[derive(Default)]
pub struct State {
    /// Translated code leaves its block when this is not 0.
    pub exit: AtomicU32,
    /// How often it did.
    pub exits: AtomicU64,
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

// ANCHOR: machine
/// Makes the machine. Each hart polls the word in its own state.
pub fn machine(states: &Arc<[State; HARTS]>) -> Machine<()> {
    let lent = Arc::clone(states);
    let machine =
        MachineBuilder::new(HARTS as u32).identity(|| RUNS.get().map(CpuId::new)).poll_words(move |cpu| {
            PollWord::in_part(Arc::clone(&lent), move |states: &[State; HARTS]| &states[cpu.index()].exit)
        });
    machine.build().expect("a few harts fit")
}
// ANCHOR_END: machine

/// Runs some harts on the calling thread, in turn, until all have ended.
pub fn run(
    machine: &'static Machine<()>,
    space: UserRef<'static, Host<()>>,
    harts: Range<u32>,
    code: fn(&mut Hart),
) {
    let mut fibers: Vec<_> = harts
        .map(|number| (number, space.clone()))
        .map(|(number, space)| {
            (
                number,
                Coroutine::<(), (), ()>::new(move |fiber, ()| {
                    let mut cpu =
                        machine.virtual_cpu(number, SoftTlb::new(64)).expect("each hart is one fiber");
                    cpu.run(&space, |guest| code(&mut Hart { guest, fiber }));
                }),
            )
        })
        .collect();
    while !fibers.is_empty() {
        fibers.retain_mut(|(number, fiber)| {
            RUNS.set(Some(*number));
            matches!(fiber.resume(()), CoroutineResult::Yield(()))
        });
    }
}
