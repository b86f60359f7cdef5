//! AArch64: QEMU's `virt` machine with a GICv3, entered at EL1.

mod gic;
mod regs;

use core::arch::global_asm;
use shootdown_aarch64::{Errata, Features, IdRegisters, Roots, Strategies, Translation};

pub use regs::{frame_pointer, mark};
pub use shootdown_aarch64::Mmu;
pub use shootdown_aarch64::encode::Root;

/// TCR_EL1: 39 bits of TTBR0 with pages of 4 KiB, cached and inner shareable; no TTBR1; addresses of 40 bits, tags of
/// 16.
const TRANSLATION_CONTROL: u64 = 0x12_0080_3519;

global_asm!(include_str!("boot.s"), translation = const TRANSLATION_CONTROL);

/// Name on the command line.
pub const NAME: &str = "aarch64";
/// Whether an entry must be clear, and flushed, before it maps another frame.
pub const BREAK_BEFORE_MAKE: bool = true;
/// Where the host puts the parameters.
pub const PARAMETERS: u64 = 0x4f00_0000;
/// Where the heap is, and its size.
pub const HEAP: (u64, usize) = (0x4800_0000, 32 << 20);
/// Where frames are.
pub const FRAMES: u64 = 0x4c00_0000;
/// Where a frame has its return address and the frame before it, in bytes from the frame pointer.
pub const FRAME: (i64, i64) = (8, 0);
/// The GiB of memory where everything of the machine lies; the last has the interrupt controllers of CPUs beyond 123.
pub const KERNEL_GIB: &[u64] = &[0, 1, 2, 3, gic::FAR_GIB];
/// Levels of page tables.
pub const LEVELS: usize = 3;

const UART: *mut u32 = 0x0900_0000 as *mut u32;

const TABLE: u64 = 0b11;
const BLOCK: u64 = 0b01;
const ACCESSED: u64 = 1 << 10;
/// Normal memory (index 1 of MAIR), inner shareable.
const NORMAL: u64 = 1 << 2 | 3 << 8 | ACCESSED;
/// Reached from EL0 as well; of one ASID.
const USER: u64 = 1 << 6 | 1 << 11;
const READ_ONLY: u64 = 1 << 7;

/// Entry that leads to a table.
pub const fn table_entry(table: u64) -> u64 {
    table | TABLE
}

/// Entry that maps a user page.
pub const fn page_entry(frame: u64, writable: bool) -> u64 {
    frame | TABLE | NORMAL | USER | if writable { 0 } else { READ_ONLY }
}

/// The same entry without the right to write.
pub const fn read_only(entry: u64) -> u64 {
    entry | READ_ONLY
}

/// Entry that maps the GiB of kernel memory with this number, in the table of the third level.
pub fn kernel_entry(gib: u64) -> u64 {
    // Devices are in the first one and in the last (index 0 of MAIR).
    gib << 30 | BLOCK | if gib == 0 || gib == gic::FAR_GIB { ACCESSED } else { NORMAL }
}

/// The hardware part of the platform, given the table that maps kernel memory alone. Nothing is assumed of the CPUs but
/// how `boot.s` sets translation up; IPIs instead of broadcasts, because this kernel is meant to show IPIs.
#[inline]
pub const fn mmu(kernel_root: u64) -> Mmu {
    const FEATURES: Features = Features::decode(&IdRegisters { isar0: 0, mmfr0: 0, mmfr1: 0, mmfr2: 0 });
    const STRATEGIES: Strategies =
        Strategies::choose(&FEATURES, Translation::decode(TRANSLATION_CONTROL), Errata::None)
            .without_broadcast();
    let root = root(kernel_root);
    // SAFETY: 1. this kernel runs at EL1; 2. its root is never given back, and maps no user page. TTBR1_EL1 is not used.
    unsafe { Mmu::new(STRATEGIES, Roots { empty: root, kernel: root }) }
}

/// Root of the tables at an address.
///
/// # Panics
/// The address is that of no page.
#[inline]
pub const fn root(table: u64) -> Root {
    match Root::new(table) {
        Ok(root) => root,
        Err(_) => panic!("page tables are pages below 1 << 48"),
    }
}

/// Address of a root.
pub fn root_address(root: Root) -> u64 {
    root.address()
}

/// Prepares the calling CPU: traps and IPIs.
pub fn prepare_cpu(_: &Mmu) {
    regs::load_vectors();
    gic::enable(this_cpu());
}

/// Number of the calling CPU.
#[inline]
pub fn this_cpu() -> usize {
    regs::cpu()
}

/// Starts every other CPU below `cpus`.
///
/// # Panics
/// The firmware refuses.
pub fn start_others(cpus: usize) {
    const CPU_ON: u64 = 0xc400_0003;
    for cpu in (0..cpus).filter(|&cpu| cpu != this_cpu()) {
        let answer = regs::firmware(CPU_ON, [affinity(cpu), regs::secondary_entry(), 0]);
        assert_eq!(answer, 0, "CPU {cpu} does not start");
    }
}

/// Affinity of a CPU: QEMU makes clusters of 16.
const fn affinity(cpu: usize) -> u64 {
    ((cpu as u64 / 16) << 8) | (cpu as u64 % 16)
}

/// Sends an IPI to a CPU.
pub fn send_ipi(cpu: usize) {
    regs::send_sgi((cpu as u64 / 16) << 16 | 1 << (cpu % 16));
}

/// Lets the machine run other CPUs while this one waits.
#[inline]
pub fn yield_now() {
    regs::yield_now();
}

/// Makes entries that were written count for later accesses of this CPU.
#[inline]
pub fn tables_written() {
    regs::tables_written();
}

/// Time since the machine started.
pub fn ticks() -> u64 {
    regs::time()
}

/// How fast [`ticks`] grow.
pub fn ticks_per_second() -> u64 {
    regs::frequency()
}

/// Writes a byte to the console.
pub fn put(byte: u8) {
    // SAFETY: the address is that of the machine's serial port, which takes a byte at any time.
    unsafe { UART.write_volatile(u32::from(byte)) };
}

/// Ends the machine; 0 for success.
pub fn exit(code: u8) -> ! {
    regs::semihosting_exit(u64::from(code));
    loop {
        core::hint::spin_loop();
    }
}

#[unsafe(no_mangle)]
extern "C" fn start_first() -> ! {
    gic::enable_distributor();
    crate::main_first()
}

#[unsafe(no_mangle)]
extern "C" fn start_other() -> ! {
    crate::main_other()
}

/// Handles a trap and returns where to go on.
#[unsafe(no_mangle)]
extern "C" fn trap(kind: u64, pc: u64, syndrome: u64, address: u64) -> u64 {
    const FAULT: u64 = 0;
    const INTERRUPT: u64 = 1;
    const DATA_ABORT: u64 = 0x25;
    if kind == INTERRUPT {
        if regs::take_interrupt() {
            crate::machine::handle_ipi();
        }
        return pc;
    }
    match super::after_fault(pc) {
        Some(next) if kind == FAULT && syndrome >> 26 == DATA_ABORT => next,
        _ => panic!("trap {kind}: esr {syndrome:#x} elr {pc:#x} far {address:#x}"),
    }
}
