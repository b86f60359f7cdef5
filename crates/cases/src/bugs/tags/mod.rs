//! Tags and hardware broadcast (class C).

mod freebsd_3fd989da;
mod freebsd_r312954;
mod linux_02a8f3ab;
mod linux_3239c52f;
mod linux_44126343;
mod linux_58897485;
mod linux_5e10f988;
mod linux_94a17f2d;
mod linux_94d0e598;
mod linux_a0582f26;
mod linux_a0663a79;
mod linux_c2ff4764;
mod linux_ce0b15d1;
mod linux_e3ba51ab;
mod linux_fa808ed4;
mod linux_fb544d1c;
mod xen_68871b1f;
mod xen_xsa292;
mod xen_xsa294;
mod xen_xsa442;

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] = bugs![
    linux_94d0e598,
    xen_xsa292,
    xen_xsa294,
    linux_a0663a79,
    linux_a0582f26,
    linux_58897485,
    linux_5e10f988,
    linux_fb544d1c,
    linux_02a8f3ab,
    freebsd_3fd989da,
    linux_ce0b15d1,
    linux_44126343,
    linux_94a17f2d,
    linux_e3ba51ab,
    linux_c2ff4764,
    freebsd_r312954,
    linux_fa808ed4,
    xen_xsa442,
    xen_68871b1f,
    linux_3239c52f,
];
