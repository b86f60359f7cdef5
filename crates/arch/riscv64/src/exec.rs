//! Instruction sequences. No decisions: operands come from [`crate::encode`].
//!
//! All but the reads are fences or change translation, so none is `nomem` or `readonly`: the compiler must keep
//! page-table accesses on their side.

use crate::encode::{ASID_FIELD, Asid, SSTATUS_SIE, SbiCall, VMID_FIELD, Vmid};
use core::arch::asm;
use shootdown::flush::VirtAddr;

/// Reads satp.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[inline]
pub unsafe fn read_satp() -> u64 {
    let value;
    // HW: Priv, satp.
    // SAFETY: 1. the caller's.
    unsafe { asm!("csrr {}, satp", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Writes satp. Orders nothing and drops nothing: a fence follows where either matters.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode;
/// 2. `value` names a root that maps the running kernel and stays allocated while loaded.
#[inline]
pub unsafe fn write_satp(value: u64) {
    // HW: Priv, satp: takes effect at once, and is no fence.
    // SAFETY: 1. and 2. the caller's.
    unsafe { asm!("csrw satp, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Returns what satp holds after all ones were written to its ASID field, with satp as it was before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode, with interrupts off and translation on.
pub unsafe fn probe_asid() -> u64 {
    let probed;
    // HW: Priv, satp: bits that are not there read 0. The fence drops what was cached under the probed number.
    // SAFETY: 1. the caller's; the root stays the same.
    unsafe {
        asm!(
            "csrr {old}, satp",
            "or {probed}, {old}, {field}",
            "csrw satp, {probed}",
            "csrr {probed}, satp",
            "csrw satp, {old}",
            "sfence.vma zero, zero",
            old = out(reg) _, probed = out(reg) probed, field = in(reg) ASID_FIELD,
            options(nostack, preserves_flags)
        );
    }
    probed
}

/// Drops everything of this hart, global translations and all ASIDs, tables too.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[inline]
pub unsafe fn sfence_all() {
    // HW: Priv, SFENCE.VMA, both operands x0.
    // SAFETY: 1. the caller's.
    unsafe { asm!("sfence.vma zero, zero", options(nostack, preserves_flags)) };
}

/// Drops everything under one ASID, tables too, global translations excepted.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[inline]
pub unsafe fn sfence_asid(asid: Asid) {
    // HW: Priv, SFENCE.VMA, rs1 = x0, rs2 another register, which also holds for ASID 0.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("sfence.vma zero, {}", in(reg) u64::from(asid.number()), options(nostack, preserves_flags));
    }
}

/// Drops the leaf translations of an address under all ASIDs, global ones as well.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[inline]
pub unsafe fn sfence_address(address: VirtAddr) {
    // HW: Priv, SFENCE.VMA, rs2 = x0, rs1 another register. An address that is not valid does nothing.
    // SAFETY: 1. the caller's.
    unsafe { asm!("sfence.vma {}, zero", in(reg) address.0, options(nostack, preserves_flags)) };
}

/// Drops the leaf translations of an address under one ASID, global ones excepted.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[inline]
pub unsafe fn sfence_address_asid(address: VirtAddr, asid: Asid) {
    // HW: Priv, SFENCE.VMA, neither operand x0.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "sfence.vma {}, {}",
            in(reg) address.0, in(reg) u64::from(asid.number()),
            options(nostack, preserves_flags)
        );
    }
}

/// Orders what this hart fetches afterwards after all stores that it sees, so that it runs code as it is in memory.
///
/// # Safety
/// The caller must ensure that:
/// 1. nothing: it has no effect but order.
#[inline]
pub unsafe fn fence_i() {
    // HW: Unpriv, FENCE.I: of this hart alone.
    // SAFETY: 1. as it says.
    unsafe { asm!("fence.i", options(nostack, preserves_flags)) };
}

/// Makes functions of fences that are extensions. Each takes the operands that it names; the others are x0, which
/// stands for all.
macro_rules! fence {
    ($($name:ident($($operand:ident: $type:ty = $value:expr),*), $extension:literal, $instruction:literal, $what:literal;)+) => {
        $(
            #[doc = concat!($what, ", on this hart.")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. it runs in supervisor mode, or for guests in HS-mode, of a hart with the extensions
            #[doc = concat!("   `", $extension, "`.")]
            #[inline]
            pub unsafe fn $name($($operand: $type),*) {
                // HW: Priv, HFENCE.VVMA, HFENCE.GVMA and Svinval, of which SINVAL and HINVAL order nothing by themselves. An
                // operand in a register other than x0 is meant even where it is 0.
                // SAFETY: 1. the caller's.
                unsafe {
                    asm!(
                        ".option push",
                        concat!(".option arch, ", $extension),
                        $instruction,
                        ".option pop",
                        $(in(reg) $value,)*
                        options(nostack, preserves_flags)
                    );
                }
            }
        )+
    };
}

fence! {
    sfence_w_inval(), "+svinval", "sfence.w.inval", "Orders stores before the `sinval.vma`s and `hinval`s that follow";
    sinval_address(address: VirtAddr = address.0), "+svinval", "sinval.vma {}, zero", "Drops what [`sfence_address`] drops, between [`sfence_w_inval`] and [`sfence_inval_ir`]";
    sinval_address_asid(address: VirtAddr = address.0, asid: Asid = u64::from(asid.number())), "+svinval", "sinval.vma {}, {}", "Drops what [`sfence_address_asid`] drops, between [`sfence_w_inval`] and [`sfence_inval_ir`]";
    sfence_inval_ir(), "+svinval", "sfence.inval.ir", "Orders the `sinval.vma`s and `hinval`s before it ahead of page walks that follow";
    hfence_gvma_all(), "+h", "hfence.gvma zero, zero", "Drops G-stage translations of all guests, tables too";
    hfence_gvma_vmid(vmid: Vmid = u64::from(vmid.number())), "+h", "hfence.gvma zero, {}", "Drops G-stage translations of one guest, tables too";
    hfence_gvma_page(operand: u64 = operand, vmid: Vmid = u64::from(vmid.number())), "+h", "hfence.gvma {}, {}", "Drops the leaf G-stage translations of a guest physical address of one guest";
    hinval_gvma_page(operand: u64 = operand, vmid: Vmid = u64::from(vmid.number())), "+h, +svinval", "hinval.gvma {}, {}", "Drops what [`hfence_gvma_page`] drops, between [`sfence_w_inval`] and [`sfence_inval_ir`]";
    hfence_vvma_all(), "+h", "hfence.vvma zero, zero", "Drops the own translations of the guest whose VMID hgatp holds, tables too";
    hfence_vvma_asid(asid: Asid = u64::from(asid.number())), "+h", "hfence.vvma zero, {}", "Drops what the guest whose VMID hgatp holds made under one ASID, tables too, global translations excepted";
    hfence_vvma_address(address: VirtAddr = address.0), "+h", "hfence.vvma {}, zero", "Drops the leaf translations of an address that the guest made whose VMID hgatp holds, global ones as well";
    hfence_vvma_address_asid(address: VirtAddr = address.0, asid: Asid = u64::from(asid.number())), "+h", "hfence.vvma {}, {}", "Drops the leaf translations of an address that the guest made whose VMID hgatp holds, under one ASID, global ones excepted";
    hinval_vvma_address(address: VirtAddr = address.0), "+h, +svinval", "hinval.vvma {}, zero", "Drops what [`hfence_vvma_address`] drops, between [`sfence_w_inval`] and [`sfence_inval_ir`]";
    hinval_vvma_address_asid(address: VirtAddr = address.0, asid: Asid = u64::from(asid.number())), "+h, +svinval", "hinval.vvma {}, {}", "Drops what [`hfence_vvma_address_asid`] drops, between [`sfence_w_inval`] and [`sfence_inval_ir`]";
}

/// Reads hgatp.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in HS-mode of a hart with the hypervisor extension.
#[inline]
pub unsafe fn read_hgatp() -> u64 {
    let value;
    // HW: Priv, hgatp, by its number, which every assembler takes.
    // SAFETY: 1. the caller's.
    unsafe { asm!("csrr {}, 0x680", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Writes hgatp. Orders nothing and drops nothing: a fence follows where either matters.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in HS-mode of a hart with the hypervisor extension;
/// 2. `value` names a root of a guest that stays allocated while loaded.
#[inline]
pub unsafe fn write_hgatp(value: u64) {
    // HW: Priv, hgatp: no fence.
    // SAFETY: 1. and 2. the caller's.
    unsafe { asm!("csrw 0x680, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Returns what hgatp holds after it was written `root` with all ones in its VMID field, with hgatp as it was before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in HS-mode of a hart with the hypervisor extension, with interrupts off;
/// 2. `root` is a mode and a root of a guest, which stays allocated.
pub unsafe fn probe_vmid(root: u64) -> u64 {
    let probed;
    // HW: Priv, hgatp: bits that are not there read 0. In Bare mode all fields are 0, so the probe brings a mode. The fence
    // drops what was cached under the probed number, and orders the change of mode.
    // SAFETY: 1. and 2. the caller's.
    unsafe {
        asm!(
            ".option push",
            ".option arch, +h",
            "or {probed}, {root}, {field}",
            "csrrw {old}, 0x680, {probed}",
            "csrr {probed}, 0x680",
            "csrw 0x680, {old}",
            "hfence.gvma zero, zero",
            ".option pop",
            old = out(reg) _, probed = out(reg) probed, root = in(reg) root, field = in(reg) VMID_FIELD,
            options(nostack, preserves_flags)
        );
    }
    probed
}

/// Calls the execution environment and returns its error code, 0 for none.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode;
/// 2. the call is one that changes no memory of the caller.
#[inline]
pub unsafe fn sbi_call(call: SbiCall) -> i64 {
    let error: i64;
    let [a0, a1, a2, a3, a4] = call.arguments;
    // HW: SBI 3: all registers but a0 and a1 are kept.
    // SAFETY: 1. and 2. the caller's.
    unsafe {
        asm!(
            "ecall",
            inlateout("a0") a0 => error, inlateout("a1") a1 => _,
            in("a2") a2, in("a3") a3, in("a4") a4, in("a6") call.function, in("a7") call.extension,
            options(nostack)
        );
    }
    error
}

/// Turns interrupts off and returns sstatus from before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[inline]
pub unsafe fn interrupts_off() -> u64 {
    let status;
    // HW: Priv, sstatus: one instruction reads and clears.
    // SAFETY: 1. the caller's.
    unsafe { asm!("csrrci {}, sstatus, {}", out(reg) status, const SSTATUS_SIE, options(nostack)) };
    status
}

/// Turns interrupts on.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode, where interrupts may come.
#[inline]
pub unsafe fn interrupts_on() {
    // HW: Priv, sstatus.
    // SAFETY: 1. the caller's.
    unsafe { asm!("csrsi sstatus, {}", const SSTATUS_SIE, options(nostack)) };
}
