//! Shapes read in current kernels, which look wrong and are not confirmed to be (class H).

mod linux_h1_mips;
mod linux_h1_sparc32;
mod linux_h2_riscv;
mod linux_h3_loongarch;
mod linux_h4_x86;

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_h1_mips::BUG,
    linux_h1_sparc32::BUG,
    linux_h2_riscv::BUG,
    linux_h3_loongarch::BUG,
    linux_h4_x86::BUG,
];
