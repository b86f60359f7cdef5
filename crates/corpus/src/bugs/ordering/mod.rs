//! Ordering between switching in and flushing (class B).

mod linux_16af97dc;
mod linux_20841405;
mod linux_71b3c126;

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[linux_71b3c126::BUG, linux_20841405::BUG, linux_16af97dc::BUG];
