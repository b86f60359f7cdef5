//! What several models have in common: reference counts, cross calls, locks, and frames of code of which each of
//! several bugs is one policy.

pub(crate) mod balance;
mod cross_call;
pub(crate) mod half_built;
pub(crate) mod late_drop;
mod lock;
mod mm;
pub(crate) mod outsider;
pub(crate) mod single_user;

pub(crate) use cross_call::{CROSS_CALL, CrossCall};
pub(crate) use lock::Lock;
pub(crate) use mm::Mm;
