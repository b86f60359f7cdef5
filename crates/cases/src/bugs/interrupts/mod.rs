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

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_b0431382::BUG,
    linux_35551efb::BUG,
    linux_8d056c48::BUG,
    linux_ce29ddc4::BUG,
    linux_227a4aad::BUG,
    linux_723aae25::BUG,
    linux_72c0098d::BUG,
    linux_defer_v3::BUG,
    linux_defer_v4::BUG,
    linux_defer_v7::BUG,
    linux_defer_v4_text::BUG,
    linux_758c9373::BUG,
    linux_21ec30c0::BUG,
];
