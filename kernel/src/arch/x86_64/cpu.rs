//! Registers and tables of a CPU, one sequence a function.

use crate::arch::MAX_CPUS;
use core::arch::asm;
use core::cell::UnsafeCell;

/// Where other CPUs begin.
pub const TRAMPOLINE: u64 = 0x8000;
const VECTORS: usize = 65;
const STUB_BYTES: u64 = 16;
const CODE_SELECTOR: u64 = 0x08;
const GS_BASE: u32 = 0xc000_0101;

unsafe extern "C" {
    static trap_stubs: u8;
    static ap_begin: u8;
    static ap_end: u8;
}

/// A number for each CPU, to which its GS points.
static NUMBERS: [usize; MAX_CPUS] = {
    let mut numbers = [0; MAX_CPUS];
    let mut cpu = 0;
    while cpu < MAX_CPUS {
        numbers[cpu] = cpu;
        cpu += 1;
    }
    numbers
};

/// Gives the calling CPU its number.
pub fn set_number(cpu: usize) {
    let base = &raw const NUMBERS[cpu] as u64;
    // SAFETY: the kernel runs in ring 0, and uses GS for nothing else.
    unsafe {
        asm!("wrmsr", in("ecx") GS_BASE, in("eax") base as u32, in("edx") (base >> 32) as u32, options(nostack));
    }
}

/// The number that [`set_number`] gave.
#[inline]
pub fn number() -> usize {
    let number;
    // SAFETY: GS points to the number from the start on. Nothing ever writes there, so that the compiler may take it for a
    // register: what it has read once it need not read again.
    unsafe { asm!("mov {}, gs:[0]", out(reg) number, options(nostack, preserves_flags, nomem, pure)) };
    number
}

/// Gates for all vectors that are used.
#[repr(C, align(16))]
struct Gates(UnsafeCell<[[u64; 2]; VECTORS]>);

// SAFETY: each CPU writes the same values before it uses them.
unsafe impl Sync for Gates {}

static GATES: Gates = Gates(UnsafeCell::new([[0; 2]; VECTORS]));

/// What LIDT takes.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// Loads the table of traps.
pub fn load_traps() {
    const INTERRUPT_GATE: u64 = 0x8e00 << 32;
    let gates = GATES.0.get().cast::<[u64; 2]>();
    for vector in 0..VECTORS {
        let stub = &raw const trap_stubs as u64 + vector as u64 * STUB_BYTES;
        let low = stub & 0xffff | CODE_SELECTOR << 16 | INTERRUPT_GATE | (stub >> 16 & 0xffff) << 48;
        // SAFETY: the index is inside the table, and all CPUs write the same.
        let gate = unsafe { gates.add(vector) };
        // SAFETY: as above.
        unsafe { gate.write_volatile([low, stub >> 32]) };
    }
    let pointer = Pointer { limit: (VECTORS * 16 - 1) as u16, base: gates as u64 };
    // SAFETY: the table is whole, and stays.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack)) };
}

/// Copies what other CPUs begin with to where they begin.
pub fn copy_trampoline() {
    let begin = &raw const ap_begin;
    let length = &raw const ap_end as usize - begin as usize;
    // SAFETY: the memory below 1 MiB is used for nothing else once the firmware has handed over.
    unsafe { core::ptr::copy_nonoverlapping(begin, TRAMPOLINE as *mut u8, length) };
}

/// The time-stamp counter.
pub fn time() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: every x86-64 has it.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Reads a port.
pub fn read_port(port: u16) -> u8 {
    let value;
    // SAFETY: the ports used here are the serial line's, whose reads do no harm.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack)) };
    value
}

/// Writes to a port.
pub fn write_port(port: u16, value: u8) {
    // SAFETY: the ports used here are those of the serial line and of the device that ends the machine.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack)) };
}

/// Does nothing; a plugin of QEMU knows the instruction.
#[inline(always)]
pub fn mark<const NUMBER: u32>() {
    // SAFETY: it names an address and does not access it.
    unsafe {
        asm!("nop dword ptr [rax + {}]", const 0x5a5a_0000 + NUMBER, options(nostack, preserves_flags))
    };
}

/// The frame pointer.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let pointer;
    // SAFETY: it copies a register.
    unsafe { asm!("mov {}, rbp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}
