//! The bugs, one file each, after the commit that fixed it.

pub(crate) mod linux_2ff6ddf1;
pub(crate) mod linux_38cf307c;
pub(crate) mod linux_71b3c126;
pub(crate) mod linux_82dd33fd;
pub(crate) mod linux_a665eec0;
pub(crate) mod linux_b67fbebd;
pub(crate) mod linux_bafb056c;
pub(crate) mod linux_cb185d5f;
pub(crate) mod linux_eb66ae03;

use crate::header::{Header, pair};
use shootdown_machine::Case;

pub(crate) fn cases() -> Vec<Case> {
    [
        pair(&linux_bafb056c::HEADER, linux_bafb056c::model),
        pair(&linux_a665eec0::HEADER, linux_a665eec0::model),
        pair(&linux_38cf307c::HEADER, linux_38cf307c::UseMm::new),
        pair(&linux_82dd33fd::HEADER, linux_82dd33fd::Switching::new),
        pair(&linux_2ff6ddf1::HEADER, linux_2ff6ddf1::LazyTables::new),
        pair(&linux_71b3c126::HEADER, linux_71b3c126::Reclaim::new),
        pair(&linux_eb66ae03::HEADER, linux_eb66ae03::Mremap::new),
        pair(&linux_b67fbebd::HEADER, linux_b67fbebd::Unlink::new),
        pair(&linux_cb185d5f::HEADER, linux_cb185d5f::WriteProtect::new),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Headers of all bugs, in the order of [`crate::cases`].
pub fn headers() -> [&'static Header; 9] {
    [
        &linux_bafb056c::HEADER,
        &linux_a665eec0::HEADER,
        &linux_38cf307c::HEADER,
        &linux_82dd33fd::HEADER,
        &linux_2ff6ddf1::HEADER,
        &linux_71b3c126::HEADER,
        &linux_eb66ae03::HEADER,
        &linux_b67fbebd::HEADER,
        &linux_cb185d5f::HEADER,
    ]
}
