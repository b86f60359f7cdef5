//! Instruction sequences. No decisions: operands come from [`crate::encode`].
//!
//! All but the reads are invalidations, barriers or change translation, so none is `nomem` or `readonly`: the compiler
//! must keep page-table accesses on their side.

use crate::encode::{Asid, CRMD_IE};
use core::arch::asm;
use shootdown::flush::VirtAddr;

/// Makes functions of INVTLB, whose first operand says what is dropped. A register that a row does not name is `$zero`.
macro_rules! invtlb {
    ($($name:ident($($operand:ident: $type:ty = $value:expr),*), $instruction:literal, $what:literal;)+) => {
        $(
            #[doc = concat!("Drops ", $what, ", on this core.")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. it runs at PLV0.
            #[inline]
            pub unsafe fn $name($($operand: $type),*) {
                // HW: LA, INVTLB.
                // SAFETY: 1. the caller's.
                unsafe { asm!($instruction, $(in(reg) $value,)* options(nostack, preserves_flags)) };
            }
        )+
    };
}

invtlb! {
    invtlb_all(), "invtlb 0, $zero, $zero", "everything";
    invtlb_globals(), "invtlb 2, $zero, $zero", "global translations";
    invtlb_asid(asid: Asid = u64::from(asid.number())), "invtlb 4, {}, $zero", "what is under one ASID, global translations excepted";
    invtlb_address_asid(address: VirtAddr = address.0, asid: Asid = u64::from(asid.number())), "invtlb 5, {1}, {0}", "the pair of pages that holds an address under one ASID, global translations excepted";
    invtlb_address_global(address: VirtAddr = address.0), "invtlb 6, $zero, {}", "the pair of pages that holds an address where it is global, or under ASID 0";
}

/// Waits for this core's accesses.
///
/// # Safety
/// The caller must ensure that:
/// 1. nothing: it has no effect but order.
#[inline]
pub unsafe fn dbar() {
    // HW: LA, DBAR, hint 0: the full barrier, which every core has.
    // SAFETY: 1. as it says.
    unsafe { asm!("dbar 0", options(nostack, preserves_flags)) };
}

/// The core fetches later instructions after the stores that it sees: instruction caches are coherent, and what it
/// fetched before is discarded.
///
/// # Safety
/// The caller must ensure that:
/// 1. nothing: it has no effect but order.
#[inline]
pub unsafe fn ibar() {
    // HW: LA, IBAR, hint 0.
    // SAFETY: 1. as it says.
    unsafe { asm!("ibar 0", options(nostack, preserves_flags)) };
}

/// Reads CSR.ASID, with ASIDBITS.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at PLV0.
#[inline]
pub unsafe fn read_asid() -> u64 {
    let value;
    // HW: LA, ASID: CSR 0x18.
    // SAFETY: 1. the caller's.
    unsafe { asm!("csrrd {}, 0x18", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Loads an ASID. What follows is translated under it: cores resolve conflicts by CSRs (LA, Conflicts Caused by Control
/// and Status Registers).
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at PLV0;
/// 2. nothing under the ASID belongs to another root than the one that is used with it.
#[inline]
pub unsafe fn write_asid(asid: Asid) {
    // HW: LA, ASID: CSR 0x18; ASIDBITS is read-only. CSRWR leaves the old value in its operand.
    // SAFETY: 1. and 2. the caller's.
    unsafe {
        asm!("csrwr {}, 0x18", inout(reg) u64::from(asid.number()) => _, options(nostack, preserves_flags));
    }
}

/// Writes CSR.PGDL: the root of the lower half of addresses.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at PLV0;
/// 2. `value` is a root that stays allocated while loaded.
#[inline]
pub unsafe fn write_pgdl(value: u64) {
    // HW: LA, PGDL: CSR 0x19.
    // SAFETY: 1. and 2. the caller's.
    unsafe { asm!("csrwr {}, 0x19", inout(reg) value => _, options(nostack, preserves_flags)) };
}

/// Reads a word of CPUCFG.
///
/// # Safety
/// The caller must ensure that:
/// 1. the core has the instruction, as all with 64 bits do.
#[inline]
pub unsafe fn read_cpucfg(word: u32) -> u32 {
    let value: u64;
    // HW: LA, CPUCFG, at every privilege level: words that are not there read 0.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "cpucfg {}, {}",
            out(reg) value, in(reg) u64::from(word),
            options(nostack, preserves_flags, nomem)
        );
    }
    value as u32
}

/// Reads an IOCSR register.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at PLV0, on a machine that has the register.
#[inline]
pub unsafe fn read_iocsr(register: u32) -> u32 {
    let value: u64;
    // HW: LA, IOCSRRD.W.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("iocsrrd.w {}, {}", out(reg) value, in(reg) u64::from(register), options(nostack, preserves_flags));
    }
    value as u32
}

/// Writes an IOCSR register. Ordered with other accesses to IOCSR, and not with memory: a [`dbar`] comes before an IPI.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at PLV0, on a machine that has the register, and what the write does is wanted.
#[inline]
pub unsafe fn write_iocsr(register: u32, value: u32) {
    // HW: LA, IOCSRWR.W.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "iocsrwr.w {}, {}",
            in(reg) u64::from(value), in(reg) u64::from(register),
            options(nostack, preserves_flags)
        );
    }
}

/// Turns interrupts off and returns CSR.CRMD from before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at PLV0.
#[inline]
pub unsafe fn interrupts_off() -> u64 {
    let before;
    // HW: LA, CRMD: CSR 0; one instruction reads and writes the bits of the mask. The mask has a register of its own: in
    // the first two, which the compiler may choose, the instruction is CSRRD or CSRWR.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("csrxchg {}, $t0, 0", inout(reg) 0_u64 => before, in("$t0") CRMD_IE, options(nostack, preserves_flags));
    }
    before
}

/// Turns interrupts on.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs at PLV0, where interrupts may come.
#[inline]
pub unsafe fn interrupts_on() {
    // HW: LA, CRMD: CSR 0; the mask is not in the first two registers, as above.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("csrxchg {}, $t0, 0", inout(reg) CRMD_IE => _, in("$t0") CRMD_IE, options(nostack, preserves_flags));
    }
}
