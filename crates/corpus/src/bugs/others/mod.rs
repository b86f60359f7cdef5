//! Kernels other than Linux (class G).

mod asterinas_491b35b0;
mod asterinas_69abc09f;
mod litebox_pr848;
mod nrk_72e720f2;
mod redox_4158d899;
mod redox_4e392d05;
mod sel4_6b8c09a6;

use crate::bug::Bug;

pub(super) const ALL: &[Bug] = &[
    redox_4e392d05::BUG,
    litebox_pr848::BUG,
    asterinas_69abc09f::BUG,
    sel4_6b8c09a6::BUG,
    asterinas_491b35b0::BUG,
    redox_4158d899::BUG,
    nrk_72e720f2::BUG,
];
