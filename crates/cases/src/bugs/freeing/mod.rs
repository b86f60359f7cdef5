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

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] = bugs![
    linux_eb66ae03,
    linux_97113eb3,
    linux_b67fbebd,
    linux_a6f57208,
    linux_d86564a2,
    linux_a4a118f2,
    linux_1013af4f,
    linux_59d9094d,
    linux_70cbc3cc,
    linux_2ba99c5e,
    linux_f268f6cf,
    linux_3ea27719,
    linux_5ee2fa2f,
    linux_383c4613,
    linux_60bae737,
    linux_99baac21,
    linux_1cf35d47,
    linux_6ce64428,
    linux_6fa1066f,
    linux_f36391d2,
    linux_7a1ac526,
    linux_dd5712f3,
    linux_c444eb56,
    xen_xsa401,
    xen_xsa346,
    linux_7938d615,
    linux_e37d5a2d,
    linux_d62007ed,
    linux_a0e6e083,
    linux_b3431a8b,
    linux_102331b6,
    xen_xsa480,
    xen_xsa286,
    xen_xsa408,
    xen_xsa373,
    linux_ee6e69d0,
    linux_018e9828,
    linux_f967db0b,
    linux_3f8fd02b,
    linux_37764b95,
    linux_97c5550b,
    linux_3c069607,
];
