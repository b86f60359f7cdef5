//! Ordering between switching in and flushing (class B).

mod linux_71b3c126;

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[linux_71b3c126::BUG];
