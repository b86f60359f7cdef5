//! What must never happen, and the shadow of what TLBs hold.
//!
//! QEMU drops more than hardware would, so a missing flush may stay without effect. The shadow remembers, for each CPU, the
//! frames that it has read through user mappings since it last flushed them; a frame that is given back while a CPU still
//! has it in its shadow is a finding, whatever QEMU's TLB does.

use crate::arch::{self, MAX_CPUS};
use crate::console::say;
use crate::frames::Canary;
use crate::paging::{self, PAGES};
use crate::sched;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::{LocalFlush, Tables};

/// Something that must not happen.
#[derive(Clone, Copy, Debug)]
pub enum Finding {
    /// A user mapping led to a frame that is not the page's, or no longer.
    StaleRead {
        /// The page that was read.
        page: u8,
        /// Who read.
        owner: u16,
        /// The oldest epoch that it may have met.
        floor: u32,
        /// What it met.
        found: Canary,
    },
    /// A free frame was written to.
    StaleWrite {
        /// The frame.
        frame: u16,
        /// Which word.
        word: usize,
        /// What was written.
        value: u64,
    },
    /// A page changed that nobody may write to any more.
    WriteThroughProtection {
        /// The page.
        page: u8,
        /// What it held.
        was: u64,
        /// What it holds.
        is: u64,
    },
    /// A frame is given back that a CPU may still have a translation to.
    ShadowedFrame {
        /// The frame.
        frame: u16,
        /// The CPU.
        cpu: usize,
        /// The page that leads there.
        page: u8,
    },
    /// A page table is given back that a CPU may still walk.
    ShadowedTable {
        /// Its address.
        table: u64,
        /// The CPU.
        cpu: usize,
    },
    /// A root is given back that a CPU has loaded.
    LoadedRoot {
        /// Its address.
        root: u64,
        /// The CPU.
        cpu: usize,
    },
    /// Frames that nobody gave back.
    LostFrames {
        /// How many.
        count: usize,
    },
}

static STALE: AtomicU64 = AtomicU64::new(0);
static SHADOW: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);
/// Findings that are written out; the others are counted.
const WRITTEN: u64 = 3;

/// How often something happened that must not.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Stale reads and writes, seen through canaries.
    pub stale: u64,
    /// Findings of the shadow.
    pub shadow: u64,
    /// Frames lost.
    pub lost: u64,
}

/// What was found so far.
pub fn count() -> Count {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Count { stale: read(&STALE), shadow: read(&SHADOW), lost: read(&LOST) }
}

/// Counts a finding and writes the first few out. The scenario ends with it: what follows would be consequences.
pub fn report(finding: Finding) {
    sched::stop();
    let (counter, by) = match finding {
        Finding::StaleRead { .. } | Finding::StaleWrite { .. } | Finding::WriteThroughProtection { .. } => {
            (&STALE, 1)
        }
        Finding::LostFrames { count } => (&LOST, count as u64),
        _ => (&SHADOW, 1),
    };
    if counter.fetch_add(by, Ordering::Relaxed) >= WRITTEN {
        return;
    }
    let cpu = arch::this_cpu();
    match finding {
        Finding::StaleRead { page, owner, floor, found } => say!(
            "@{{\"event\":\"finding\",\"what\":\"stale read\",\"cpu\":{cpu},\"page\":\"{:#x}\",\"frame\":{},\"reader\":{owner},\
             \"owner\":{},\"owner_page\":{},\"epoch\":{},\"expected_epoch\":{floor}}}",
            paging::address(page),
            found.frame,
            found.owner,
            found.page,
            found.epoch
        ),
        Finding::StaleWrite { frame, word, value } => say!(
            "@{{\"event\":\"finding\",\"what\":\"stale write\",\"cpu\":{},\"frame\":{frame},\"word\":{word},\"owner\":{}}}",
            value & 0xff,
            value >> 8 & 0xffff
        ),
        Finding::WriteThroughProtection { page, was, is } => say!(
            "@{{\"event\":\"finding\",\"what\":\"write to a protected page\",\"cpu\":{},\"page\":\"{:#x}\",\"was\":\"{was:#x}\",\
             \"is\":\"{is:#x}\"}}",
            is & 0xff,
            paging::address(page)
        ),
        Finding::ShadowedFrame { frame, cpu, page } => say!(
            "@{{\"event\":\"finding\",\"what\":\"frame given back while translated\",\"cpu\":{cpu},\"page\":\"{:#x}\",\
             \"frame\":{frame}}}",
            paging::address(page)
        ),
        Finding::ShadowedTable { table, cpu } => say!(
            "@{{\"event\":\"finding\",\"what\":\"table given back while walked\",\"cpu\":{cpu},\"table\":\"{table:#x}\"}}"
        ),
        Finding::LoadedRoot { root, cpu } => say!(
            "@{{\"event\":\"finding\",\"what\":\"root given back while loaded\",\"cpu\":{cpu},\"root\":\"{root:#x}\"}}"
        ),
        Finding::LostFrames { count } => {
            say!("@{{\"event\":\"finding\",\"what\":\"frames lost\",\"count\":{count}}}");
        }
    }
}

