//! A large machine for a long time: 1,024 spaces on 64 CPUs, most of them shared, some that live for a moment.
//!
//! A million operations by default. `SHOOTDOWN_HARD_OPERATIONS=10000000 cargo test --release -p shootdown-bench --test
//! hard` runs ten times as many.

use shootdown_bench::machine::{CpuCount, Op, Outcome, PageTables, Pages, Source, run};
use shootdown_bench::policy::{PolicyKind, policy};
use std::collections::VecDeque;

const CPUS: u32 = 64;
/// Spaces that live from the beginning to the end, shared by all CPUs.
const SHARED: u32 = 768;
/// Spaces that live for a moment, again and again.
const SHORT: u32 = 256;
const PAGES: u64 = 64;
/// Cycles from one operation to the next, of whichever CPU: each CPU gets one in about 12,800.
const PACE: u64 = 200;
/// Operations that are planned at once.
const BATCH: usize = 4096;

/// How many operations.
fn operations() -> u64 {
    let set = std::env::var("SHOOTDOWN_HARD_OPERATIONS").ok();
    set.map_or(1_000_000, |text| text.parse().expect("SHOOTDOWN_HARD_OPERATIONS is a number"))
}

/// What was planned, to be compared with what was counted.
#[derive(Debug, Default, PartialEq)]
struct Planned {
    operations: u64,
    flushes: u64,
    lifetimes: u64,
}

/// Plans operations, in the order in which they could also run one after the other: then none waits for ever.
struct Plan {
    random: u64,
    left: u64,
    now: u64,
    /// What each CPU runs: a shared space in a program, or a kernel thread.
    runs: Vec<Option<u32>>,
    ready: VecDeque<(u32, Op)>,
    planned: Planned,
}

impl Plan {
    fn new(operations: u64) -> Self {
        let mut plan = Self {
            random: 0x5eed,
            left: operations,
            now: 0,
            runs: vec![None; CPUS as usize],
            ready: VecDeque::new(),
            planned: Planned::default(),
        };
        // CPU 0 makes the shared spaces; nobody begins before.
        (0..SHARED).for_each(|space| plan.push(0, Op::Create(space)));
        (1..CPUS).for_each(|_| plan.push(0, Op::Post(0)));
        (1..CPUS).for_each(|cpu| plan.push(cpu, Op::Take(0)));
        plan
    }

