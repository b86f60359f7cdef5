//! The search: rounds of workers, each of which owns a part of the states.

pub(crate) mod coder;
pub(crate) mod hub;
pub(crate) mod intern;
pub(crate) mod learn;
pub(crate) mod livelock;
pub(crate) mod random;
pub(crate) mod reached;
pub(crate) mod round;
pub(crate) mod set;
pub(crate) mod worker;
