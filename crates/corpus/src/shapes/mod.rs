//! What several models have in common: reference counts, cross calls, locks, and the single-user shortcut.

mod cross_call;
pub(crate) mod deferred;
mod lock;
mod mm;
pub(crate) mod single_user;

pub(crate) use cross_call::{CROSS_CALL, CrossCall};
pub(crate) use lock::Lock;
pub(crate) use mm::Mm;
