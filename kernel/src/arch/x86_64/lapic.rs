//! The local interrupt controller, by its memory page.

const BASE: u64 = 0xfee0_0000;
const END_OF_INTERRUPT: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const COMMAND_LOW: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;
const TIMER: u64 = 0x320;
const TIMER_INITIAL: u64 = 0x380;
const TIMER_CURRENT: u64 = 0x390;
const TIMER_DIVIDE: u64 = 0x3e0;
/// Where interrupts go that were withdrawn before they were taken.
pub const SPURIOUS_VECTOR: u8 = 63;
const ENABLED: u32 = 1 << 8;
const BUSY: u32 = 1 << 12;

fn read(register: u64) -> u32 {
    // SAFETY: the page is the controller's, and reads of these registers have no effect.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn write(register: u64, value: u32) {
    // SAFETY: the page is the controller's; what is written concerns interrupts alone.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) };
}

/// Turns the controller of this CPU on.
pub fn enable() {
    write(SPURIOUS, ENABLED | u32::from(SPURIOUS_VECTOR));
}

/// Says that an interrupt was taken.
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Sends an interrupt to a CPU.
pub fn send(cpu: usize, vector: u8) {
    command(cpu, 0x4000 | u32::from(vector));
}

/// Resets a CPU.
pub fn init(cpu: usize) {
    command(cpu, 0x4500);
}

/// Starts a CPU at an address below 1 MiB, a multiple of 4 KiB.
pub fn start(cpu: usize, address: u64) {
    command(cpu, 0x4600 | (address >> 12) as u32);
}

fn command(cpu: usize, command: u32) {
    while read(COMMAND_LOW) & BUSY != 0 {
        core::hint::spin_loop();
    }
    // Handlers send no IPI, so no interrupt comes between the two with another command.
    write(COMMAND_HIGH, (cpu as u32) << 24);
    write(COMMAND_LOW, command);
}

/// How fast the time-stamp counter runs, by the controller's timer, which counts nanoseconds in QEMU.
pub fn ticks_per_second() -> u64 {
    const MASKED: u32 = 1 << 16;
    const BY_ONE: u32 = 0b1011;
    const NANOSECONDS: u32 = 10_000_000;
    write(TIMER, MASKED);
    write(TIMER_DIVIDE, BY_ONE);
    write(TIMER_INITIAL, u32::MAX);
    let (begin, first) = (super::ticks(), read(TIMER_CURRENT));
    while first - read(TIMER_CURRENT) < NANOSECONDS {
        core::hint::spin_loop();
    }
    let passed = u64::from(first - read(TIMER_CURRENT));
    (super::ticks() - begin) * 1_000_000_000 / passed
}
