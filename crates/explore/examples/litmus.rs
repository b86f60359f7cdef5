//! Small programs that weak memory tells apart, each as it goes wrong and with what mends it.
//!
//! ```console
//! $ cargo run --release -p shootdown-explore --example litmus -- mp
//! ```

mod drawing;

use shootdown_explore::sync::{Word, demand, fence};
use shootdown_explore::{Memory, NoDevice, Options, Registry, Report, Scenario, explore};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// What a program works on, all 0 at the start.
struct Memories {
    x: Word,
    y: Word,
    /// How many CPUs have read what they must not all read, or have finished.
    count: Word,
}

impl Memories {
    /// Counts; nobody may have counted before.
    fn only_one(&self, what: &str) {
        demand(self.count.fetch_add(1, Relaxed) == 0, what);
    }
}

/// A program: its name, what each CPU runs, and that again where it is mended.
struct Litmus {
    name: &'static str,
    broken: &'static [fn(&Memories)],
    mended: &'static [fn(&Memories)],
}

const ALL: [Litmus; 5] = [
    Litmus {
        name: "sb",
        broken: &[
            |m| store_then_read((&m.x, &m.y), || fence(AcqRel), m),
            |m| store_then_read((&m.y, &m.x), || fence(AcqRel), m),
        ],
        mended: &[
            |m| store_then_read((&m.x, &m.y), || fence(SeqCst), m),
            |m| store_then_read((&m.y, &m.x), || fence(SeqCst), m),
        ],
    },
    Litmus {
        name: "mp",
        broken: &[
            |m| {
                m.x.store(1, Relaxed);
                m.y.store(1, Release);
            },
            |m| {
                if m.y.load(Relaxed) == 1 {
                    demand(m.x.load(Relaxed) == 1, "the flag is new and the data is old");
                }
            },
        ],
        mended: &[
            |m| {
                m.x.store(1, Relaxed);
                m.y.store(1, Release);
            },
            |m| {
                if m.y.load(Acquire) == 1 {
                    demand(m.x.load(Relaxed) == 1, "the flag is new and the data is old");
                }
            },
        ],
    },
    Litmus {
        name: "iriw",
        broken: &[
            |m| m.x.store(1, Release),
            |m| m.y.store(1, Release),
            |m| one_then_other((&m.x, &m.y), || (), m),
            |m| one_then_other((&m.y, &m.x), || (), m),
        ],
        mended: &[
            |m| m.x.store(1, Release),
            |m| m.y.store(1, Release),
            |m| one_then_other((&m.x, &m.y), || fence(SeqCst), m),
            |m| one_then_other((&m.y, &m.x), || fence(SeqCst), m),
        ],
    },
    Litmus {
        name: "2+2w",
        broken: &[|m| one_and_two((&m.x, &m.y), || (), m), |m| one_and_two((&m.y, &m.x), || (), m)],
        mended: &[
            |m| one_and_two((&m.x, &m.y), || fence(SeqCst), m),
            |m| one_and_two((&m.y, &m.x), || fence(SeqCst), m),
        ],
    },
    Litmus {
        name: "release-sequence",
        broken: &[
            |m| {
                m.x.store(1, Relaxed);
                m.y.store(1, Release);
                m.y.store(2, Relaxed);
            },
            |m| needs_data_at_two(m),
        ],
        mended: &[
            |m| {
                m.x.store(1, Relaxed);
                m.y.store(1, Release);
                m.y.fetch_add(1, Relaxed);
            },
            |m| needs_data_at_two(m),
        ],
    },
];

fn store_then_read((mine, other): (&Word, &Word), between: fn(), m: &Memories) {
    mine.store(1, Relaxed);
    between();
    if other.load(Relaxed) == 0 {
        m.only_one("both have read 0");
    }
}

fn one_then_other((first, second): (&Word, &Word), between: fn(), m: &Memories) {
    if first.load(Acquire) == 1 {
        between();
        if second.load(Acquire) == 0 {
            m.only_one("the readers disagree about which store came first");
        }
    }
}

fn one_and_two((first, second): (&Word, &Word), between: fn(), m: &Memories) {
    first.store(1, Relaxed);
    between();
    second.store(2, Relaxed);
    if m.count.fetch_add(1, AcqRel) == 1 {
        let last = (m.x.load(Relaxed), m.y.load(Relaxed));
        demand(last != (1, 1), "each CPU's first store came after the other's second");
    }
}

fn needs_data_at_two(m: &Memories) {
    if m.y.load(Acquire) == 2 {
        demand(m.x.load(Relaxed) == 1, "the flag is new and the data is old");
    }
}

struct Program {
    memories: Memories,
    cpus: &'static [fn(&Memories)],
}

impl Scenario for Program {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        self.cpus.len()
    }
    fn main(&self, cpu: usize) {
        self.cpus[cpu](&self.memories);
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, _: &mut Registry) {}
}

fn check(cpus: &'static [fn(&Memories)]) -> Report {
    let memories = Memories { x: Word::new("x", 0), y: Word::new("y", 0), count: Word::new("count", 0) };
    explore(&Program { memories, cpus }, &Options { memory: Memory::Weak, ..Options::default() })
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let names = ALL.map(|litmus| litmus.name);
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        eprintln!("no litmus test {unknown}; there are {}", names.join(", "));
        std::process::exit(2);
    }
    for litmus in
        ALL.iter().filter(|litmus| wanted.is_empty() || wanted.iter().any(|name| name == litmus.name))
    {
        drawing::show(litmus.name, litmus.broken.len(), &check(litmus.broken));
        drawing::show(&format!("{}, mended", litmus.name), litmus.mended.len(), &check(litmus.mended));
    }
}

#[test]
fn each_goes_wrong_and_is_mended() {
    use shootdown_explore::Verdict;
    for litmus in ALL {
        assert!(matches!(check(litmus.broken).verdict, Verdict::Violates(_)), "{}", litmus.name);
        assert_eq!(check(litmus.mended).verdict, Verdict::Holds, "{}", litmus.name);
    }
}
