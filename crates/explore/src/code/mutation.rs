use crate::code::request::{Act, Request};
use core::sync::atomic::Ordering::Relaxed;
use std::panic::Location;

/// A small mistake that is put into code under check while it is explored: a place at which it does less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// Where.
    pub place: &'static Location<'static>,
    /// What goes.
    pub drops: Drops,
}

/// What a [`Mutation`] takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drops {
    /// The step: a fence, an interrupt or an operation of the device does not happen, and a wait does not wait.
    Step,
    /// The ordering of an access: it becomes relaxed.
    Order,
}

/// What [`crate::sync::wait_until`] is told when it must not wait.
pub(crate) const DO_NOT_WAIT: u64 = 1;

impl Mutation {
    /// Changes `request` if it is made at the mutation's place; the answer is for one that does not happen.
    pub(crate) fn apply(self, request: &mut Request) -> Option<u64> {
        if *self.place != *request.place {
            return None;
        }
        match (self.drops, &mut request.act) {
            (Drops::Step, Act::Fence(_) | Act::Raise(..) | Act::Device(_)) => Some(0),
            (Drops::Step, Act::WaitBegin) => Some(DO_NOT_WAIT),
            (Drops::Order, Act::Load(_, order) | Act::Store(_, _, order) | Act::Rmw(_, _, order, _)) => {
                *order = Relaxed;
                None
            }
            _ => None,
        }
    }
}
