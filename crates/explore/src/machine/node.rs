//! A node of the trie of histories: a frame that has seen certain answers, and its next step.

use crate::code::request::Request;
use crate::machine::hash;
use crate::machine::op::Op;
use std::hash::{BuildHasher, Hash};
use std::panic::Location;

/// The node of every frame that has ended.
pub(crate) const DONE: u32 = 0;
/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// The part of a node that exploring needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    /// Where `LoopBack` and `WaitFalse` go on.
    pub(crate) back: u32,
    /// What the evaluation that ended in this `WaitFalse` read.
    pub(crate) reads: (u32, u16),
    /// A false evaluation of one load: as good as the blocked frame that it leads to.
    pub(crate) instant: bool,
    /// The first step of a wait's condition.
    pub(crate) begins_wait: bool,
}

/// The rest of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    pub(crate) parent: u32,
    pub(crate) answer: u16,
    pub(crate) root: u32,
    pub(crate) position: u32,
    pub(crate) note: &'static str,
    pub(crate) place: Option<&'static Location<'static>>,
    /// Hash of the position where histories are merged, otherwise of root and answers: the same in every exploration of
    /// one scenario, but for positions of frames that have something on the heap.
    pub(crate) hash: u64,
    pub(crate) request: Option<Request>,
}

/// An interrupt line that may be raised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RaisedLine {
    pub(crate) cpu: u8,
    pub(crate) line: u8,
    pub(crate) node: u32,
}

impl Node {
    /// A node without a loop or a wait.
    pub(crate) fn plain(op: Op) -> Self {
        Self { op, back: NONE, reads: (0, 0), instant: false, begins_wait: false }
    }
}

impl Story {
    pub(crate) fn first(root: u32, hash: u64) -> Self {
        Self { parent: NONE, answer: 0, root, position: 0, note: "", place: None, hash, request: None }
    }

    pub(crate) fn child(&self, parent: u32, answer: u16) -> Self {
        Self { parent, answer, request: None, ..*self }
    }
}

pub(crate) fn hash_of<T: Hash>(value: &T) -> u64 {
    hash::Mix.hash_one(value)
}
