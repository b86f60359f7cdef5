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

/// The source of the kit, of the IOMMU's queue and of writes that fault, for pages that show what a model runs: file name and text.
pub const SOURCES: [(&str, &str); 6] = [
    ("cross_call.rs", include_str!("cross_call.rs")),
    ("device.rs", include_str!("../device.rs")),
    ("dirty.rs", include_str!("../dirty.rs")),
    ("lock.rs", include_str!("lock.rs")),
    ("mailbox.rs", include_str!("mailbox.rs")),
    ("mm.rs", include_str!("mm.rs")),
];
