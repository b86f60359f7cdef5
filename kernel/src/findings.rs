//! What must never happen, and the shadow of what TLBs hold.
//!
//! QEMU drops more than hardware would, so a missing flush may stay without effect. The shadow is told what each CPU
//! loads and flushes and what is taken out of page tables: what is given back while a CPU that may use it has not
//! flushed it is a finding, whatever QEMU's TLB does.

use crate::arch::{self, MAX_CPUS};
use crate::canary::Canary;
use crate::console::say;
use crate::ending;
use crate::window;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::flush::{FlushRequest, PageRange};
use shootdown::sanitizer::{Kind, Sanitizer, Verdict, Violation};
use shootdown::{CpuId, SpaceId};

/// Something that must not happen.
#[derive(Clone, Copy, Debug)]
pub enum Finding {
    /// A user mapping led to a frame that is not the page's, or no longer.
    StaleRead {
        /// The page that was read.
        page: u8,
        /// The process that read.
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
    /// Something is given back, or used again, that a CPU has not flushed.
    Unflushed(Violation),
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

/// Counts a finding and writes the first few out. The scenario ends with it, as what follows would be consequences: at
/// once where somebody has met them, and soon where the shadow is the first to know and pages are all that is at stake:
/// so that canaries are seen as well.
pub fn report(finding: Finding) {
    match finding {
        Finding::Unflushed(violation) if violation.kind != Kind::RootFreed => ending::stop_soon(),
        _ => ending::stop(),
    }
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
            window::address(page),
            found.frame,
            found.owner,
            found.page,
            found.epoch
        ),
        Finding::StaleWrite { frame, word, value } => say!(
            "@{{\"event\":\"finding\",\"what\":\"stale write\",\"cpu\":{},\"frame\":{frame},\"word\":{word},\"owner\":{}}}",
            value & 0xfff,
            value >> 12 & 0xfff
        ),
        Finding::WriteThroughProtection { page, was, is } => say!(
            "@{{\"event\":\"finding\",\"what\":\"write to a protected page\",\"cpu\":{},\"page\":\"{:#x}\",\"was\":\"{was:#x}\",\
             \"is\":\"{is:#x}\"}}",
            is & 0xfff,
            window::address(page)
        ),
        Finding::Unflushed(violation) => say!(
            "@{{\"event\":\"finding\",\"what\":\"missing flush\",\"cpu\":{},\"text\":\"{violation}\"}}",
            violation.cpu.number()
        ),
        Finding::LostFrames { count } => {
            say!("@{{\"event\":\"finding\",\"what\":\"frames lost\",\"count\":{count}}}");
        }
    }
}

/// Whether there is a shadow: counts of instructions are made without.
pub const WATCHES: bool = cfg!(not(feature = "unwatched"));

/// Tells a finding of the shadow.
#[derive(Debug)]
struct Tell;

impl Verdict for Tell {
    fn violated(&self, violation: &Violation) {
        report(Finding::Unflushed(*violation));
    }
}

/// The shadow.
static SANITIZER: Sanitizer<Tell, MAX_CPUS, 256> = Sanitizer::new(Tell);

/// The shadow, if there is one.
#[inline]
pub fn shadow() -> Option<&'static Sanitizer<impl Verdict, MAX_CPUS, 256>> {
    WATCHES.then_some(&SANITIZER)
}

/// Notes that translations were taken out of the page tables other than through a gather: of a space, or of kernel
/// memory.
pub fn removed(space: Option<SpaceId>, range: PageRange) -> u64 {
    let by = CpuId::new(arch::this_cpu() as u32);
    shadow().map_or(0, |shadow| shadow.removed(by, space, FlushRequest::pages(range)))
}

/// Checks whether a CPU can still use what was [`removed`] and is being freed.
pub fn reused(number: u64) {
    if let Some(shadow) = shadow() {
        shadow.released(number);
    }
}
