//! What code under check asks for.

use core::sync::atomic::Ordering;
use std::fmt;
use std::panic::Location;

/// A request as the code under check makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) act: Act,
    pub(crate) place: &'static Location<'static>,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.act {
            Act::Load(word, _) => write!(f, "a load of {}", word.name),
            Act::Store(word, value, _) => write!(f, "a store of {value:#x} to {}", word.name),
            Act::Rmw(word, change, ..) => write!(f, "{change:?} on {}", word.name),
            act => write!(f, "{act:?}"),
        }?;
        write!(f, " at {}", self.place)
    }
}

/// A word as the code under check names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WordRef {
    pub(crate) address: usize,
    pub(crate) name: &'static str,
    pub(crate) initial: u64,
}

/// Kinds of requests. Those of the last group are silent: the explorer answers them at once, without a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Load(WordRef, Ordering),
    Store(WordRef, u64, Ordering),
    /// With the ordering of a success and, of a compare-and-exchange, of a failure.
    Rmw(WordRef, Change, Ordering, Ordering),
    Fence(Ordering),
    IrqSave,
    IrqRestore(bool),
    IrqEnabled,
    Raise(usize, u8),
    Lose(u32),
    Choose(u8),
    Device(u64),
    Retire {
        start: usize,
        size: usize,
        kind: &'static str,
    },
    WaitFalse,
    LoopBack,
    WaitBegin,
    WaitEnd,
    LoopBegin,
    LoopEnd,
    Note(&'static str),
}

/// How a read-modify-write changes a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Swap(u64),
    Add(u64),
    Sub(u64),
    Or(u64),
    And(u64),
    /// Current, new.
    Cas(u64, u64),
}

impl Change {
    /// The word's next value.
    pub(crate) fn apply(self, old: u64) -> u64 {
        match self {
            Self::Swap(new) => new,
            Self::Add(by) => old.wrapping_add(by),
            Self::Sub(by) => old.wrapping_sub(by),
            Self::Or(bits) => old | bits,
            Self::And(bits) => old & bits,
            Self::Cas(current, new) => {
                if old == current {
                    new
                } else {
                    old
                }
            }
        }
    }
}
