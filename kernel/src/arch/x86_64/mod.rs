//! x86-64: QEMU's `pc` machine, entered by its PVH note.

mod cpu;
mod lapic;

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown_x86_64::Strategies;

pub use cpu::{frame_pointer, mark};
pub use shootdown_x86_64::Mmu;
pub use shootdown_x86_64::encode::Root;

global_asm!(include_str!("boot.s"), options(att_syntax));

/// Name on the command line.
pub const NAME: &str = "x86_64";
/// Whether an entry must be clear, and flushed, before it maps another frame.
pub const BREAK_BEFORE_MAKE: bool = false;
/// Where the host puts the parameters.
pub const PARAMETERS: u64 = 0x0f00_0000;
/// Where the heap is, and its size.
pub const HEAP: (u64, usize) = (0x0800_0000, 32 << 20);
/// Where frames are.
pub const FRAMES: u64 = 0x0c00_0000;
/// Where a frame has its return address and the frame before it, in bytes from the frame pointer.
pub const FRAME: (i64, i64) = (8, 0);
/// The GiB of memory where everything of the machine lies.
pub const KERNEL_GIB: &[u64] = &[0, 1, 2, 3];
/// Levels of page tables.
pub const LEVELS: usize = 4;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Accessed and dirty: the walker never writes to entries.
const USED: u64 = 1 << 5 | 1 << 6;
const LARGE: u64 = 1 << 7;

const SERIAL: u16 = 0x3f8;
const EXIT_DEVICE: u16 = 0xf4;
/// Ports of the masks of the interrupt controllers that came before.
const OLD_CONTROLLERS: [u16; 2] = [0x21, 0xa1];
const IPI: u8 = 64;

static TICKS_PER_SECOND: AtomicU64 = AtomicU64::new(0);

/// Entry that leads to a table.
pub const fn table_entry(table: u64) -> u64 {
    table | PRESENT | WRITE | USER
}

/// Entry that maps a user page.
pub const fn page_entry(frame: u64, writable: bool) -> u64 {
    frame | PRESENT | USER | USED | if writable { WRITE } else { 0 }
}

/// The same entry without the right to write.
pub const fn read_only(entry: u64) -> u64 {
    entry & !WRITE
}

/// Entry that maps the GiB of kernel memory with this number, in the table of the third level.
pub fn kernel_entry(gib: u64) -> u64 {
    gib << 30 | PRESENT | WRITE | USED | LARGE
}

/// The hardware part of the platform, given the table that maps kernel memory alone.
#[inline]
pub const fn mmu(kernel_root: u64) -> Mmu {
    // SAFETY: 1. this kernel runs in ring 0; every x86-64 has what is used.
    unsafe { Mmu::new(Strategies::PLAIN, root(kernel_root)) }
}

/// Root of the tables at an address.
///
/// # Panics
/// The address is that of no page.
#[inline]
pub const fn root(table: u64) -> Root {
    match Root::new(table) {
        Ok(root) => root,
        Err(_) => panic!("page tables are pages"),
    }
}

/// Address of a root.
pub fn root_address(root: Root) -> u64 {
    root.address()
}

/// Prepares the calling CPU: traps, IPIs, global pages.
pub fn prepare_cpu(mmu: &Mmu) {
    cpu::load_traps();
    lapic::enable();
    // SAFETY: 1. interrupts are off until the CPU is on line; 2. the boot tables are a page.
    unsafe { mmu.prepare_cpu() };
}

/// Number of the calling CPU.
#[inline]
pub fn this_cpu() -> usize {
    cpu::number()
}

/// Starts every other CPU below `cpus`.
pub fn start_others(cpus: usize) {
    cpu::copy_trampoline();
    let wait = |milliseconds: u64| {
        let end = ticks() + milliseconds * ticks_per_second() / 1000;
        while ticks() < end {
            yield_now();
        }
    };
    (1..cpus).for_each(lapic::init);
    wait(10);
    (1..cpus).for_each(|cpu| lapic::start(cpu, cpu::TRAMPOLINE));
}

/// Sends an IPI to a CPU.
pub fn send_ipi(cpu: usize) {
    lapic::send(cpu, IPI);
}

/// Lets the machine run other CPUs while this one waits.
#[inline]
pub fn yield_now() {
    core::hint::spin_loop();
}

/// Makes entries that were written count for later accesses of this CPU.
#[inline]
pub fn tables_written() {}

/// Time since the machine started.
pub fn ticks() -> u64 {
    cpu::time()
}

/// How fast [`ticks`] grow.
pub fn ticks_per_second() -> u64 {
    TICKS_PER_SECOND.load(Ordering::Relaxed)
}

/// Writes a byte to the console.
pub fn put(byte: u8) {
    const LINE_STATUS: u16 = SERIAL + 5;
    const ROOM: u8 = 1 << 5;
    while cpu::read_port(LINE_STATUS) & ROOM == 0 {
        core::hint::spin_loop();
    }
    cpu::write_port(SERIAL, byte);
}

/// Ends the machine; 0 for success. QEMU's exit code is twice 16 more, and 1.
pub fn exit(code: u8) -> ! {
    cpu::write_port(EXIT_DEVICE, 0x10 + code);
    loop {
        core::hint::spin_loop();
    }
}

#[unsafe(no_mangle)]
extern "C" fn start_first(cpu: usize) -> ! {
    cpu::set_number(cpu);
    // The firmware leaves the old interrupt controllers on.
    OLD_CONTROLLERS.into_iter().for_each(|port| cpu::write_port(port, 0xff));
    lapic::enable();
    TICKS_PER_SECOND.store(lapic::ticks_per_second(), Ordering::Relaxed);
    crate::main_first()
}

#[unsafe(no_mangle)]
extern "C" fn start_other(cpu: usize) -> ! {
    cpu::set_number(cpu);
    crate::main_other()
}

/// Handles a trap and returns where to go on.
#[unsafe(no_mangle)]
extern "C" fn trap(vector: u64, pc: u64, error: u64, address: u64) -> u64 {
    if vector == u64::from(IPI) {
        lapic::end_of_interrupt();
        crate::machine::handle_ipi();
        return pc;
    }
    const PAGE_FAULT: u64 = 14;
    match super::after_fault(pc) {
        Some(next) if vector == PAGE_FAULT => next,
        _ if vector == u64::from(lapic::SPURIOUS_VECTOR) => pc,
        _ => panic!("trap {vector}: error {error:#x} rip {pc:#x} cr2 {address:#x}"),
    }
}
