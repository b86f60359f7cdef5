//! What models of kernels have in common: a lock, calls that other CPUs answer, and the words of an address space.
//!
//! All of it is code under check, made of [`Word`](shootdown_explore::sync::Word)s: each step of it is explored like the model's
//! own. Give each to [`Registry`](shootdown_explore::Registry) in `Program::register`, so that its words have names.

mod cross_call;
mod lock;
mod mailbox;
mod mm;

pub use cross_call::{CROSS_CALL, CrossCall};
pub use lock::Lock;
pub use mailbox::{MAIL, Mailbox};
pub use mm::Mm;
