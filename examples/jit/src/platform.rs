//! What the translator tells the engine of its machine. `shootdown doctor` examines this file as it stands; `doctor.rs`
//! is how.

use super::running_hart;
use shootdown_host::sync::{AtomicU32, AtomicU64};
use shootdown_host::{MachineBuilder, PollWord};
use std::sync::Arc;

/// Virtual CPUs of the machine.
pub const HARTS: usize = 4;

/// What translated code reaches through a register.
#[derive(Default)]
pub struct State {
    /// Translated code leaves its block when this is not 0.
    pub exit: AtomicU32,
    /// How often it did.
    pub exits: AtomicU64,
}

// ANCHOR: machine
/// Asks for the machine. Each hart polls the word in its own state, and the fiber that runs says which hart that is.
pub fn machine(states: &Arc<[State; HARTS]>) -> MachineBuilder<()> {
    let lent = Arc::clone(states);
    MachineBuilder::new(HARTS as u32).identity(running_hart).poll_words(move |cpu| {
        PollWord::in_part(Arc::clone(&lent), move |states: &[State; HARTS]| &states[cpu.index()].exit)
    })
}
// ANCHOR_END: machine
