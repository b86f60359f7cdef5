//! What several models have in common: reference counts, cross calls, locks, and frames of code that several bugs fill.

mod cross_call;
pub(crate) mod deferred;
mod lock;
pub(crate) mod lockless;
mod mm;
pub(crate) mod moved_page;
pub(crate) mod other_mmu;
pub(crate) mod single_user;
pub(crate) mod table_batch;
pub(crate) mod table_move;

pub(crate) use cross_call::{CROSS_CALL, CrossCall};
pub(crate) use lock::Lock;
pub(crate) use mm::Mm;
