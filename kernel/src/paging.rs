//! Page tables: a window of user memory, and kernel memory mapped where it is.

use crate::arch;
use crate::frames::Frame;
use crate::window::{KERNEL_WINDOW, PAGE_BYTES, USER, address, region_address};
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;

const ENTRIES: usize = 512;

/// An entry of a page table.
pub fn entry(table: u64, index: usize) -> &'static AtomicU64 {
    assert!(index < ENTRIES && table % PAGE_BYTES == 0, "no entry {index} of table {table:#x}");
    // SAFETY: tables are frames or static tables of the kernel, mapped where they are for ever, and accessed as atomics alone.
    unsafe { AtomicU64::from_ptr((table + 8 * index as u64) as *mut u64) }
}

/// The entry of a leaf table for a page.
pub fn page_entry(leaf: u64, page: u8) -> &'static AtomicU64 {
    entry(leaf, (address(page) >> 12) as usize % ENTRIES)
}

/// The entry of the table above the leaf tables for a region.
pub fn region_entry(middle: u64, region: usize) -> &'static AtomicU64 {
    entry(middle, (region_address(region) >> 21) as usize % ENTRIES)
}

/// The tables of a root that live as long as it does.
#[derive(Debug)]
pub struct RootTables {
    root: Frame,
    /// The table that the root's first entry leads to, where there are four levels; held, and never looked at.
    #[expect(dead_code, reason = "it is given back with the rest")]
    upper: Option<Frame>,
    /// The table above the leaf tables of the window.
    middle: Frame,
}

impl RootTables {
    /// Makes the tables of a space without pages; nothing if memory has run out.
    pub fn new() -> Option<Self> {
        let (root, middle) = (Frame::table()?, Frame::table()?);
        let upper = if arch::LEVELS == 4 { Some(Frame::table()?) } else { None };
        let top = upper.as_ref().unwrap_or(&root).address();
        fill_kernel(top);
        entry(top, gib(USER)).store(arch::table_entry(middle.address()), Ordering::Relaxed);
        if let Some(upper) = &upper {
            entry(root.address(), 0).store(arch::table_entry(upper.address()), Ordering::Relaxed);
        }
        Some(Self { root, upper, middle })
    }

    /// Address of the root.
    pub fn root(&self) -> u64 {
        self.root.address()
    }

    /// Address of the table above the leaf tables.
    pub fn middle(&self) -> u64 {
        self.middle.address()
    }
}

/// The tables of the kernel's window, which all roots share.
struct Shared {
    middle: u64,
    leaf: u64,
}

static SHARED: Once<Shared> = Once::new();

/// Makes the kernel's own root and returns its address. Once.
///
/// # Panics
/// There is no memory.
pub fn init() -> u64 {
    let table = || {
        let frame = Frame::table().expect("memory for the kernel's tables");
        let address = frame.address();
        core::mem::forget(frame);
        address
    };
    let shared = SHARED.call_once(|| Shared { middle: table(), leaf: table() });
    region_slot(shared.middle, KERNEL_WINDOW).store(arch::table_entry(shared.leaf), Ordering::Relaxed);
    let root = table();
    if arch::LEVELS == 4 {
        let upper = table();
        fill_kernel(upper);
        entry(root, 0).store(arch::table_entry(upper), Ordering::Relaxed);
    } else {
        fill_kernel(root);
    }
    root
}

/// The entry that maps the kernel's window.
///
/// # Panics
/// [`init`] has not run.
pub fn kernel_window_entry() -> &'static AtomicU64 {
    let shared = SHARED.get().expect("the kernel's tables");
    entry(shared.leaf, (KERNEL_WINDOW >> 12) as usize % ENTRIES)
}

fn fill_kernel(top: u64) {
    for &number in arch::KERNEL_GIB {
        entry(top, number as usize).store(arch::kernel_entry(number), Ordering::Relaxed);
    }
    if let Some(shared) = SHARED.get() {
        entry(top, gib(KERNEL_WINDOW)).store(arch::table_entry(shared.middle), Ordering::Relaxed);
    }
}

fn region_slot(middle: u64, address: u64) -> &'static AtomicU64 {
    entry(middle, (address >> 21) as usize % ENTRIES)
}

const fn gib(address: u64) -> usize {
    (address >> 30) as usize % ENTRIES
}
