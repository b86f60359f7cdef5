//! The interrupt controller's memory: distributor and redistributors of a GICv3.

const DISTRIBUTOR: u64 = 0x0800_0000;
const REDISTRIBUTORS: u64 = 0x080a_0000;
/// How many redistributors fit before the next device; those of other CPUs begin at the first GiB above all memory.
const NEAR_REDISTRIBUTORS: usize = 123;
/// The GiB of memory where they are.
pub const FAR_GIB: u64 = 256;
const REDISTRIBUTOR_BYTES: u64 = 0x2_0000;
/// Frame of a redistributor that has the CPU's own interrupts.
const OWN_INTERRUPTS: u64 = 0x1_0000;
const WAKER: u64 = 0x14;
const GROUP: u64 = 0x80;
const SET_ENABLE: u64 = 0x100;

fn read(address: u64) -> u32 {
    // SAFETY: the addresses used here are the controller's.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: u64, value: u32) {
    // SAFETY: the addresses used here are the controller's; what is written concerns interrupts alone.
    unsafe { (address as *mut u32).write_volatile(value) };
}

/// Turns the distributor on: affinity routing, both groups.
pub fn enable_distributor() {
    write(DISTRIBUTOR, 1 << 4 | 1 << 1 | 1);
}

/// Enables the IPI of the calling CPU.
pub fn enable(cpu: usize) {
    const SLEEP: u32 = 1 << 1;
    const ASLEEP: u32 = 1 << 2;
    let base = match cpu.checked_sub(NEAR_REDISTRIBUTORS) {
        None => REDISTRIBUTORS + cpu as u64 * REDISTRIBUTOR_BYTES,
        Some(far) => (FAR_GIB << 30) + far as u64 * REDISTRIBUTOR_BYTES,
    };
    write(base + WAKER, read(base + WAKER) & !SLEEP);
    while read(base + WAKER) & ASLEEP != 0 {
        core::hint::spin_loop();
    }
    write(base + OWN_INTERRUPTS + GROUP, u32::MAX);
    write(base + OWN_INTERRUPTS + SET_ENABLE, 1);
    super::regs::enable_interrupts();
}
