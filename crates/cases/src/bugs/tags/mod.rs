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

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_94d0e598::BUG,
    xen_xsa292::BUG,
    xen_xsa294::BUG,
    linux_a0663a79::BUG,
    linux_a0582f26::BUG,
    linux_58897485::BUG,
    linux_5e10f988::BUG,
    linux_fb544d1c::BUG,
    linux_02a8f3ab::BUG,
    freebsd_3fd989da::BUG,
    linux_ce0b15d1::BUG,
    linux_44126343::BUG,
    linux_94a17f2d::BUG,
    linux_e3ba51ab::BUG,
    linux_c2ff4764::BUG,
    freebsd_r312954::BUG,
    linux_fa808ed4::BUG,
    xen_xsa442::BUG,
    xen_68871b1f::BUG,
    linux_3239c52f::BUG,
];
