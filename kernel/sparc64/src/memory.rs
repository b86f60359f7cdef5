//! User memory: spaces of a few pages, a TSB each, and frames that say whose they are.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::flush::VirtAddr;
use shootdown_sparc64::encode::Root;

/// Spaces.
pub const SPACES: usize = 24;
/// Pages of each.
pub const PAGES: usize = 4;
/// Frames that a page takes turns on.
pub const TURNS: usize = 2;

const PAGE_BYTES: u64 = 8192;
/// Where user pages begin.
const USER: u64 = 0x1_0000_0000;
/// From where the image is mapped to where it is.
const OFFSET: u64 = 0x3fc0_0000;
const ENTRIES: usize = 512;

const VALID: u64 = 1 << 63;
/// In the second-level cache; of any size but 8 KiB, bits 61 and 62 would say so.
const CACHED: u64 = 1 << 5;
const WRITABLE: u64 = 1 << 1;

unsafe extern "C" {
    safe fn user_load(address: u64) -> Access;
    safe fn user_store(address: u64, value: u64) -> Access;
}

/// What an access answers: two registers.
#[repr(C)]
struct Access {
    value: u64,
    fault: u64,
}

/// A TSB: tags and data.
#[repr(C, align(8192))]
struct Tsb([[AtomicU64; 2]; ENTRIES]);

/// A frame, of which only the first word is used.
#[repr(C, align(8192))]
struct Frame(AtomicU64, UnsafeCell<[u64; 1023]>);

// SAFETY: the first word is atomic, and nobody uses the others.
unsafe impl Sync for Frame {}

static TSBS: [Tsb; SPACES] = [const { Tsb([const { [const { AtomicU64::new(0) }; 2] }; ENTRIES]) }; SPACES];
static FRAMES: [[[Frame; TURNS]; PAGES]; SPACES] =
    [const { [const { [const { Frame(AtomicU64::new(0), UnsafeCell::new([0; 1023])) }; TURNS] }; PAGES] };
        SPACES];

/// Address of a page; the same in all spaces.
pub const fn address(page: usize) -> VirtAddr {
    VirtAddr(USER + page as u64 * PAGE_BYTES)
}

/// What the TSB registers hold for a space.
///
/// # Panics
/// There is no such space.
pub fn root(space: usize) -> Root {
    Root::register(&raw const TSBS[space] as u64, 0).expect("a TSB is a page")
}

/// Maps a page to one of its frames, and writes `canary` there. No TLB is told.
pub fn map(space: usize, page: usize, turn: usize, canary: u64) {
    let frame = &FRAMES[space][page][turn];
    frame.0.store(canary, Ordering::Relaxed);
    let [tag, data] = entry(space, page);
    tag.store(address(page).0 >> 22, Ordering::Relaxed);
    data.store(VALID | CACHED | WRITABLE | (frame as *const Frame as u64 - OFFSET), Ordering::Release);
}

/// Unmaps a page. No TLB is told.
pub fn unmap(space: usize, page: usize) {
    entry(space, page)[1].store(0, Ordering::Release);
}

/// Writes into a frame that belongs to another owner from now on.
pub fn poison(space: usize, page: usize, turn: usize) {
    FRAMES[space][page][turn].0.store(u64::MAX, Ordering::Relaxed);
}

/// Reads a page through the context that is loaded; nothing if that faults.
pub fn load(page: usize) -> Option<u64> {
    let Access { value, fault } = user_load(address(page).0);
    (fault == 0).then_some(value)
}

/// Writes to a page through the context that is loaded, and says whether it did not fault.
pub fn store(page: usize, value: u64) -> bool {
    user_store(address(page).0, value).fault == 0
}

fn entry(space: usize, page: usize) -> &'static [AtomicU64; 2] {
    &TSBS[space].0[(address(page).0 / PAGE_BYTES) as usize % ENTRIES]
}
