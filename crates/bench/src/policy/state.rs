//! What a modelled kernel remembers.

use super::words;
use crate::machine::{PageTables, Pages};
use std::collections::HashMap;

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
    Flush { pages: Pages, tables: PageTables, generation: u64 },
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
    /// CPUs that run a program in it or borrow it (Linux: `mm_users`).
    pub(super) users: u32,
    pub(super) ended: bool,
    /// The time after which a flush reaches members that are elsewhere too (Linux: `next_trim_cpumask`).
    pub(super) next_trim: u64,
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
    pub(super) spaces: HashMap<u32, Space>,
    /// Spaces that have ended and may still be loaded somewhere.
    ended: Vec<u32>,
    pub(super) cpus: Vec<Cpu>,
}

impl State {
    /// A space; one that is not known any more has ended.
    pub(super) fn space(&mut self, space: u32) -> &mut Space {
        let words = self.cpus.len().div_ceil(64);
        self.spaces.entry(space).or_insert_with(|| {
            self.ended.push(space);
            Space { mask: vec![0; words], ended: true, ..Space::default() }
        })
    }

    /// Makes a space, and forgets those that have ended and that no CPU has loaded: a recording may make any number.
    pub(super) fn create(&mut self, space: u32) {
        let words = self.cpus.len().div_ceil(64);
        let (spaces, cpus) = (&mut self.spaces, &self.cpus);
        self.ended.retain(|&ended| {
            let used = |cpu: &Cpu| {
                cpu.loaded == Some(ended)
                    || cpu.counted == Some(ended)
                    || cpu.calls.iter().any(|call| call.space == ended)
            };
            let stays = cpus.iter().any(used) || spaces.get(&ended).is_some_and(|space| space.gathers > 0);
            if !stays && spaces.remove(&ended).is_some() {
                words::forget(ended, words as u32);
            }
            stays
        });
        self.spaces.insert(space, Space { generation: 1, mask: vec![0; words], ..Space::default() });
    }

    /// Marks a space as ended.
    pub(super) fn end(&mut self, space: u32) {
        let state = self.space(space);
        if !std::mem::replace(&mut state.ended, true) {
            self.ended.push(space);
        }
    }
}
