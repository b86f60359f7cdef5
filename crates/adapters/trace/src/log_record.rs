//! Records of the `log` crate.

use crate::{Record, TARGET};
use shootdown::CpuId;
use shootdown::trace::Event;

/// Logs an event at level `Trace`, under the target [`TARGET`]. Costs one load while the level is off.
#[inline]
pub fn to_log(cpu: CpuId, event: Event) {
    log::trace!(target: TARGET, "{}", Record::new(cpu, event));
}
