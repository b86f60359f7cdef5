//! More spaces than contexts: they run out again and again, and the TLB holds another space's entries under a number.

use crate::console::say;
use crate::machine::{Kernel, Once};
use crate::memory::{self, PAGES, TURNS};
use shootdown::flush::{FlushRequest, PageRange};
use shootdown::mask::CpuMask;
use shootdown::refs::UserRef;
use shootdown::{AddressSpace, Shootdown};

/// Spaces; the last one of the memory is for when none is loaded.
const SPACES: usize = memory::SPACES - 1;
const CYCLES: u64 = 200_000;
/// Remaps in a row, now and then.
const MANY: usize = 24;
/// Findings that are written out.
const WRITTEN: u64 = 3;

static OBJECTS: [Once<AddressSpace<Kernel>>; SPACES] = [const { Once::new() }; SPACES];

/// A space, and how often each of its pages was mapped anew.
struct Process {
    user: UserRef<'static, Kernel>,
    epochs: [u64; PAGES],
}

/// Runs, reports, and says whether all reads met what they must.
///
/// # Panics
/// A space is refused.
pub fn run(kernel: &'static Shootdown<Kernel>) -> bool {
    remove_rule();
    let mut processes: [Process; SPACES] = core::array::from_fn(|space| {
        let new =
            || kernel.new_space(memory::root(space), CpuMask::new()).expect("a mask of the machine's size");
        let Ok(user) = kernel.register(OBJECTS[space].make(new)) else {
            panic!("a new space is registered once")
        };
        (0..PAGES).for_each(|page| memory::map(space, page, 0, canary(space, page, 0)));
        Process { user, epochs: [0; PAGES] }
    });
    let (mut random, mut stale, mut reads) = (1_u64, 0, 0);
    let mut below = |end: usize| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (random >> 33) as usize % end
    };
    for _ in 0..CYCLES {
        let space = below(SPACES);
        kernel.switch_to(&processes[space].user);
        for page in 0..PAGES {
            let expected = canary(space, page, processes[space].epochs[page]);
            reads += 1;
            if let Some(found) = memory::load(page).filter(|&found| found != expected) {
                stale += 1;
                if stale <= WRITTEN {
                    tell(space, page, found);
                }
            }
        }
        // Pages of this space or of another change, at times more than the engine remembers: who is not loaded must flush
        // them when it comes back.
        let target = if below(2) == 0 { space } else { below(SPACES) };
        let times = if below(32) == 0 { MANY } else { 1 };
        for _ in 0..times {
            remap(kernel, target, &mut processes[target], below(PAGES));
        }
    }
    kernel.enter_lazy();
    kernel.leave();
    // They live as long as the machine.
    processes.into_iter().for_each(|process| {
        let _ = process.user.into_handle();
    });
    let rollovers = kernel.platform().rollovers();
    say!(
        "@{{\"event\":\"contexts\",\"cycles\":{CYCLES},\"reads\":{reads},\"rollovers\":{rollovers},\"stale\":{stale}}}"
    );
    stale == 0 && rollovers > 0
}

/// Maps a page to its other frame; the first one belongs to another owner once the flush has returned.
fn remap(kernel: &Shootdown<Kernel>, space: usize, process: &mut Process, page: usize) {
    let old = process.epochs[page];
    let turn = |epoch: u64| epoch as usize % TURNS;
    process.epochs[page] = old + 1;
    memory::map(space, page, turn(old + 1), canary(space, page, old + 1));
    let pages = FlushRequest::pages(PageRange::page(memory::address(page)));
    kernel.flush(&process.user, pages);
    memory::poison(space, page, turn(old));
}

/// What a frame says whose it is.
fn canary(space: usize, page: usize, epoch: u64) -> u64 {
    (space as u64) << 48 | (page as u64) << 40 | epoch
}

fn tell(space: usize, page: usize, found: u64) {
    say!(
        "@{{\"event\":\"finding\",\"what\":\"stale read\",\"space\":{space},\"page\":{page},\"found\":\"{found:#x}\"}}"
    );
}

/// Takes the rule named when this was built out of the engine.
fn remove_rule() {
    #[cfg(shootdown_break)]
    if let Some(rule) = option_env!("SHOOTDOWN_BREAK") {
        let number = rule.parse().ok().and_then(shootdown::fault::rule);
        shootdown::fault::inject(number.expect("rules are 1 to 14"));
    }
}
