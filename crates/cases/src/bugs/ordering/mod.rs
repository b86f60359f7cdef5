//! Ordering between switching in and flushing (class B).

mod freebsd_r360280;
mod linux_16af97dc;
mod linux_1a92a80a;
mod linux_20841405;
mod linux_353e3cf8;
mod linux_71b3c126;
mod linux_8678c1f0;
mod linux_8f1d56f6;
mod linux_950b879b;
mod linux_a355aa54;
mod linux_cfd391e7;
mod linux_fea4e317;
mod sel4_81679f2b;
mod sel4_b8f1753d;

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_71b3c126::BUG,
    linux_8f1d56f6::BUG,
    linux_8678c1f0::BUG,
    linux_16af97dc::BUG,
    linux_20841405::BUG,
    sel4_81679f2b::BUG,
    sel4_b8f1753d::BUG,
    linux_cfd391e7::BUG,
    freebsd_r360280::BUG,
    linux_fea4e317::BUG,
    linux_353e3cf8::BUG,
    linux_950b879b::BUG,
    linux_1a92a80a::BUG,
    linux_a355aa54::BUG,
];
