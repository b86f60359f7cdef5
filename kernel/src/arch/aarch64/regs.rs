//! System registers, one sequence a function.

use core::arch::asm;

unsafe extern "C" {
    static vectors: u8;
    static secondary_start: u8;
}

/// Sets the vectors of traps.
pub fn load_vectors() {
    // SAFETY: the kernel runs at EL1; the table has a handler for each trap.
    unsafe { asm!("msr vbar_el1, {}", "isb", in(reg) &raw const vectors as u64, options(nostack)) };
}

/// Where other CPUs begin.
pub fn secondary_entry() -> u64 {
    &raw const secondary_start as u64
}

/// The number that `boot.s` put into TPIDR_EL1.
#[inline]
pub fn cpu() -> usize {
    let cpu;
    // SAFETY: it reads a register that nothing changes after the start.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) cpu, options(nomem, nostack, preserves_flags, pure)) };
    cpu
}

/// Calls the firmware (PSCI) and returns its answer, 0 for success.
pub fn firmware(function: u64, [first, second, third]: [u64; 3]) -> i64 {
    let answer;
    // SAFETY: the function used here starts a CPU at an entry that is made for it.
    unsafe {
        asm!("hvc #0", inlateout("x0") function => answer, in("x1") first, in("x2") second, in("x3") third, clobber_abi("C"));
    }
    answer
}

/// Lets this CPU get interrupts of all priorities.
pub fn enable_interrupts() {
    // SAFETY: the kernel runs at EL1, and the controller is the one these registers belong to.
    unsafe {
        asm!(
            "msr s3_0_c12_c12_5, {sre}",
            "isb",
            "msr s3_0_c4_c6_0, {lowest}",
            "msr s3_0_c12_c12_7, {on}",
            "isb",
            sre = in(reg) 7_u64, lowest = in(reg) 0xff_u64, on = in(reg) 1_u64, options(nostack)
        );
    }
}

/// Sends interrupt 0 to the CPUs that a word of ICC_SGI1R_EL1 names; stores before it are visible first.
pub fn send_sgi(targets: u64) {
    // SAFETY: the kernel runs at EL1, and every CPU handles interrupt 0.
    unsafe { asm!("dsb ishst", "msr s3_0_c12_c11_5, {}", "isb", in(reg) targets, options(nostack)) };
}

/// Takes the interrupt that is pending, if one is.
pub fn take_interrupt() -> bool {
    const NONE: u64 = 1020;
    let number: u64;
    // SAFETY: the kernel runs at EL1.
    unsafe { asm!("mrs {}, s3_0_c12_c12_0", "dsb sy", out(reg) number, options(nostack)) };
    if number >= NONE {
        return false;
    }
    // SAFETY: the interrupt was acknowledged above. An interrupt that is sent from here on comes again.
    unsafe { asm!("msr s3_0_c12_c12_1, {}", "isb", in(reg) number, options(nostack)) };
    true
}

/// Tells QEMU to run other CPUs.
#[inline]
pub fn yield_now() {
    // SAFETY: it is a hint.
    unsafe { asm!("yield", options(nostack, preserves_flags)) };
}

/// Makes stores to page tables visible to this CPU's walks and accesses.
#[inline]
pub fn tables_written() {
    // SAFETY: they are barriers.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}

/// The time.
pub fn time() -> u64 {
    let time;
    // SAFETY: the kernel runs at EL1.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) time, options(nostack)) };
    time
}

/// Ticks of the time in a second.
pub fn frequency() -> u64 {
    let frequency;
    // SAFETY: the kernel runs at EL1.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack)) };
    frequency
}

/// Ends the machine with an exit code.
pub fn semihosting_exit(code: u64) {
    const EXIT: u64 = 0x18;
    const APPLICATION_EXIT: u64 = 0x2_0026;
    let block = [APPLICATION_EXIT, code];
    // SAFETY: QEMU runs with semihosting, and reads the block.
    unsafe { asm!("hlt #0xf000", inlateout("x0") EXIT => _, in("x1") block.as_ptr(), options(nostack)) };
}

/// Does nothing; a plugin of QEMU knows the instruction.
#[inline(always)]
pub fn mark<const NUMBER: u32>() {
    // SAFETY: it is a hint that no CPU knows.
    unsafe { asm!("hint #{}", const 0x60 + NUMBER, options(nostack, preserves_flags)) };
}

/// The frame pointer.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let pointer;
    // SAFETY: it copies a register.
    unsafe { asm!("mov {}, x29", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}
