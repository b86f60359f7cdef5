//! Two roots of Sv39: the kernel's, which maps the first 4 GiB where they are, and that of the space, which maps the
//! user's code and four data pages. Both map the trampoline at the same address.

use crate::{GOOD, HARTS, Memory, PAGES, trampoline, user_program};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::flush::{PageRange, VirtAddr};
use shootdown_riscv64::encode::{Asid, Mode, Root, satp};

/// Where all roots map the trampoline: the last page of the lower half.
pub const TRAMPOLINE: u64 = (1 << 38) - 4096;
/// Where the user's program is, and its data; `trampoline.s` has the number too.
pub const USER_CODE: u64 = 0x10_0000_0000;
const USER_DATA: u64 = 0x10_0010_0000;

const VALID: u64 = 1;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 3;
const USER: u64 = 1 << 4;
const ACCESSED_AND_DIRTY: u64 = 1 << 6 | 1 << 7;

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

impl Table {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }
    fn address(&'static self) -> u64 {
        core::ptr::from_ref(self).expose_provenance() as u64
    }
    fn set(&self, index: u64, target: u64, bits: u64) {
        self.0[index as usize].store(target >> 12 << 10 | bits, Ordering::Relaxed);
    }
}

static KERNEL: Table = Table::new();
static SPACE: Table = Table::new();
/// Below both: the GiB and the 2 MiB of the trampoline.
static TRAMPOLINES: [Table; 2] = [const { Table::new() }; 2];
/// Below the space's: the GiB of the user, and its first 2 MiB.
static USERS: [Table; 2] = [const { Table::new() }; 2];
static FRAMES: Memory<{ PAGES * 2 * 4096 }> = Memory(UnsafeCell::new([0; PAGES * 2 * 4096]));

/// A data page, its entry, and the two frames that take turns.
pub struct Mapping {
    /// The entry.
    pub entry: &'static AtomicU64,
    /// The page.
    pub page: PageRange,
    /// The frames.
    pub frames: [u64; 2],
}

/// Fills the tables.
pub fn prepare() {
    let kernel = VALID | READ | WRITE | EXECUTE | ACCESSED_AND_DIRTY;
    (0..4).for_each(|gib| KERNEL.set(gib, gib << 30, kernel));
    for root in [&KERNEL, &SPACE] {
        root.set(index(2, TRAMPOLINE), TRAMPOLINES[0].address(), VALID);
    }
    TRAMPOLINES[0].set(index(1, TRAMPOLINE), TRAMPOLINES[1].address(), VALID);
    TRAMPOLINES[1].set(index(0, TRAMPOLINE), &raw const trampoline as u64, kernel & !WRITE);
    SPACE.set(index(2, USER_CODE), USERS[0].address(), VALID);
    USERS[0].set(index(1, USER_CODE), USERS[1].address(), VALID);
    let code = VALID | READ | EXECUTE | USER | ACCESSED_AND_DIRTY;
    USERS[1].set(index(0, USER_CODE), &raw const user_program as u64, code);
    for number in 0..PAGES {
        let Mapping { entry, frames, .. } = mapping(number);
        crate::write(frames[0], GOOD);
        map(entry, frames[0]);
    }
}

fn index(level: u32, address: u64) -> u64 {
    address >> (12 + 9 * level) & 511
}

/// satp of the space.
pub fn user_satp() -> u64 {
    satp_of(&SPACE)
}

/// satp of the kernel.
pub fn kernel_satp() -> u64 {
    satp_of(&KERNEL)
}

fn satp_of(table: &'static Table) -> u64 {
    satp(Mode::Sv39, Asid::SHARED, Root::new(table.address()).expect("a page"))
}

/// A data page.
pub fn mapping(number: usize) -> Mapping {
    let page = USER_DATA + ((number as u64) << 12);
    let frame = FRAMES.0.get().expose_provenance() as u64 + ((number as u64) << 13);
    Mapping {
        entry: &USERS[1].0[index(0, page) as usize],
        page: PageRange::page(VirtAddr(page)),
        frames: [frame, frame + 4096],
    }
}

/// Maps a frame for the user to read. What was written to it comes first.
pub fn map(entry: &AtomicU64, frame: u64) {
    entry.store(frame >> 12 << 10 | VALID | READ | USER | ACCESSED_AND_DIRTY, Ordering::Release);
}

/// Whether the entry maps this frame.
pub fn maps(entry: &AtomicU64, frame: u64) -> bool {
    entry.load(Ordering::Relaxed) >> 10 == frame >> 12
}

/// Writes what the trampoline needs to come into the kernel on this hart, and returns where the trampoline finds it.
pub fn set_trap_record(hart: usize, handler: u64, stack: u64) -> u64 {
    unsafe extern "C" {
        static mut traps_of_harts: [[u64; 4]; HARTS];
    }
    let records = &raw mut traps_of_harts;
    let record = records.cast::<[u64; 4]>().wrapping_add(hart);
    // SAFETY: each hart writes its own, before it goes to user mode.
    unsafe { record.write([kernel_satp(), stack, hart as u64, handler]) };
    record as u64 - &raw const trampoline as u64 + TRAMPOLINE
}
