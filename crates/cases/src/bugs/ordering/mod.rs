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

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] = bugs![
    linux_71b3c126,
    linux_8f1d56f6,
    linux_8678c1f0,
    linux_16af97dc,
    linux_20841405,
    sel4_81679f2b,
    sel4_b8f1753d,
    linux_cfd391e7,
    freebsd_r360280,
    linux_fea4e317,
    linux_353e3cf8,
    linux_950b879b,
    linux_1a92a80a,
    linux_a355aa54,
];
