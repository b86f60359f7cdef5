//! The host's thread that moves the guest's memory: what a balloon, a merger of equal pages or a migration does.

use super::host::shootdown::flush::{Gather, PageRange, PageSize, VirtAddr};
use super::{Machine, Platform, Space};
use crate::findings::{Finding, Move};
use crate::frames::Frames;
use crate::shared::{End, Shared};
use crate::stage2::{Entry, PAGES, Stage2};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Most pages of one move.
const RUN: usize = 4;
/// Moves between two trims: CPUs that are outside guest code leave the mask, so that moves need not look at them.
const TRIM_EVERY: u32 = 8;
/// Instructions of the guest between two moves, so that it uses what has moved, whatever else the host's cores do.
const PACE: u64 = 8192;
/// How often the host looks whether they are done, and how often at most: a guest may have nothing to do.
const LOOK: Duration = Duration::from_micros(100);
const LOOKS: u32 = 20;

/// A frame that the guest has left: the neighbour gets it when this is dropped, which the gather does when no CPU can
/// use it.
struct Left<'a> {
    frames: &'a Frames,
    frame: u32,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.frames.hand_over(self.frame);
    }
}

type Leaving<'a> = Gather<'a, Platform, Left<'a>, RUN>;

/// Moves pages until the machine ends.
pub fn run(machine: &Machine, space: &Space<'_>, shared: &Shared, seed: u64) {
    let _me = machine.helper().expect("there is room for one helper");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut number = 0;
    while !shared.has_ended() {
        number += 1;
        let count = random.u32(1..=RUN as u32);
        let first = random.u32(0..=PAGES - count);
        move_pages(machine, space, shared, number, (first, count));
        if number % TRIM_EVERY == 0 {
            machine.trim(space);
        }
        if let Err(trampled) = shared.frames.take_back(Frames::neighbours_most()) {
            shared.end(End::Found(Finding::Trampled(trampled)));
        }
        let goal = shared.steps() + PACE;
        for _ in (0..LOOKS).take_while(|_| shared.steps() < goal && !shared.has_ended()) {
            std::thread::sleep(LOOK);
        }
    }
    if let Err(trampled) = shared.frames.take_back(0) {
        shared.end(End::Found(Finding::Trampled(trampled)));
    }
}

/// Moves `count` pages from page `first` on to other frames.
///
/// They are made read-only first, and that is flushed, so that the copy is whole. Guest code reads the old frames until
/// the second flush; then these are the neighbour's.
fn move_pages(
    machine: &Machine,
    space: &Space<'_>,
    shared: &Shared,
    number: u32,
    (first, count): (u32, u32),
) {
    let start = VirtAddr(Stage2::address_of(first));
    let range = PageRange::new(start, count.into(), PageSize::Size4K).expect("a few pages of guest memory");
    let pages = first..first + count;

    // Only this thread flushes the guest's memory, so the next generation is that of the next gather.
    let next = || Move { number, generation: space.generation().number() as u32 + 1 };

    let protecting = next();
    let mut protect: Leaving<'_> = machine.gather(space);
    for page in pages.clone() {
        let entry = shared.stage2.read(page);
        shared.stage2.replace(page, Entry { writable: false, ..entry });
        shared.leave(entry.frame, protecting);
    }
    protect.changed(range);
    protect.finish();

    let leaves = next();
    let mut leaving: Leaving<'_> = machine.gather(space);
    for page in pages {
        let old = shared.stage2.read(page).frame;
        shared.frames.seal(old);
        let (frame, epoch) = shared.frames.take(page).expect("the neighbour leaves some free");
        shared.frames.copy(old, frame);
        shared.stage2.replace(page, Entry { frame, epoch, writable: true });
        shared.leave(old, leaves);
        let gone = PageRange::page(VirtAddr(Stage2::address_of(page)));
        let left = Left { frames: &shared.frames, frame: old };
        leaving.unmapped(gone, left).expect("a gather has room for a move");
    }
    leaving.finish();
    shared.moves.fetch_add(count, Ordering::Relaxed);
}
