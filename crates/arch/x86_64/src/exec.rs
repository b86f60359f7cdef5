//! Instruction sequences. No decisions: operands come from [`crate::encode`].
//!
//! All but the reads are invalidations or ordering points, so none is `nomem` or `readonly`: the compiler must keep
//! page-table accesses on their side.

use crate::cpuid::{Leaf, Leaves};
use crate::encode::{
    CR4_PGE, GuestAsid, InveptDescriptor, InveptType, Invlpgb, InvpcidDescriptor, InvpcidType,
    InvvpidDescriptor, InvvpidType,
};
use core::arch::{asm, x86_64};
use shootdown::flush::VirtAddr;

/// Reads CR3.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0.
#[inline]
pub unsafe fn read_cr3() -> u64 {
    let value;
    // HW: SDM 2.8.1. Nothing is skipped.
    // SAFETY: 1. the caller's.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Writes CR3. Serialising: earlier loads and stores are done before walks through the new root begin.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0;
/// 2. `value` names a root that maps the running kernel and stays allocated while loaded; bit 63 and the PCID are 0
///    unless CR4.PCIDE is set.
#[inline]
pub unsafe fn write_cr3(value: u64) {
    // HW: SDM 4.10.4.1 (what is dropped), 9.3 (serialising). No fence before it, as it is one.
    // SAFETY: 1. and 2. the caller's.
    unsafe { asm!("mov cr3, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Reads CR4.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0.
#[inline]
pub unsafe fn read_cr4() -> u64 {
    let value;
    // HW: SDM 2.8.1. Nothing is skipped.
    // SAFETY: 1. the caller's.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Writes CR4.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0;
/// 2. `value` sets no bit that this CPU lacks, and leaves the running kernel's paging as it is.
#[inline]
pub unsafe fn write_cr4(value: u64) {
    // HW: SDM 4.10.4.1 and 9.3: serialising; a change of PGE or PCIDE drops translations.
    // SAFETY: 1. and 2. the caller's.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Drops everything of this CPU, global translations and all PCIDs, by changing CR4.PGE there and back.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0, with interrupts off;
/// 2. the CPU has CR4.PGE.
#[inline]
pub unsafe fn toggle_pge() {
    // HW: SDM 4.10.4.1: any change of CR4.PGE drops all translations and paging-structure caches of all PCIDs. Both
    // writes drop them, whichever value the bit had.
    // SAFETY: 1. and 2. the caller's: the value of CR4 is the one it had.
    unsafe {
        asm!(
            "mov {old}, cr4",
            "mov {new}, {old}",
            "xor {new}, {pge}",
            "mov cr4, {new}",
            "mov cr4, {old}",
            old = out(reg) _, new = out(reg) _, pge = const CR4_PGE,
            options(nostack)
        );
    }
}

/// Drops the translations of the page that holds `address`: those under the current PCID, global ones, and all
/// paging-structure caches of the current PCID.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0.
#[inline]
pub unsafe fn invlpg(address: VirtAddr) {
    // HW: SDM 4.10.4.1 and volume 2A, INVLPG: a serialising instruction. An address that is not canonical does nothing.
    // SAFETY: 1. the caller's; the operand is not accessed.
    unsafe { asm!("invlpg [{}]", in(reg) address.0, options(nostack, preserves_flags)) };
}

/// Serialises: what this CPU fetches and executes afterwards is fetched afterwards.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs on a CPU that has SERIALIZE.
#[inline]
pub unsafe fn serialize() {
    // HW: SDM volume 2B, SERIALIZE, and 9.3. Written as bytes: 0F 01 E8 has a name in new assemblers alone.
    // SAFETY: 1. the caller's.
    unsafe { asm!(".byte 0x0f, 0x01, 0xe8", options(nostack, preserves_flags)) };
}

/// Serialises on any CPU, by writing CR2 with what it holds.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0, with interrupts off: no page fault comes in between.
#[inline]
pub unsafe fn rewrite_cr2() {
    // HW: SDM 9.3: writes to control registers but CR8 serialise. CPUID does as well, and exits to a hypervisor; IRET does, and
    // lets NMIs in (Linux: `sync_core`, arch/x86/include/asm/sync_core.h).
    // SAFETY: 1. the caller's; an NMI that faults in between leaves CR2 to this as it found it, and nobody else reads it.
    unsafe { asm!("mov {old}, cr2", "mov cr2, {old}", old = out(reg) _, options(nostack, preserves_flags)) };
}

/// Drops translations by PCID.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0 of a CPU that has INVPCID;
/// 2. the PCID is 0 unless CR4.PCIDE is set.
#[inline]
pub unsafe fn invpcid(kind: InvpcidType, descriptor: InvpcidDescriptor) {
    // HW: SDM 4.10.4.1 and volume 2A, INVPCID. Not in the list of serialising instructions (SDM 9.3); what follows it is
    // translated after it all the same, which every kernel that uses it relies on. Nothing here needs it to drain stores.
    // SAFETY: 1. and 2. the caller's; the descriptor is readable.
    unsafe {
        asm!("invpcid {}, [{}]", in(reg) kind as u64, in(reg) &raw const descriptor, options(nostack, preserves_flags));
    }
}

/// Asks all CPUs to drop translations. They may not have done so before [`tlbsync`] returns on this CPU.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0 of a CPU that has INVLPGB, and stays on it until [`tlbsync`].
#[inline]
pub unsafe fn invlpgb(request: Invlpgb) {
    // HW: APM volume 3, INVLPGB: weakly ordered; page-table stores come before it by the engine's full fence. Written as
    // bytes: 0F 01 FE has a name in new assemblers alone.
    // SAFETY: 1. the caller's; the encoder keeps reserved bits 0.
    unsafe {
        asm!(
            ".byte 0x0f, 0x01, 0xfe",
            in("rax") request.rax, in("ecx") request.ecx, in("edx") request.edx,
            options(nostack, preserves_flags)
        );
    }
}

/// Waits until all CPUs have done what this CPU asked with [`invlpgb`].
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0 of a CPU that has INVLPGB.
#[inline]
pub unsafe fn tlbsync() {
    // HW: APM volume 3, TLBSYNC: synchronises this logical processor's own requests alone.
    // SAFETY: 1. the caller's.
    unsafe { asm!(".byte 0x0f, 0x01, 0xff", options(nostack, preserves_flags)) };
}

/// Drops what EPT made of guest physical addresses, alone and combined with guests' own translations; returns whether
/// the CPU did.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in VMX root operation, in ring 0, on a CPU that has INVEPT.
#[inline]
pub unsafe fn invept(kind: InveptType, descriptor: InveptDescriptor) -> bool {
    let done: u8;
    // HW: SDM volume 3C, INVEPT: CF or ZF is set where it failed, as with a type that the CPU lacks. Page-table stores come
    // before it by the engine's full fence.
    // SAFETY: 1. the caller's; the descriptor is readable.
    unsafe {
        asm!(
            "invept {}, [{}]",
            "seta {}",
            in(reg) kind as u64, in(reg) &raw const descriptor, lateout(reg_byte) done,
            options(nostack)
        );
    }
    done != 0
}

/// Drops translations by VPID; returns whether the CPU did.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in VMX root operation, in ring 0, on a CPU that has INVVPID.
#[inline]
pub unsafe fn invvpid(kind: InvvpidType, descriptor: InvvpidDescriptor) -> bool {
    let done: u8;
    // HW: SDM volume 3C, INVVPID: CF or ZF is set where it failed.
    // SAFETY: 1. the caller's; the descriptor is readable.
    unsafe {
        asm!(
            "invvpid {}, [{}]",
            "seta {}",
            in(reg) kind as u64, in(reg) &raw const descriptor, lateout(reg_byte) done,
            options(nostack)
        );
    }
    done != 0
}

/// Drops the translation of a guest's virtual address under an ASID. A guest *physical* address is nothing to it.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0, with EFER.SVME set.
#[inline]
pub unsafe fn invlpga(address: VirtAddr, asid: GuestAsid) {
    // HW: APM volume 3, INVLPGA: 0F 01 DF, which assemblers write with other operands from release to release.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            ".byte 0x0f, 0x01, 0xdf",
            in("rax") address.0, in("ecx") asid.number(),
            options(nostack, preserves_flags)
        );
    }
}

/// Reads an MSR.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0, on a CPU that has the MSR.
#[inline]
pub unsafe fn read_msr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // HW: SDM volume 2B, RDMSR.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Turns interrupts off and returns RFLAGS from before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0.
#[inline]
pub unsafe fn interrupts_off() -> u64 {
    let flags;
    // HW: SDM volume 2, PUSHF, CLI. No `nostack`: the flags go through the stack.
    // SAFETY: 1. the caller's.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
    flags
}

/// Turns interrupts on.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in ring 0, where interrupts may come.
#[inline]
pub unsafe fn interrupts_on() {
    // HW: SDM volume 2, STI: recognised after the next instruction.
    // SAFETY: 1. the caller's.
    unsafe { asm!("sti", options(nostack)) };
}

/// Reads the CPUID leaves that [`crate::Features`] decodes. Leaves that the CPU lacks are 0.
pub fn read_leaves() -> Leaves {
    let leaf = |number: u32, last: u32| if number <= last { cpuid(number) } else { Leaf::default() };
    let first = cpuid(0);
    let extended = cpuid(0x8000_0000);
    Leaves {
        vendor: [first.ebx, first.edx, first.ecx],
        basic1: leaf(1, first.eax),
        basic7: leaf(7, first.eax),
        extended8: leaf(0x8000_0008, extended.eax),
        extended_a: leaf(0x8000_000a, extended.eax),
    }
}

/// Runs CPUID with sub-leaf 0.
#[allow(unused_unsafe, reason = "`__cpuid_count` is unsafe in Rust 1.85 and safe in newer ones")]
fn cpuid(number: u32) -> Leaf {
    // HW: SDM volume 2A, CPUID.
    // SAFETY: every CPU with 64-bit mode has CPUID.
    let found = unsafe { x86_64::__cpuid_count(number, 0) };
    Leaf { eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx }
}
