//! Page tables of a few pages, and frames.

use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::flush::VirtAddr;
use shootdown_loongarch64::encode::Root;

/// Spaces of user programs.
pub const SPACES: usize = 8;
/// The space that is loaded where none is: it has no pages.
pub const EMPTY: usize = SPACES;
/// The upper half of all spaces; its pages are global.
pub const KERNEL: usize = SPACES + 1;
/// Pages of each: two pairs.
pub const PAGES: usize = 4;
/// Frames that a page takes turns on.
pub const TURNS: usize = 2;

const TABLES: usize = SPACES + 2;
const PAGE_BYTES: u64 = 1 << 14;
/// Entries of a table, which has the size of a page.
const ENTRIES: usize = 2048;
/// Where pages begin, in either half.
const BEGIN: u64 = 0x4000_0000;
const UPPER_HALF: u64 = 0xffff_8000_0000_0000;
/// Where the image is mapped, less where it is.
const WINDOW: u64 = 0x9000_0000_0000_0000;

const VALID: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const CACHED: u64 = 1 << 4;
const GLOBAL: u64 = 1 << 6;

unsafe extern "C" {
    safe fn user_load(address: u64) -> Access;
}

/// What an access answers: two registers.
#[repr(C)]
struct Access {
    value: u64,
    fault: u64,
}

/// A table or a frame.
#[repr(C, align(16384))]
struct Page([AtomicU64; ENTRIES]);

impl Page {
    const ZERO: Self = Self([const { AtomicU64::new(0) }; ENTRIES]);

    fn physical(&'static self) -> u64 {
        &raw const *self as u64 - WINDOW
    }
}

static ROOTS: [Page; TABLES] = [Page::ZERO; TABLES];
static LEAVES: [Page; TABLES] = [Page::ZERO; TABLES];
static FRAMES: [[[Page; TURNS]; PAGES]; TABLES] = [const { [const { [Page::ZERO; TURNS] }; PAGES] }; TABLES];

/// Address of a page; the same in all spaces of users.
pub const fn address(space: usize, page: usize) -> VirtAddr {
    let half = if space == KERNEL { UPPER_HALF } else { 0 };
    VirtAddr(half + BEGIN + page as u64 * PAGE_BYTES)
}

/// What CSR.PGDL or CSR.PGDH holds for a space.
///
/// # Panics
/// There is no such space.
pub fn root(space: usize) -> Root {
    let index = (BEGIN >> 25) as usize % ENTRIES;
    ROOTS[space].0[index].store(LEAVES[space].physical(), Ordering::Relaxed);
    Root::new(ROOTS[space].physical()).expect("tables are pages")
}

/// Maps a page to one of its frames. No TLB is told.
pub fn map(space: usize, page: usize, turn: usize) {
    let global = if space == KERNEL { GLOBAL } else { 0 };
    let frame = FRAMES[space][page][turn].physical();
    entry(space, page).store(frame | VALID | WRITABLE | CACHED | global, Ordering::Release);
}

/// Unmaps a page. No TLB is told.
pub fn unmap(space: usize, page: usize) {
    entry(space, page).store(0, Ordering::Release);
}

/// Writes into a frame.
pub fn fill(space: usize, page: usize, turn: usize, what: u64) {
    FRAMES[space][page][turn].0[0].store(what, Ordering::Release);
}

/// Reads a page through the TLB; nothing if that faults.
pub fn load(address: VirtAddr) -> Option<u64> {
    let Access { value, fault } = user_load(address.0);
    (fault == 0).then_some(value)
}

fn entry(space: usize, page: usize) -> &'static AtomicU64 {
    &LEAVES[space].0[page]
}
