//! Kernels other than Linux (class G).

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[];
