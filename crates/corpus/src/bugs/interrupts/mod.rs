//! Interrupts, hotplug and paravirtual flushes (class F).

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[];
