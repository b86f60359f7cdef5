//! Shapes read in current kernels, which look wrong and are not confirmed to be (class H).

mod linux_h1_mips;
mod linux_h1_sparc32;
mod linux_h2_riscv;
mod linux_h3_loongarch;
mod linux_h4_x86;

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] =
    bugs![linux_h1_mips, linux_h1_sparc32, linux_h2_riscv, linux_h3_loongarch, linux_h4_x86,];
