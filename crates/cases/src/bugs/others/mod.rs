//! Kernels other than Linux (class G).

mod asterinas_035e12a4;
mod asterinas_491b35b0;
mod asterinas_69abc09f;
mod hermitcore_37f47877;
mod hermitcore_b08965d8;
mod hyperlight_pr1333;
mod litebox_pr848;
mod maestro_097b6b21;
mod maestro_5d98d94b;
mod maestro_6fd36556;
mod nanos_pr1418;
mod nrk_72e720f2;
mod nrk_e9530817;
mod redox_1f8d7bc6;
mod redox_4158d899;
mod redox_4e392d05;
mod sel4_6b8c09a6;
mod starry_366b8cff;
mod svsm_338cbc2d;
mod zephyr_113559;
mod zephyr_113569;

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    redox_4e392d05::BUG,
    litebox_pr848::BUG,
    asterinas_69abc09f::BUG,
    sel4_6b8c09a6::BUG,
    asterinas_491b35b0::BUG,
    redox_4158d899::BUG,
    nrk_72e720f2::BUG,
    redox_1f8d7bc6::BUG,
    nrk_e9530817::BUG,
    asterinas_035e12a4::BUG,
    starry_366b8cff::BUG,
    hermitcore_37f47877::BUG,
    maestro_6fd36556::BUG,
    maestro_5d98d94b::BUG,
    maestro_097b6b21::BUG,
    zephyr_113559::BUG,
    nanos_pr1418::BUG,
    zephyr_113569::BUG,
    hermitcore_b08965d8::BUG,
    svsm_338cbc2d::BUG,
    hyperlight_pr1333::BUG,
];
