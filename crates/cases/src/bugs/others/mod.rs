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
    fiasco_1a3567c1::BUG,
    fiasco_d6cd8154::BUG,
    managarm_0b00105d::BUG,
    managarm_39b12ca0::BUG,
    acrn_8e255da8::BUG,
    redox_b35c9d1e::BUG,
    nanvix_pr2244::BUG,
    tgoskits_pr2009::BUG,
    pkvm_pr18::BUG,
    haiku_9406d2a4::BUG,
    serenity_6a858185::BUG,
    haiku_fbed0c14::BUG,
    fiasco_c318d6f1::BUG,
    mushroom_096ed0c9::BUG,
    haiku_af5e461f::BUG,
    managarm_93053efa::BUG,
    haiku_186c8af1::BUG,
    serenity_13aa3d2d::BUG,
    asterinas_26c50ea3::BUG,
    mushroom_8d006f6b::BUG,
    mushroom_4fea2002::BUG,
    redox_7d42e8d9::BUG,
    haiku_ddff61f3::BUG,
    sel4_6357957e::BUG,
    nemu_pr1175::BUG,
    tlib_pr22::BUG,
    fiasco_b65fe69e::BUG,
    bao_pr378::BUG,
    litebox_pr769::BUG,
    freebsd_pr61852::BUG,
    fiasco_492da1f9::BUG,
    haiku_4bb796cf::BUG,
    pkvm_pr86::BUG,
    xiangshan_pr5114::BUG,
    quark_650ca4fe::BUG,
    quark_835d7548::BUG,
    quark_be2e0cb7::BUG,
    microv_4a75d064::BUG,
    illumos_pr220::BUG,
    tgoskits_pr2008::BUG,
    freebsd_r364794::BUG,
    xen_x2apic_shorthand::BUG,
];
