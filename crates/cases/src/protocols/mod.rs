//! Code that several models share, besides the [kit](shootdown_machine::kit). Each file is a protocol with a policy as
//! a parameter, and each of several bugs is one policy.

pub(crate) mod addition;
pub(crate) mod ats;
pub(crate) mod balance;
pub(crate) mod deferred;
pub(crate) mod deferred_entry;
pub(crate) mod diagonal;
pub(crate) mod dirty_mark;
pub(crate) mod flagged_call;
pub(crate) mod flush_pending;
pub(crate) mod fresh_page;
pub(crate) mod half_built;
pub(crate) mod hypercall_mask;
pub(crate) mod kernel_unmap;
pub(crate) mod large_leaf;
pub(crate) mod last_exit;
pub(crate) mod late_drop;
pub(crate) mod lazy_tables;
pub(crate) mod lockless;
pub(crate) mod moved_page;
pub(crate) mod one_tag;
pub(crate) mod other_mmu;
pub(crate) mod outsider;
pub(crate) mod own_entries;
pub(crate) mod page_type;
pub(crate) mod published_mode;
pub(crate) mod remake;
pub(crate) mod single_user;
pub(crate) mod slot;
pub(crate) mod switch_in;
pub(crate) mod switching;
pub(crate) mod table_batch;
pub(crate) mod table_move;
pub(crate) mod unmap;
pub(crate) mod wrap;

pub(crate) use shootdown_machine::kit::{CROSS_CALL, CrossCall, Lock, MAIL, Mailbox, Mm};
