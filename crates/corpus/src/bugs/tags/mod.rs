//! Tags and hardware broadcast (class C).

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[];
