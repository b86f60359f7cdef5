//! Control and status registers, one sequence a function.

use core::arch::asm;

const SUM: u64 = 1 << 18;
const FLOATING_POINT: u64 = 3 << 13;
const SOFTWARE: u64 = 1 << 1;
const TIMER: u64 = 1 << 5;

unsafe extern "C" {
    static trap_entry: u8;
    static secondary_start: u8;
}

/// Sets the trap vector, lets the kernel reach user pages, turns floating point off and IPIs on.
pub fn prepare() {
    let vector = &raw const trap_entry as u64;
    // SAFETY: the kernel runs in supervisor mode; the vector is the handler of all traps; no code here uses floating point.
    unsafe {
        asm!(
            "csrw stvec, {vector}",
            "csrc sstatus, {floating}",
            "csrs sstatus, {sum}",
            "csrw sie, {software}",
            vector = in(reg) vector, floating = in(reg) FLOATING_POINT, sum = in(reg) SUM, software = in(reg) SOFTWARE,
        );
    }
}

/// Where other harts begin.
pub fn secondary_entry() -> u64 {
    &raw const secondary_start as u64
}

/// The number that `boot.s` put into tp.
#[inline]
pub fn hart() -> usize {
    let hart;
    // SAFETY: it copies a register that nothing changes after the start.
    unsafe { asm!("mv {}, tp", out(reg) hart, options(nomem, nostack, preserves_flags, pure)) };
    hart
}

/// Clears the pending IPI.
pub fn clear_ipi() {
    // SAFETY: the kernel runs in supervisor mode, and reads what the IPI announces again afterwards.
    unsafe { asm!("csrc sip, {}", in(reg) SOFTWARE, options(nostack)) };
}

/// Waits for an interrupt with one pending, which only makes QEMU run other CPUs. The one that is pending is the
/// timer's ([`super::prepare_cpu`]): it is let through here alone, where interrupts are off, so that it is never taken.
#[inline]
pub fn yield_now() {
    // SAFETY: the kernel runs in supervisor mode; interrupts are as before at the end.
    unsafe {
        asm!(
            "csrrci {status}, sstatus, 2",
            "csrs sie, {timer}",
            "wfi",
            "csrc sie, {timer}",
            "andi {status}, {status}, 2",
            "csrs sstatus, {status}",
            status = out(reg) _, timer = in(reg) TIMER, options(nostack)
        );
    }
}

/// Orders stores before the stores to devices that follow.
#[inline]
pub fn stores_before_devices() {
    // SAFETY: it is a fence.
    unsafe { asm!("fence w, o", options(nostack, preserves_flags)) };
}

/// The time.
pub fn time() -> u64 {
    let time;
    // SAFETY: the firmware lets supervisor mode read the time.
    unsafe { asm!("rdtime {}", out(reg) time, options(nomem, nostack)) };
    time
}

/// Does nothing; a plugin of QEMU knows the instruction.
#[inline(always)]
pub fn mark<const NUMBER: u32>() {
    // SAFETY: it writes to no register.
    unsafe { asm!("addi x0, x0, {}", const 0x5a0 + NUMBER, options(nostack, preserves_flags)) };
}

/// The frame pointer.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let pointer;
    // SAFETY: it copies a register.
    unsafe { asm!("mv {}, s0", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}
