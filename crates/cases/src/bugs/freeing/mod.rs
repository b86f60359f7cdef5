//! Flushing against freeing, and batching (class D).

mod linux_018e9828;
mod linux_1013af4f;
mod linux_102331b6;
mod linux_1cf35d47;
mod linux_2ba99c5e;
mod linux_37764b95;
mod linux_383c4613;
mod linux_3c069607;
mod linux_3ea27719;
mod linux_3f8fd02b;
mod linux_59d9094d;
mod linux_5ee2fa2f;
mod linux_60bae737;
mod linux_6ce64428;
mod linux_6fa1066f;
mod linux_70cbc3cc;
mod linux_7938d615;
mod linux_7a1ac526;
mod linux_97113eb3;
mod linux_97c5550b;
mod linux_99baac21;
mod linux_a0e6e083;
mod linux_a4a118f2;
mod linux_a6f57208;
mod linux_b3431a8b;
mod linux_b67fbebd;
mod linux_c444eb56;
mod linux_d62007ed;
mod linux_d86564a2;
mod linux_dd5712f3;
mod linux_e37d5a2d;
mod linux_eb66ae03;
mod linux_ee6e69d0;
mod linux_f268f6cf;
mod linux_f36391d2;
mod linux_f967db0b;
mod xen_xsa286;
mod xen_xsa346;
mod xen_xsa373;
mod xen_xsa401;
mod xen_xsa408;
mod xen_xsa480;

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_eb66ae03::BUG,
    linux_97113eb3::BUG,
    linux_b67fbebd::BUG,
    linux_a6f57208::BUG,
    linux_d86564a2::BUG,
    linux_a4a118f2::BUG,
    linux_1013af4f::BUG,
    linux_59d9094d::BUG,
    linux_70cbc3cc::BUG,
    linux_2ba99c5e::BUG,
    linux_f268f6cf::BUG,
    linux_3ea27719::BUG,
    linux_5ee2fa2f::BUG,
    linux_383c4613::BUG,
    linux_60bae737::BUG,
    linux_99baac21::BUG,
    linux_1cf35d47::BUG,
    linux_6ce64428::BUG,
    linux_6fa1066f::BUG,
    linux_f36391d2::BUG,
    linux_7a1ac526::BUG,
    linux_dd5712f3::BUG,
    linux_c444eb56::BUG,
    xen_xsa401::BUG,
    xen_xsa346::BUG,
    linux_7938d615::BUG,
    linux_e37d5a2d::BUG,
    linux_d62007ed::BUG,
    linux_a0e6e083::BUG,
    linux_b3431a8b::BUG,
    linux_102331b6::BUG,
    xen_xsa480::BUG,
    xen_xsa286::BUG,
    xen_xsa408::BUG,
    xen_xsa373::BUG,
    linux_ee6e69d0::BUG,
    linux_018e9828::BUG,
    linux_f967db0b::BUG,
    linux_3f8fd02b::BUG,
    linux_37764b95::BUG,
    linux_97c5550b::BUG,
    linux_3c069607::BUG,
];
