//! Kernels other than Linux (class G).

mod acrn_8e255da8;
mod asterinas_035e12a4;
mod asterinas_26c50ea3;
mod asterinas_491b35b0;
mod asterinas_69abc09f;
mod bao_pr378;
mod fiasco_1a3567c1;
mod fiasco_492da1f9;
mod fiasco_b65fe69e;
mod fiasco_c318d6f1;
mod fiasco_d6cd8154;
mod freebsd_pr61852;
mod freebsd_r364794;
mod haiku_186c8af1;
mod haiku_4bb796cf;
mod haiku_9406d2a4;
mod haiku_af5e461f;
mod haiku_ddff61f3;
mod haiku_fbed0c14;
mod hermitcore_37f47877;
mod hermitcore_b08965d8;
mod hyperlight_pr1333;
mod illumos_pr220;
mod litebox_pr769;
mod litebox_pr848;
mod maestro_097b6b21;
mod maestro_5d98d94b;
mod maestro_6fd36556;
mod managarm_0b00105d;
mod managarm_39b12ca0;
mod managarm_93053efa;
mod microv_4a75d064;
mod mushroom_096ed0c9;
mod mushroom_4fea2002;
mod mushroom_8d006f6b;
mod nanos_pr1418;
mod nanvix_pr2244;
mod nemu_pr1175;
mod nrk_72e720f2;
mod nrk_e9530817;
mod pkvm_pr18;
mod pkvm_pr86;
mod quark_650ca4fe;
mod quark_835d7548;
mod quark_be2e0cb7;
mod redox_1f8d7bc6;
mod redox_4158d899;
mod redox_4e392d05;
mod redox_7d42e8d9;
mod redox_b35c9d1e;
mod sel4_6357957e;
mod sel4_6b8c09a6;
mod serenity_13aa3d2d;
mod serenity_6a858185;
mod starry_366b8cff;
mod svsm_338cbc2d;
mod tgoskits_pr2008;
mod tgoskits_pr2009;
mod tlib_pr22;
mod xen_x2apic_shorthand;
mod xiangshan_pr5114;
mod zephyr_113559;
mod zephyr_113569;

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] = bugs![
    redox_4e392d05,
    litebox_pr848,
    asterinas_69abc09f,
    sel4_6b8c09a6,
    asterinas_491b35b0,
    redox_4158d899,
    nrk_72e720f2,
    redox_1f8d7bc6,
    nrk_e9530817,
    asterinas_035e12a4,
    starry_366b8cff,
    hermitcore_37f47877,
    maestro_6fd36556,
    maestro_5d98d94b,
    maestro_097b6b21,
    zephyr_113559,
    nanos_pr1418,
    zephyr_113569,
    hermitcore_b08965d8,
    svsm_338cbc2d,
    hyperlight_pr1333,
    fiasco_1a3567c1,
    fiasco_d6cd8154,
    managarm_0b00105d,
    managarm_39b12ca0,
    acrn_8e255da8,
    redox_b35c9d1e,
    nanvix_pr2244,
    tgoskits_pr2009,
    pkvm_pr18,
    haiku_9406d2a4,
    serenity_6a858185,
    haiku_fbed0c14,
    fiasco_c318d6f1,
    mushroom_096ed0c9,
    haiku_af5e461f,
    managarm_93053efa,
    haiku_186c8af1,
    serenity_13aa3d2d,
    asterinas_26c50ea3,
    mushroom_8d006f6b,
    mushroom_4fea2002,
    redox_7d42e8d9,
    haiku_ddff61f3,
    sel4_6357957e,
    nemu_pr1175,
    tlib_pr22,
    fiasco_b65fe69e,
    bao_pr378,
    litebox_pr769,
    freebsd_pr61852,
    fiasco_492da1f9,
    haiku_4bb796cf,
    pkvm_pr86,
    xiangshan_pr5114,
    quark_650ca4fe,
    quark_835d7548,
    quark_be2e0cb7,
    microv_4a75d064,
    illumos_pr220,
    tgoskits_pr2008,
    freebsd_r364794,
    xen_x2apic_shorthand,
];
