//! Lifetime by reference counts (class E).

mod linux_cb185d5f;

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[linux_cb185d5f::BUG];