    /// A number below `bound` (splitmix64).
    fn random(&mut self, bound: u32) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % u64::from(bound)) as u32
    }

    fn pages(&mut self) -> Pages {
        let first = u64::from(self.random(PAGES as u32));
        Pages { first, count: 1 + u64::from(self.random(4)) }
    }

    fn push(&mut self, cpu: u32, op: Op) {
        self.planned.operations += 1;
        match op {
            Op::Unmap(..) | Op::Protect(_) | Op::Flush(..) => self.planned.flushes += 1,
            Op::Create(_) => self.planned.lifetimes += 1,
            // An exit flushes what is left, and ends a life.
            Op::Exit(_) => {
                self.planned.flushes += 1;
                self.planned.lifetimes += 1;
            }
            _ => {}
        }
        self.ready.push_back((cpu, op));
    }

    /// A space of which few are used by many CPUs, and many by few.
    fn shared(&mut self) -> u32 {
        let most = 1 << self.random(10);
        self.random(most).min(SHARED - 1)
    }

    fn act(&mut self) {
        let cpu = self.random(CPUS);
        let pages = self.pages();
        match (self.random(100), self.runs[cpu as usize]) {
            (0..20, _) => {
                let space = self.shared();
                self.push(cpu, Op::Switch(space));
                self.runs[cpu as usize] = Some(space);
            }
            (20..30, _) => {
                let idle = self.random(2) == 0;
                self.push(cpu, Op::Lazy(idle));
                self.runs[cpu as usize] = None;
            }
            (30..35, None) => {
                let space = self.shared();
                self.push(cpu, Op::Borrow(space));
                self.push(cpu, Op::Touch(pages));
                self.push(cpu, Op::Unborrow);
            }
            (35..60, Some(_)) => self.push(cpu, Op::Touch(pages)),
            (60..75, Some(_)) => self.push(cpu, Op::Unmap(pages, PageTables::Kept)),
            (75..80, Some(_)) => self.push(cpu, Op::Unmap(pages, PageTables::Freed)),
            (80..88, Some(_)) => self.push(cpu, Op::Protect(pages)),
            (88..92, _) => {
                let space = self.shared();
                self.push(cpu, Op::Flush(space, pages, PageTables::Kept));
            }
            (92..94, _) => self.short_life(cpu),
            (_, _) => self.push(cpu, Op::Compute(2_000)),
        }
    }

    /// A space is made, used, borrowed by another CPU, which stays lazy on it, and ends under that CPU.
    fn short_life(&mut self, cpu: u32) {
        let peer = (cpu + 1 + self.random(CPUS - 1)) % CPUS;
        // One CPU at a time has a given space of this kind.
        let space = SHARED + cpu * (SHORT / CPUS) + self.random(SHORT / CPUS);
        let (there, back) = (1 + cpu, 1 + CPUS + cpu);
        let pages = self.pages();
        self.push(cpu, Op::Create(space));
        self.push(cpu, Op::Switch(space));
        self.push(cpu, Op::Touch(pages));
        self.push(peer, Op::Lazy(false));
        self.push(cpu, Op::Post(there));
        self.push(peer, Op::Take(there));
        self.push(peer, Op::Borrow(space));
        self.push(peer, Op::Touch(pages));
        self.push(cpu, Op::Unmap(pages, PageTables::Kept));
        self.push(peer, Op::Unborrow);
        self.push(peer, Op::Post(back));
        self.push(cpu, Op::Take(back));
        self.push(cpu, Op::Exit(space));
        self.runs[cpu as usize] = None;
        self.runs[peer as usize] = None;
    }
}

impl Iterator for &mut Plan {
    type Item = (u64, u32, Op);

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.len() < BATCH && self.planned.operations < self.left {
            self.act();
        }
        let (cpu, op) = self.ready.pop_front()?;
        self.now += PACE;
        Some((self.now, cpu, op))
    }
}

fn run_under(kind: PolicyKind, operations: u64) -> (Outcome, Planned) {
    let mut plan = Plan::new(operations);
    let cpus = CpuCount::new(CPUS as usize).expect("a number of CPUs");
    let outcome = run(cpus, policy(kind, CPUS, true), Source::Stream(Box::new(&mut plan)));
    (outcome, plan.planned)
}

#[test]
fn a_thousand_spaces_on_sixty_four_cpus_lose_nothing_free_nothing_early_and_end_every_wait() {
    for kind in [PolicyKind::Shootdown, PolicyKind::ShootdownExact] {
        let begin = std::time::Instant::now();
        let (Outcome { totals, stuck }, planned) = run_under(kind, operations());
        println!("{}: {planned:?} in {:.1} s: {totals:?}", kind.name(), begin.elapsed().as_secs_f64());
        assert_eq!(stuck, 0, "{}: every wait ends", kind.name());
        assert_eq!(totals.violations, 0, "{}: no frame is given back early", kind.name());
        assert_eq!(totals.flush.operations, planned.flushes, "{}: no flush is lost", kind.name());
        assert_eq!(totals.lifetime.operations, planned.lifetimes, "{}: no life is lost", kind.name());
        assert_eq!(totals.sent, totals.delivered, "{}: no IPI is lost", kind.name());
        assert!(
            totals.sent > 0 && totals.merged > 0 && totals.full_flushes > 0,
            "{}: {totals:?}",
            kind.name()
        );
    }
}

#[test]
fn the_same_machine_without_ipis_frees_frames_early() {
    let (outcome, _) = run_under(PolicyKind::None, 100_000);
    assert!(outcome.totals.violations > 1_000, "{outcome:?}");
}
