//! Instruction sequences. No decisions: operands come from [`crate::encode`].
//!
//! A store to an MMU register must be followed by MEMBAR #Sync, and where instructions are concerned by FLUSH, before
//! the next load or store of any other kind (US 6.9), so each sequence ends with both. FLUSH names the stack, which is
//! mapped; its address has no other meaning. None of the sequences is `nomem` or `readonly`.

use crate::encode::{HvCall, MONDO_DATA, PRIMARY_CONTEXT, SECONDARY_CONTEXT, TAG_ACCESS, TSB, asi};
use core::arch::asm;

/// Has what follows be fetched after the stores that this CPU sees.
///
/// # Safety
/// The caller must ensure that:
/// 1. nothing: it has no effect but order.
#[inline]
pub unsafe fn flush() {
    // HW: US 5.3.2.8: all that was fetched ahead is thrown away, and fetching goes on behind the FLUSH.
    // SAFETY: 1. as it says.
    unsafe { asm!("flush %sp + 2047", options(nostack)) };
}

/// Reads the secondary context register of sun4u.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4u.
#[inline]
pub unsafe fn read_secondary() -> u64 {
    let value;
    // HW: US 6.9.3.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "ldxa [{at}] {dmmu}, {value}",
            at = in(reg) SECONDARY_CONTEXT, value = lateout(reg) value, dmmu = const asi::DMMU,
            options(nostack)
        );
    }
    value
}

/// Writes the secondary context register of sun4u.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4u.
#[inline]
pub unsafe fn write_secondary(value: u64) {
    // HW: US 6.9.3, 6.9.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "stxa {value}, [{at}] {dmmu}",
            "membar #Sync",
            "flush %sp + 2047",
            at = in(reg) SECONDARY_CONTEXT, value = in(reg) value, dmmu = const asi::DMMU,
            options(nostack)
        );
    }
}

/// Writes the secondary context register of sun4v.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4v.
#[inline]
pub unsafe fn write_secondary_sun4v(value: u64) {
    // HW: UltraSPARC Architecture 2005, context registers.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "stxa {value}, [{at}] {mmu}",
            "membar #Sync",
            "flush %sp + 2047",
            at = in(reg) SECONDARY_CONTEXT, value = in(reg) value, mmu = const asi::MMU,
            options(nostack)
        );
    }
}

/// Writes the TSB registers of both MMUs of sun4u.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4u;
/// 2. the TSB stays allocated until another is written.
#[inline]
pub unsafe fn write_tsb(value: u64) {
    // HW: US 6.9, TSB registers, 6.9.
    // SAFETY: 1. and 2. the caller's.
    unsafe {
        asm!(
            "stxa {value}, [{at}] {dmmu}",
            "stxa {value}, [{at}] {immu}",
            "membar #Sync",
            "flush %sp + 2047",
            at = in(reg) TSB, value = in(reg) value, dmmu = const asi::DMMU, immu = const asi::IMMU,
            options(nostack)
        );
    }
}

/// Demaps from both TLBs, by an operand that names no context or the nucleus's.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4u, with interrupts off.
#[inline]
pub unsafe fn demap(operand: u64) {
    // HW: US 6.9, demap.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "stxa %g0, [{operand}] {dmmu}",
            "stxa %g0, [{operand}] {immu}",
            "membar #Sync",
            "flush %sp + 2047",
            operand = in(reg) operand, dmmu = const asi::DMMU_DEMAP, immu = const asi::IMMU_DEMAP,
            options(nostack)
        );
    }
}

/// Demaps from both TLBs by the secondary context, which holds `context` meanwhile.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of an UltraSPARC I or II, with interrupts off.
#[inline]
pub unsafe fn demap_in_secondary(context: u64, operand: u64) {
    // HW: US 6.9.3, 6.9.10. The kernel's own accesses use the primary context, so nothing else sees the change.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "ldxa [{at}] {dmmu}, {old}",
            "stxa {context}, [{at}] {dmmu}",
            "membar #Sync",
            "stxa %g0, [{operand}] {ddemap}",
            "stxa %g0, [{operand}] {idemap}",
            "membar #Sync",
            "stxa {old}, [{at}] {dmmu}",
            "membar #Sync",
            "flush %sp + 2047",
            at = in(reg) SECONDARY_CONTEXT, context = in(reg) context, operand = in(reg) operand, old = out(reg) _,
            dmmu = const asi::DMMU, ddemap = const asi::DMMU_DEMAP, idemap = const asi::IMMU_DEMAP,
            options(nostack)
        );
    }
}

/// Demaps from both TLBs by the primary context, which holds `context` meanwhile, at trap level 1.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of an UltraSPARC III or later, at trap level 0, with interrupts off; the kernel's text
///    is mapped in the nucleus context, too.
#[inline]
pub unsafe fn demap_in_primary(context: u64, operand: u64) {
    // HW: US3, context registers and demap: instructions are not demapped by the secondary context. At trap level 1 fetches
    // go through the nucleus context, so that the primary one may be another's; no access to memory is made meanwhile.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "rdpr %tl, {level}",
            "wrpr %g0, 1, %tl",
            "ldxa [{at}] {dmmu}, {old}",
            "stxa {context}, [{at}] {dmmu}",
            "membar #Sync",
            "stxa %g0, [{operand}] {ddemap}",
            "stxa %g0, [{operand}] {idemap}",
            "membar #Sync",
            "stxa {old}, [{at}] {dmmu}",
            "membar #Sync",
            "flush %sp + 2047",
            "wrpr {level}, 0, %tl",
            at = in(reg) PRIMARY_CONTEXT, context = in(reg) context, operand = in(reg) operand, old = out(reg) _,
            level = out(reg) _,
            dmmu = const asi::DMMU, ddemap = const asi::DMMU_DEMAP, idemap = const asi::IMMU_DEMAP,
            options(nostack)
        );
    }
}

