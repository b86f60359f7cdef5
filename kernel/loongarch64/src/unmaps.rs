//! One core unmaps pages, and gives the frames to another owner, who writes to them. The other core reads them.

use crate::console::say;
use crate::machine::{self, CORES, Kernel, Once};
use crate::memory::{self, PAGES, SPACES, TURNS, address};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use shootdown::flush::{FlushRequest, PageRange};
use shootdown::mask::CpuMask;
use shootdown::refs::UserRef;
use shootdown::{AddressSpace, CpuId, Platform, Shootdown};

/// How often at least a page is unmapped and mapped anew, and pages are read meanwhile: the host may give either core
/// no time.
const REMAPS: u64 = 4_000;
const LEAST_READS: u64 = 200_000;
/// The first core loads a space for each so many.
const SWITCH_EVERY: u64 = 4;
/// How long a frame belongs to the other owner, in turns of a loop.
const ELSEWHERE: u32 = 200;
/// Reads of each page before the reader goes on to another space.
const ROUNDS: usize = 16;
const SOMEBODY_ELSES: u64 = u64::MAX;

static OBJECTS: [Once<AddressSpace<Kernel>>; SPACES] = [const { Once::new() }; SPACES];
static USERS: Once<[UserRef<'static, Kernel>; SPACES]> = Once::new();
static RUNNING: AtomicBool = AtomicBool::new(true);
/// Cores that read, and those that have ended.
static READERS: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);
static READS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);
static STALE: AtomicU64 = AtomicU64::new(0);

/// Starts the other core, unmaps, reports, and says whether all reads met what they must.
///
/// # Panics
/// A space is refused.
pub fn run(kernel: &'static Shootdown<Kernel>) -> bool {
    remove_rule();
    let users = USERS.make(|| core::array::from_fn(|space| new_space(kernel, space)));
    machine::start_other();
    wait_for(&READERS);
    let mut random = Random(1);
    let mut turns = [[0; PAGES]; SPACES];
    for remaps in 0.. {
        if remaps >= REMAPS && reads() >= LEAST_READS {
            break;
        }
        let (space, page) = (random.below(SPACES), random.below(PAGES));
        if remaps % SWITCH_EVERY == 0 {
            kernel.switch_to(&users[space]);
        }
        remap(kernel, space, page, &mut turns[space][page]);
        if remaps % SWITCH_EVERY == 0 {
            read_pages(space);
        }
    }
    RUNNING.store(false, Ordering::Release);
    wait_for(&ENDED);
    report(kernel)
}

/// What the other core does.
pub fn read() -> ! {
    let kernel = machine::engine();
    machine::online();
    READERS.fetch_add(1, Ordering::Release);
    let mut random = Random(2);
    while RUNNING.load(Ordering::Acquire) {
        let space = random.below(SPACES);
        kernel.switch_to(&USERS.get()[space]);
        for _ in 0..ROUNDS {
            read_pages(space);
        }
        if random.below(4) == 0 {
            kernel.enter_lazy();
        }
    }
    kernel.enter_lazy();
    kernel.leave();
    ENDED.fetch_add(1, Ordering::Release);
    loop {
        spin_loop();
    }
}

fn new_space(kernel: &'static Shootdown<Kernel>, space: usize) -> UserRef<'static, Kernel> {
    for page in 0..PAGES {
        memory::fill(space, page, 0, canary(space, page));
        memory::map(space, page, 0);
    }
    let new = || kernel.new_space(memory::root(space), CpuMask::new()).expect("a mask of the machine's size");
    let Ok(user) = kernel.register(OBJECTS[space].make(new)) else {
        panic!("a new space is registered once")
    };
    user
}

/// Unmaps a page, gives its frame to the other owner, and maps another.
fn remap(kernel: &Shootdown<Kernel>, space: usize, page: usize, turn: &mut usize) {
    memory::unmap(space, page);
    kernel.flush(&USERS.get()[space], FlushRequest::pages(PageRange::page(address(space, page))));
    memory::fill(space, page, *turn, SOMEBODY_ELSES);
    (0..ELSEWHERE).for_each(|_| spin_loop());
    *turn = (*turn + 1) % TURNS;
    memory::fill(space, page, *turn, canary(space, page));
    memory::map(space, page, *turn);
}

/// Reads the pages of the space that is loaded.
fn read_pages(space: usize) {
    for page in 0..PAGES {
        let counter = match memory::load(address(space, page)) {
            None => &FAULTS,
            Some(found) if found == canary(space, page) => &READS,
            Some(_) => &STALE,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn report(kernel: &Shootdown<Kernel>) -> bool {
    let [faults, stale] = [&FAULTS, &STALE].map(|count| count.load(Ordering::Relaxed));
    let counters = |core| kernel.platform().local(CpuId::new(core)).counters();
    let ipis: u64 = (0..CORES as u32).map(|core| counters(core).ipis_sent()).sum();
    say!(
        "@{{\"event\":\"contexts\",\"reads\":{},\"faults\":{faults},\"ipis\":{ipis},\"stale\":{stale}}}",
        reads()
    );
    stale == 0 && ipis > 0
}

/// Reads that met a page, the right one or not.
fn reads() -> u64 {
    READS.load(Ordering::Relaxed) + STALE.load(Ordering::Relaxed)
}

/// What a frame says whose it is.
fn canary(space: usize, page: usize) -> u64 {
    (space as u64) << 8 | page as u64
}

fn wait_for(count: &AtomicUsize) {
    while count.load(Ordering::Acquire) < CORES - 1 {
        spin_loop();
    }
}

/// Numbers in an order that is always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % end
    }
}

/// Takes the rule named when this was built out of the engine.
fn remove_rule() {
    #[cfg(shootdown_break)]
    if let Some(rule) = option_env!("SHOOTDOWN_BREAK") {
        let number = rule.parse().ok().and_then(shootdown::fault::rule);
        shootdown::fault::inject(number.expect("rules are 1 to 21"));
    }
}
