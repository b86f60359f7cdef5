//! What several models have in common: reference counts, cross calls and locks; and whole frames of code in which
//! several bugs differ by a policy.

mod cross_call;
pub(crate) mod flagged_call;
pub(crate) mod flush_pending;
pub(crate) mod hypercall_mask;
pub(crate) mod last_exit;
pub(crate) mod lazy_tables;
mod lock;
mod mm;
pub(crate) mod single_user;
pub(crate) mod switching;

pub(crate) use cross_call::{CROSS_CALL, CrossCall};
pub(crate) use lock::Lock;
pub(crate) use mm::Mm;
