//! Flushing against freeing, and batching (class D).

mod linux_b67fbebd;
mod linux_eb66ae03;

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[linux_eb66ae03::BUG, linux_b67fbebd::BUG];
