//! Tags and hardware broadcast (class C).

mod linux_94d0e598;
mod xen_xsa292;
mod xen_xsa294;

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[linux_94d0e598::BUG, xen_xsa292::BUG, xen_xsa294::BUG];
