//! What a modelled kernel remembers, and the words in which it does.

use crate::machine::model::Word;
use crate::machine::{Pages, Tables};

/// Slots of [`Tags::Slots`](super::style::Tags::Slots).
pub(super) const SLOTS: usize = 6;

/// What a CPU asks of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) from: u32,
    pub(super) space: u32,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Flush { pages: Pages, tables: Tables, generation: u64 },
    Trim,
}

#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) generation: u64,
    pub(super) mask: Vec<u64>,
    pub(super) members: u32,
    /// References beyond those of programs.
    pub(super) counted: u32,
    pub(super) gathers: u32,
    pub(super) ended: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) space: Option<u32>,
    pub(super) generation: u64,
}

#[derive(Debug, Default)]
pub(super) struct Cpu {
    pub(super) loaded: Option<u32>,
    /// The space that is counted for this CPU.
    pub(super) counted: Option<u32>,
    pub(super) lazy: bool,
    pub(super) slot: usize,
    pub(super) slots: [Slot; SLOTS],
    pub(super) next: usize,
    pub(super) calls: Vec<Call>,
    /// Members that have not answered.
    pub(super) awaited: Vec<u32>,
    pub(super) flushes: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) spaces: Vec<Space>,
    pub(super) cpus: Vec<Cpu>,
}

/// The words that CPUs share, each on a line of its own.
pub(super) mod words {
    use super::Word;

    /// Identities come from one counter.
    pub(in crate::policy) fn identities() -> Word {
        Word::new(11, 0, 0)
    }
    pub(in crate::policy) fn generation(space: u32) -> Word {
        Word::new(1, space, 0)
    }
    /// Eight words of a mask are on one line.
    pub(in crate::policy) fn mask(space: u32, word: u32) -> Word {
        Word::new(2, space, word / 8)
    }
    pub(in crate::policy) fn count(space: u32) -> Word {
        Word::new(3, space, 0)
    }
    pub(in crate::policy) fn gathers(space: u32) -> Word {
        Word::new(4, space, 0)
    }
    pub(in crate::policy) fn members(space: u32) -> Word {
        Word::new(5, space, 0)
    }
    pub(in crate::policy) fn lazy(cpu: u32) -> Word {
        Word::new(6, cpu, 0)
    }
    pub(in crate::policy) fn loaded(cpu: u32) -> Word {
        Word::new(7, cpu, 0)
    }
    pub(in crate::policy) fn queue(cpu: u32) -> Word {
        Word::new(8, cpu, 0)
    }
    pub(in crate::policy) fn request(from: u32) -> Word {
        Word::new(9, from, 0)
    }
    pub(in crate::policy) fn answer(from: u32, by: u32) -> Word {
        Word::new(10, from, by + 1)
    }
    pub(in crate::policy) fn answers(from: u32) -> Word {
        Word::new(10, from, 0)
    }
}