/// Whether there is a shadow: counts of instructions are made without.
const WATCHES: bool = cfg!(not(feature = "unwatched"));

/// What a CPU may hold: written by that CPU with interrupts off, read by all.
struct Shadow {
    root: AtomicU64,
    /// 1 while user mappings may be used: a lazy CPU flushes before it uses what it still holds.
    in_use: AtomicU64,
    /// For each page, 1 + the frame that was read there.
    frames: [AtomicU64; PAGES],
    /// For each leaf table's part of the window, the table through which it was read.
    tables: [AtomicU64; paging::REGIONS],
}

static SHADOWS: [Shadow; MAX_CPUS] = [const {
    Shadow {
        root: AtomicU64::new(0),
        in_use: AtomicU64::new(0),
        frames: [const { AtomicU64::new(0) }; PAGES],
        tables: [const { AtomicU64::new(0) }; paging::REGIONS],
    }
}; MAX_CPUS];

fn mine() -> &'static Shadow {
    &SHADOWS[arch::this_cpu()]
}

/// Notes that the calling CPU has read `page` and met `frame`, through the table at `table`. Interrupts are off.
pub fn read_page(page: u8, frame: u16, table: u64) {
    mine().frames[usize::from(page)].store(u64::from(frame) + 1, Ordering::Relaxed);
    mine().tables[paging::region(page)].store(table, Ordering::Relaxed);
}

/// Notes that the calling CPU uses user mappings from now on.
pub fn begin_use() {
    mine().in_use.store(1, Ordering::Release);
}

/// Notes that it does not until it has switched again.
pub fn end_use() {
    mine().in_use.store(0, Ordering::Release);
}

/// Notes that the calling CPU has loaded a root, and dropped everything. Interrupts are off.
#[inline]
pub fn loaded(root: u64) {
    if !WATCHES {
        return;
    }
    mine().root.store(root, Ordering::Release);
    forget_all();
}

/// Notes what the calling CPU has flushed. Interrupts are off.
#[inline]
pub fn flushed(what: LocalFlush) {
    if !WATCHES {
        return;
    }
    let LocalFlush::Pages { range, tables, .. } = what else {
        if !matches!(what, LocalFlush::KernelPages { .. }) {
            forget_all();
        }
        return;
    };
    if tables == Tables::Freed {
        mine().tables.iter().for_each(|table| table.store(0, Ordering::Release));
    }
    let bytes = range.count() * range.size().bytes();
    for page in paging::pages_in(range.start().0, bytes) {
        mine().frames[page].store(0, Ordering::Release);
    }
}

fn forget_all() {
    mine().frames.iter().chain(&mine().tables).for_each(|word| word.store(0, Ordering::Release));
}

/// Looks whether a frame that is being given back is in the shadow of a CPU.
pub fn page_reused(frame: u16) {
    for (cpu, shadow) in SHADOWS.iter().enumerate().take(crate::cpus()) {
        let held = |word: &AtomicU64| word.load(Ordering::Acquire) == u64::from(frame) + 1;
        if shadow.in_use.load(Ordering::Acquire) == 0 {
            continue;
        }
        if let Some(page) = shadow.frames.iter().position(held) {
            report(Finding::ShadowedFrame { frame, cpu, page: page as u8 });
        }
    }
}

/// Looks whether a table that is being given back is in the shadow of a CPU.
pub fn table_reused(table: u64) {
    for (cpu, shadow) in SHADOWS.iter().enumerate().take(crate::cpus()) {
        if shadow.tables.iter().any(|word| word.load(Ordering::Acquire) == table) {
            report(Finding::ShadowedTable { table, cpu });
        }
    }
}

/// Looks whether a root that is being given back is loaded by a CPU.
pub fn root_reused(root: u64) {
    for (cpu, shadow) in SHADOWS.iter().enumerate().take(crate::cpus()) {
        if shadow.root.load(Ordering::Acquire) == root {
            report(Finding::LoadedRoot { root, cpu });
        }
    }
}
