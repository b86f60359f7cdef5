//! Interrupts, hotplug, and what virtual machines leave to their hosts (class F).

mod linux_21ec30c0;
mod linux_227a4aad;
mod linux_35551efb;
mod linux_723aae25;
mod linux_72c0098d;
mod linux_758c9373;
mod linux_8d056c48;
mod linux_b0431382;
mod linux_ce29ddc4;
mod linux_defer_v3;
mod linux_defer_v4;
mod linux_defer_v4_text;
mod linux_defer_v7;

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] = bugs![
    linux_b0431382,
    linux_35551efb,
    linux_8d056c48,
    linux_ce29ddc4,
    linux_227a4aad,
    linux_723aae25,
    linux_72c0098d,
    linux_defer_v3,
    linux_defer_v4,
    linux_defer_v7,
    linux_defer_v4_text,
    linux_758c9373,
    linux_21ec30c0,
];
