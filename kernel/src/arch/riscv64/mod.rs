//! RISC-V: QEMU's `virt` machine above OpenSBI.

mod csr;
mod mmu;

use core::arch::global_asm;
use shootdown_riscv64::encode::SbiCall;
use shootdown_riscv64::exec;

pub use csr::{frame_pointer, mark};
pub use mmu::{Mmu, Root, mmu, root, root_address};

global_asm!(include_str!("boot.s"));

/// Name on the command line.
pub const NAME: &str = "riscv64";
/// Whether an entry must be clear, and flushed, before it maps another frame.
pub const BREAK_BEFORE_MAKE: bool = false;
/// Where the host puts the parameters.
pub const PARAMETERS: u64 = 0x8f00_0000;
/// Where the heap is, and its size.
pub const HEAP: (u64, usize) = (0x8800_0000, 32 << 20);
/// Where frames are.
pub const FRAMES: u64 = 0x8c00_0000;

const UART: *mut u8 = 0x1000_0000 as *mut u8;
/// A word for each hart; writing 1 there interrupts the hart, without the firmware.
const SOFTWARE_INTERRUPTS: *mut u32 = 0x2f0_0000 as *mut u32;
const TEST_DEVICE: *mut u32 = 0x10_0000 as *mut u32;
const TICKS_PER_SECOND: u64 = 10_000_000;

/// Where a frame has its return address and the frame before it, in bytes from the frame pointer.
pub const FRAME: (i64, i64) = (-8, -16);

/// The GiB of memory where everything of the machine lies.
pub const KERNEL_GIB: &[u64] = &[0, 1, 2, 3];
/// Levels of page tables.
pub const LEVELS: usize = 3;
const VALID: u64 = 1;
const WRITE: u64 = 1 << 2;
/// Readable, executable, accessed, dirty.
const KERNEL: u64 = VALID | WRITE | 1 << 1 | 1 << 3 | 1 << 6 | 1 << 7;
/// Readable, of the user, accessed, dirty.
const USER: u64 = VALID | 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7;

/// Entry that leads to a table.
pub const fn table_entry(table: u64) -> u64 {
    table >> 12 << 10 | VALID
}

/// Entry that maps a user page.
pub const fn page_entry(frame: u64, writable: bool) -> u64 {
    frame >> 12 << 10 | USER | if writable { WRITE } else { 0 }
}

/// The same entry without the right to write.
pub const fn read_only(entry: u64) -> u64 {
    entry & !WRITE
}

/// Entry that maps the GiB of kernel memory with this number, in the table of the third level.
pub fn kernel_entry(gib: u64) -> u64 {
    gib << 30 >> 12 << 10 | KERNEL
}

/// Prepares the calling CPU: traps, user memory, IPIs, and a timer that is over, for [`yield_now`].
///
/// # Panics
/// The firmware refuses.
pub fn prepare_cpu(_: &Mmu) {
    csr::prepare();
    assert_eq!(sbi(0x5449_4d45, 0, [0; 5]), 0, "no timer");
}

/// Number of the calling CPU.
#[inline]
pub fn this_cpu() -> usize {
    csr::hart()
}

/// Starts every other CPU below `cpus`.
///
/// # Panics
/// The firmware refuses.
pub fn start_others(cpus: usize) {
    for hart in (0..cpus).filter(|&hart| hart != this_cpu()) {
        let entry = csr::secondary_entry();
        assert_eq!(sbi(0x48_534d, 0, [hart as u64, entry, 0, 0, 0]), 0, "hart {hart} does not start");
    }
}

/// Sends an IPI to a CPU.
#[inline]
pub fn send_ipi(cpu: usize) {
    // The device must not be faster than the request that the IPI announces.
    csr::stores_before_devices();
    // HW: RISC-V ACLINT Specification, version 1.0-rc4, SSWI: SETSSIP of each hart is a word.
    let send_ipi = SOFTWARE_INTERRUPTS.wrapping_add(cpu % crate::arch::MAX_CPUS);
    // SAFETY: the machine has the device there, with a word for each of its harts.
    unsafe { send_ipi.write_volatile(1) };
}

/// Lets the machine run other CPUs while this one waits.
#[inline]
pub fn yield_now() {
    csr::yield_now();
}

/// Makes entries that were written count for later accesses of this CPU.
#[inline]
pub fn tables_written() {}

/// Time since the machine started.
pub fn ticks() -> u64 {
    csr::time()
}

/// How fast [`ticks`] grow.
pub fn ticks_per_second() -> u64 {
    TICKS_PER_SECOND
}

/// Writes a byte to the console.
pub fn put(byte: u8) {
    // SAFETY: the address is that of the machine's serial port, which takes a byte at any time.
    unsafe { UART.write_volatile(byte) };
}

/// Ends the machine; 0 for success.
pub fn exit(code: u8) -> ! {
    let value = if code == 0 { 0x5555 } else { u32::from(code) << 16 | 0x3333 };
    // SAFETY: the address is that of the machine's test device, which ends it.
    unsafe { TEST_DEVICE.write_volatile(value) };
    loop {
        core::hint::spin_loop();
    }
}

fn sbi(extension: u64, function: u64, arguments: [u64; 5]) -> i64 {
    // SAFETY: 1. this kernel runs in supervisor mode; 2. the calls made here change no memory.
    unsafe { exec::sbi_call(SbiCall { extension, function, arguments }) }
}

#[unsafe(no_mangle)]
extern "C" fn start_first(_hart: usize) -> ! {
    crate::main_first()
}

#[unsafe(no_mangle)]
extern "C" fn start_other(_hart: usize) -> ! {
    crate::main_other()
}

/// Handles a trap and returns where to go on.
#[unsafe(no_mangle)]
extern "C" fn trap(cause: u64, pc: u64, value: u64) -> u64 {
    const SOFTWARE_INTERRUPT: u64 = 1 << 63 | 1;
    if cause == SOFTWARE_INTERRUPT {
        // Before handling: an IPI that is sent meanwhile interrupts again.
        csr::clear_ipi();
        crate::machine::handle_ipi();
        return pc;
    }
    const PAGE_FAULTS: [u64; 2] = [13, 15];
    match super::after_fault(pc) {
        Some(next) if PAGE_FAULTS.contains(&cause) => next,
        _ => panic!("trap: scause {cause:#x} sepc {pc:#x} stval {value:#x}"),
    }
}
