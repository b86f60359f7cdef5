//! Where things lie: a window of user memory, and one of kernel memory that comes and goes.

use core::ops::Range;

/// Where user pages begin: 64 GiB.
pub const USER: u64 = 64 << 30;
/// Where kernel memory that comes and goes begins: 96 GiB.
pub const KERNEL_WINDOW: u64 = 96 << 30;
/// Leaf tables of the window.
pub const REGIONS: usize = 4;
/// Pages of the window that are used, in each region as many.
pub const PAGES: usize = 64;
const PAGES_OF_REGION: usize = PAGES / REGIONS;
const REGION_BYTES: u64 = 2 << 20;
/// Size of a page.
pub const PAGE_BYTES: u64 = 4096;

/// Address of a page.
pub const fn address(page: u8) -> u64 {
    let (region, index) = (region(page) as u64, page as u64 % PAGES_OF_REGION as u64);
    USER + region * REGION_BYTES + index * PAGE_BYTES
}

/// Which leaf table maps a page.
pub const fn region(page: u8) -> usize {
    page as usize / PAGES_OF_REGION
}

/// Pages of a region.
pub fn pages_of(region: usize) -> Range<u8> {
    let first = region * PAGES_OF_REGION;
    first as u8..(first + PAGES_OF_REGION) as u8
}

/// First address of a region.
pub const fn region_address(region: usize) -> u64 {
    USER + region as u64 * REGION_BYTES
}

/// Whether an address lies in the window of user memory or in that of kernel memory.
pub const fn is_window(address: u64) -> bool {
    address >= USER && address < USER + REGIONS as u64 * REGION_BYTES || address >> 12 == KERNEL_WINDOW >> 12
}
