//! Instruction sequences. No decisions: operands come from [`crate::encode`].
//!
//! All but the reads are invalidations, barriers or change translation, so none is `nomem` or `readonly`: the compiler
//! must keep page-table accesses on their side.

use crate::id_registers::IdRegisters;
use core::arch::asm;

/// Makes a function of one TLBI that takes an operand.
macro_rules! tlbi {
    ($($name:ident, $instruction:literal, $what:literal;)+) => {
        $(
            #[doc = concat!("Drops ", $what, ". Begun on return, and done after a DSB.")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. it runs at an exception level, on a CPU, that has the instruction.
            #[inline]
            pub unsafe fn $name(operand: u64) {
                // HW: Arm C5.5, the instruction of this name; D8.14 (maintenance and its ordering). The barriers around
                // it are functions of their own, as one pair serves many.
                // SAFETY: 1. the caller's.
                unsafe { asm!($instruction, in(reg) operand, options(nostack, preserves_flags)) };
            }
        )+
    };
}

/// Makes a function of an instruction without operands.
macro_rules! plain {
    ($($(#[$doc:meta])+ $name:ident, $instruction:literal, $section:literal;)+) => {
        $(
            $(#[$doc])+
            ///
            #[doc = concat!("Manual: Arm ", $section, ".")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. it runs at an exception level that has the instruction.
            #[inline]
            pub unsafe fn $name() {
                // HW: the section that the documentation names.
                // SAFETY: 1. the caller's.
                unsafe { asm!($instruction, options(nostack, preserves_flags)) };
            }
        )+
    };
}

/// Makes a pair of functions that read and write a system register.
macro_rules! register {
    ($($read:ident, $write:ident, $register:literal, $section:literal;)+) => {
        $(
            #[doc = concat!("Reads ", $register, " (Arm ", $section, ").")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. it runs at an exception level that has the register.
            #[inline]
            pub unsafe fn $read() -> u64 {
                let value;
                // HW: the section that the documentation names.
                // SAFETY: 1. the caller's.
                unsafe {
                    asm!(concat!("mrs {}, ", $register), out(reg) value, options(nostack, preserves_flags));
                }
                value
            }

            #[doc = concat!("Writes ", $register, " (Arm ", $section, "). In use after an ISB.")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. it runs at an exception level that has the register;
            /// 2. the value names a table that stays allocated while it is loaded.
            #[inline]
            pub unsafe fn $write(value: u64) {
                // HW: the section that the documentation names; the ISB is a function of its own.
                // SAFETY: 1. and 2. the caller's.
                unsafe {
                    asm!(concat!("msr ", $register, ", {}"), in(reg) value, options(nostack, preserves_flags));
                }
            }
        )+
    };
}

// The range forms are written as SYS, which every assembler knows: they need FEAT_TLBIRANGE.
tlbi! {
    tlbi_vae1, "tlbi vae1, {}", "the translations of an address under one ASID, tables too, on this CPU";
    tlbi_vae1is, "tlbi vae1is, {}", "the translations of an address under one ASID, tables too, in the inner-shareable domain";
    tlbi_vale1, "tlbi vale1, {}", "the leaf translations of an address under one ASID, on this CPU";
    tlbi_vale1is, "tlbi vale1is, {}", "the leaf translations of an address under one ASID, in the inner-shareable domain";
    tlbi_vaae1, "tlbi vaae1, {}", "the translations of an address under all ASIDs, tables too, on this CPU";
    tlbi_vaae1is, "tlbi vaae1is, {}", "the translations of an address under all ASIDs, tables too, in the inner-shareable domain";
    tlbi_vaale1, "tlbi vaale1, {}", "the leaf translations of an address under all ASIDs, on this CPU";
    tlbi_vaale1is, "tlbi vaale1is, {}", "the leaf translations of an address under all ASIDs, in the inner-shareable domain";
    tlbi_rvae1, "sys #0, c8, c6, #1, {}", "the translations of a range under one ASID, tables too, on this CPU";
    tlbi_rvae1is, "sys #0, c8, c2, #1, {}", "the translations of a range under one ASID, tables too, in the inner-shareable domain";
    tlbi_rvale1, "sys #0, c8, c6, #5, {}", "the leaf translations of a range under one ASID, on this CPU";
    tlbi_rvale1is, "sys #0, c8, c2, #5, {}", "the leaf translations of a range under one ASID, in the inner-shareable domain";
    tlbi_rvaae1, "sys #0, c8, c6, #3, {}", "the translations of a range under all ASIDs, tables too, on this CPU";
    tlbi_rvaae1is, "sys #0, c8, c2, #3, {}", "the translations of a range under all ASIDs, tables too, in the inner-shareable domain";
    tlbi_rvaale1, "sys #0, c8, c6, #7, {}", "the leaf translations of a range under all ASIDs, on this CPU";
    tlbi_rvaale1is, "sys #0, c8, c2, #7, {}", "the leaf translations of a range under all ASIDs, in the inner-shareable domain";
    tlbi_aside1, "tlbi aside1, {}", "everything under one ASID, on this CPU";
    tlbi_aside1is, "tlbi aside1is, {}", "everything under one ASID, in the inner-shareable domain";
    tlbi_ipas2e1is, "tlbi ipas2e1is, {}", "the stage 2 translations of an address under the current VMID, in the inner-shareable domain";
}

plain! {
    /// Drops everything of stage 1 on this CPU; at EL2, under the current VMID.
    tlbi_vmalle1, "tlbi vmalle1", "C5.5, TLBI VMALLE1";
    /// Drops everything of stage 1 in the inner-shareable domain; at EL2, under the current VMID.
    tlbi_vmalle1is, "tlbi vmalle1is", "C5.5, TLBI VMALLE1IS";
    /// Drops everything of both stages under the current VMID in the inner-shareable domain.
    tlbi_vmalls12e1is, "tlbi vmalls12e1is", "C5.5, TLBI VMALLS12E1IS";
    /// Drops everything of EL1, of both stages and all VMIDs, in the inner-shareable domain. For EL2.
    tlbi_alle1is, "tlbi alle1is", "C5.5, TLBI ALLE1IS";
    /// Waits for this CPU's accesses and maintenance.
    dsb_nsh, "dsb nsh", "C6.2, DSB; D8.14";
    /// Waits for this CPU's accesses, and for maintenance in the inner-shareable domain.
    dsb_ish, "dsb ish", "C6.2, DSB; D8.14";
    /// Waits until this CPU's stores are seen by all walkers of the inner-shareable domain.
    dsb_ishst, "dsb ishst", "C6.2, DSB";
    /// Waits for this CPU's loads.
    dsb_ishld, "dsb ishld", "C6.2, DSB";
    /// Makes writes to system registers count for what follows.
    isb, "isb", "C6.2, ISB";
    /// Turns interrupts on.
    interrupts_on, "msr daifclr, #2", "C5.2, DAIF";
}

register! {
    read_ttbr0, write_ttbr0, "ttbr0_el1", "D19.2, TTBR0_EL1";
    read_ttbr1, write_ttbr1, "ttbr1_el1", "D19.2, TTBR1_EL1";
    read_vttbr, write_vttbr, "vttbr_el2", "D19.2, VTTBR_EL2";
}

/// Turns interrupts off and returns DAIF from before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at EL1 or above.
#[inline]
pub unsafe fn interrupts_off() -> u64 {
    let daif;
    // HW: Arm C5.2, DAIF.
    // SAFETY: 1. the caller's.
    unsafe { asm!("mrs {}, daif", "msr daifset, #2", out(reg) daif, options(nostack, preserves_flags)) };
    daif
}

/// Reads TCR_EL1.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at EL1 or above.
#[inline]
pub unsafe fn read_tcr() -> u64 {
    let tcr;
    // HW: Arm D19.2, TCR_EL1.
    // SAFETY: 1. the caller's.
    unsafe { asm!("mrs {}, tcr_el1", out(reg) tcr, options(nostack, preserves_flags)) };
    tcr
}

/// Reads the identification registers that [`crate::Features`] decodes.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at EL1 or above.
pub unsafe fn read_id_registers() -> IdRegisters {
    let (isar0, mmfr0, mmfr1, mmfr2);
    // HW: Arm D19.2, ID_AA64ISAR0_EL1 and its neighbours.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "mrs {}, id_aa64isar0_el1",
            "mrs {}, id_aa64mmfr0_el1",
            "mrs {}, id_aa64mmfr1_el1",
            "mrs {}, id_aa64mmfr2_el1",
            out(reg) isar0, out(reg) mmfr0, out(reg) mmfr1, out(reg) mmfr2,
            options(nostack, preserves_flags)
        );
    }
    IdRegisters { isar0, mmfr0, mmfr1, mmfr2 }
}
