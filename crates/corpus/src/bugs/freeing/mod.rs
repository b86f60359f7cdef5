//! Flushing against freeing, and batching (class D).

mod linux_1cf35d47;
mod linux_383c4613;
mod linux_3ea27719;
mod linux_5ee2fa2f;
mod linux_60bae737;
mod linux_6ce64428;
mod linux_99baac21;
mod linux_b67fbebd;
mod linux_eb66ae03;

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_eb66ae03::BUG,
    linux_b67fbebd::BUG,
    linux_3ea27719::BUG,
    linux_5ee2fa2f::BUG,
    linux_383c4613::BUG,
    linux_60bae737::BUG,
    linux_99baac21::BUG,
    linux_1cf35d47::BUG,
    linux_6ce64428::BUG,
];