/// Reads an entry of the data TLB.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of an UltraSPARC I or II.
#[inline]
pub unsafe fn read_data_entry(entry: u64) -> u64 {
    let value;
    // HW: US 6.9, TLB data access. Read twice: UltraSPARC I may return what is not there the first time.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "ldxa [{entry}] {space}, {value}",
            "ldxa [{entry}] {space}, {value}",
            entry = in(reg) entry, value = out(reg) value, space = const asi::DTLB_DATA_ACCESS,
            options(nostack)
        );
    }
    value
}

/// Reads an entry of the instruction TLB.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of an UltraSPARC I or II.
#[inline]
pub unsafe fn read_instruction_entry(entry: u64) -> u64 {
    let value;
    // HW: US 6.9, TLB data access, as above.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "ldxa [{entry}] {space}, {value}",
            "ldxa [{entry}] {space}, {value}",
            entry = in(reg) entry, value = out(reg) value, space = const asi::ITLB_DATA_ACCESS,
            options(nostack)
        );
    }
    value
}

/// Makes an entry of the data TLB invalid.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of an UltraSPARC I or II, with interrupts off;
/// 2. the entry is not locked.
#[inline]
pub unsafe fn clear_data_entry(entry: u64) {
    // HW: US 6.9, TLB data access: the tag comes from the tag access register.
    // SAFETY: 1. and 2. the caller's.
    unsafe {
        asm!(
            "stxa %g0, [{tag}] {registers}",
            "membar #Sync",
            "stxa %g0, [{entry}] {space}",
            "membar #Sync",
            tag = in(reg) TAG_ACCESS, entry = in(reg) entry,
            registers = const asi::DMMU, space = const asi::DTLB_DATA_ACCESS,
            options(nostack)
        );
    }
}

/// Makes an entry of the instruction TLB invalid.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of an UltraSPARC I or II, with interrupts off;
/// 2. the entry is not locked.
#[inline]
pub unsafe fn clear_instruction_entry(entry: u64) {
    // HW: US 6.9, TLB data access: the tag comes from the tag access register.
    // SAFETY: 1. and 2. the caller's.
    unsafe {
        asm!(
            "stxa %g0, [{tag}] {registers}",
            "membar #Sync",
            "stxa %g0, [{entry}] {space}",
            "membar #Sync",
            "flush %sp + 2047",
            tag = in(reg) TAG_ACCESS, entry = in(reg) entry,
            registers = const asi::IMMU, space = const asi::ITLB_DATA_ACCESS,
            options(nostack)
        );
    }
}

/// Sends a mondo: three words, to what the address names.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4u, with interrupts off, and no mondo is on its way in that slot.
#[inline]
pub unsafe fn send_mondo(words: [u64; 3], address: u64) {
    let [a, b, c] = words;
    // HW: US 11, outgoing interrupts: data registers, then the dispatch, each followed by MEMBAR #Sync.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!(
            "stxa {a}, [{at_a}] {space}",
            "stxa {b}, [{at_b}] {space}",
            "stxa {c}, [{at_c}] {space}",
            "membar #Sync",
            "stxa %g0, [{address}] {space}",
            "membar #Sync",
            a = in(reg) a, b = in(reg) b, c = in(reg) c, address = in(reg) address,
            at_a = in(reg) MONDO_DATA[0], at_b = in(reg) MONDO_DATA[1], at_c = in(reg) MONDO_DATA[2],
            space = const asi::INTR_W,
            options(nostack)
        );
    }
}

/// Reads what became of mondos.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4u.
#[inline]
pub unsafe fn read_dispatch() -> u64 {
    let value;
    // HW: US 11, dispatch status.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("ldxa [%g0] {space}, {value}", value = out(reg) value, space = const asi::INTR_DISPATCH_STAT, options(nostack));
    }
    value
}

/// Calls the hypervisor and returns its status.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode of a sun4v;
/// 2. what the call names stays allocated for as long as the hypervisor uses it.
#[inline]
pub unsafe fn hypervisor(call: HvCall) -> u64 {
    let status;
    let [o0, o1, o2, o3, o4] = call.arguments;
    // HW: HV 2: fast trap 0x80; it may change %o0 to %o5 and nothing else.
    // SAFETY: 1. and 2. the caller's.
    unsafe {
        asm!(
            "ta 0x80",
            inlateout("o5") call.function => _, inlateout("o0") o0 => status, inlateout("o1") o1 => _,
            inlateout("o2") o2 => _, inlateout("o3") o3 => _, inlateout("o4") o4 => _,
            options(nostack)
        );
    }
    status
}

/// Turns interrupts off and returns PSTATE from before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode.
#[inline]
pub unsafe fn interrupts_off() -> u64 {
    let state;
    // HW: SPARC Architecture Manual 9, 5.2.1. Mondos come by this bit, whatever %pil holds.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("rdpr %pstate, {state}", "andn {state}, 2, {off}", "wrpr {off}, 0, %pstate",
            state = out(reg) state, off = out(reg) _, options(nostack));
    }
    state
}

/// Turns interrupts on.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in privileged mode, where interrupts may come.
#[inline]
pub unsafe fn interrupts_on() {
    // HW: SPARC Architecture Manual 9, 5.2.1.
    // SAFETY: 1. the caller's.
    unsafe {
        asm!("rdpr %pstate, {on}", "or {on}, 2, {on}", "wrpr {on}, 0, %pstate", on = out(reg) _, options(nostack));
    }
}
