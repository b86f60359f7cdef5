//! What models of kernels have in common: a lock, calls that other CPUs answer, and the words of an address space.
//!
//! All of it is code under check, made of [`Word`](shootdown_explore::sync::Word)s: each step of it is explored like
//! the model's own, and has a name in drawings if it is a field of the program.

mod cross_call;
mod lock;
mod mailbox;
mod mm;
mod slots;

pub use cross_call::{CROSS_CALL, CrossCall};
pub use lock::Lock;
pub use mailbox::{MAIL, Mailbox};
pub use mm::Mm;
