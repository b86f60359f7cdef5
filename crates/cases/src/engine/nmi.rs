//! Non-maskable interrupts: they come between any two steps of a CPU, with interrupts off or in a handler, once each.

use shootdown::{AddressSpace, Platform};
use shootdown_explore::sync::Word;
use shootdown_machine::hw;
use std::sync::atomic::Ordering::Relaxed;

/// Interrupt line of the NMI.
pub(crate) const LINE: u8 = 3;

/// What the handler of a non-maskable interrupt does (a profiler that walks the user's stack, say).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nmi {
    /// There are none.
    Never,
    /// It reads the engine's figures, and user memory only where this CPU's own mark says that it may.
    Asks,
    /// It reads user memory whatever this CPU was about to do, which is wrong.
    Blunt,
    /// It uses kernel memory, whatever this CPU was about to do.
    Profiles,
}

/// For each CPU, whether its user memory may be used: a kernel sets it when a space is loaded and clears it before that
/// changes, so that it covers none of the engine's spans. Only its own CPU looks at it.
#[derive(Debug)]
pub(crate) struct Marks(Vec<Word>);

impl Marks {
    /// Marks for CPUs of which some begin in user code.
    pub(crate) fn new(users: impl Iterator<Item = bool>) -> Self {
        Self(users.map(|user| Word::new("may_use", u64::from(user))).collect())
    }

    pub(crate) fn mark(&self, cpu: usize, may_use: bool) {
        // ORDER: relaxed; only this CPU reads it.
        self.0[cpu].store(u64::from(may_use), Relaxed);
    }

    /// The handler on `cpu`.
    pub(crate) fn taken<P: Platform>(&self, nmi: Nmi, cpu: usize, space: &AddressSpace<P>) {
        // ORDER: relaxed; only this CPU writes it.
        let may_use = self.0[cpu].load(Relaxed) == 1;
        if may_use {
            // Reading figures is all that an NMI may ask of the engine, of a space that this CPU keeps alive.
            let _ = (space.generation(), space.users());
        }
        if may_use || nmi == Nmi::Blunt {
            hw::touch(0);
        }
    }
}
