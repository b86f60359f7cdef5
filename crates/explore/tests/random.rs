//! Random small programs: reductions and workers must not change what is reached.

use crate::common::{MODELS, plain, reduced};
use shootdown_explore::sync::{
    Word, choose, device, fence, irq_enabled, irq_restore, irq_save, lose_interrupts, raise, retire, retry,
    wait_until,
};
use shootdown_explore::{
    Commutes, Device, Effect, Facts, Interrupts, Memory, Options, Reductions, Registry, Report, Scenario,
    Verdict, View, Violation, explore,
};
use std::cell::Cell;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

#[derive(Clone, Copy, Debug)]
enum Ins {
    Load(usize),
    Store(usize, u64, Ordering),
    StoreSeen(usize),
    Add(usize, Ordering),
    Cas(usize, u64, u64, Ordering),
    Fence(Ordering),
    Save,
    Restore,
    On,
    Enabled,
    Raise(usize, u8),
    Lose(u32),
    Wait(usize, u64),
    WaitEither(usize, usize),
    Retry(usize),
    Choose,
    SkipIf(u64, usize),
    Retire(usize),
    Device(u64),
}

struct Random {
    objects: [Object; 2],
    mains: Vec<Vec<Ins>>,
    handlers: Vec<Vec<Ins>>,
    pending: Vec<u32>,
    non_maskable: u32,
    watched: usize,
    symmetric: bool,
    /// For weak memory: no sequentially consistent accesses, loads that acquire, interrupts that carry views or not.
    weak: Option<Interrupts>,
    oracle: Oracle,
}

struct Object {
    words: [Word; 2],
}

/// Device operations: 1 always commutes, 2 with interrupts masked, the others never. 0 remembers a watched word, 1
/// leaves a bit, 2 counts, 3 waits for what 0 remembered, 4 says what this CPU's hardware has read so far, and forgets
/// it.
struct Oracle {
    watched: usize,
}

impl Device for Oracle {
    /// What operation 0 saw, bits that operation 1 left.
    type Shared = (u64, u8);
    /// What this CPU's hardware could read, and a counter that code and handlers share.
    type Local = (u16, u8);
    fn reset(&self, cpus: usize) -> ((u64, u8), Vec<(u16, u8)>) {
        ((0, 0), vec![(0, 0); cpus])
    }
    fn step(&self, view: &mut View<'_, Self>, cpu: usize, op: u64) -> Effect {
        match op {
            0 => {
                if self.watched > 0 {
                    view.shared.0 = view.memory(0);
                }
                Effect::Done(view.shared.0)
            }
            1 => {
                view.shared.1 |= 1 << cpu;
                Effect::Done(0)
            }
            2 => {
                let counter = &mut view.locals[cpu].1;
                *counter = (*counter + 1) % 4;
                Effect::Done((*counter).into())
            }
            4 => Effect::Done(std::mem::take(&mut view.locals[cpu].0).into()),
            _ => {
                if view.shared.0 == 0 {
                    Effect::Blocked
                } else {
                    Effect::Done(view.shared.0)
                }
            }
        }
    }
    fn settle(&self, view: &mut View<'_, Self>) -> Result<(), Violation> {
        for cpu in 0..view.locals.len() {
            let mut seen = 0;
            for index in 0..self.watched {
                view.readable(cpu, index, |value| seen |= 1 << (value % 8 + 8 * index as u64 % 16));
            }
            view.locals[cpu].0 |= seen;
        }
        Ok(())
    }
    fn facts(&self, op: u64) -> Facts {
        let commutes = match op {
            1 => Commutes::Always,
            2 => Commutes::Masked,
            _ => Commutes::Never,
        };
        Facts {
            drains_tso: op == 0 || op == 3,
            drains_pso: op == 3,
            fences: op == 3,
            reaches_walks: op == 3,
            commutes,
            ..Facts::default()
        }
    }
}

impl Random {
    fn word(&self, index: usize) -> &Word {
        &self.objects[index / 2 % 2].words[index % 2]
    }

    /// The ordering of an access.
    fn order(&self, order: Ordering, instead: Ordering) -> Ordering {
        if self.weak.is_some() && order == SeqCst { instead } else { order }
    }

    fn execute(&self, program: &[Ins]) {
        let (mut seen, mut saved, mut at) = (0, None, 0);
        while at < program.len() {
            let ins = program[at];
            at += 1;
            match ins {
                Ins::Load(x) if self.weak.is_some() && at % 2 == 0 => seen = self.word(x).load(Acquire),
                Ins::Load(x) => seen = self.word(x).load(Relaxed),
                Ins::Store(x, value, order) => self.word(x).store(value, self.order(order, Release)),
                Ins::StoreSeen(x) => self.word(x).store((seen + 1) & 3, Relaxed),
                Ins::Add(x, order) => seen = self.word(x).fetch_add(1, self.order(order, AcqRel)),
                Ins::Cas(x, old, new, order) => {
                    let order = self.order(order, AcqRel);
                    seen =
                        self.word(x).compare_exchange(old, new, order, Relaxed).unwrap_or_else(|found| found);
                }
                Ins::Fence(order) => fence(order),
                Ins::Save => saved = Some(irq_save()),
                Ins::Restore => {
                    if let Some(on) = saved.take() {
                        irq_restore(on);
                    }
                }
                Ins::On => irq_restore(true),
                Ins::Enabled => seen = irq_enabled().into(),
                Ins::Raise(cpu, line) => raise(cpu, line),
                Ins::Lose(lines) => lose_interrupts(lines),
                Ins::Wait(x, value) => wait_until(|| self.word(x).load(Acquire) >= value),
                Ins::WaitEither(x, y) => {
                    wait_until(|| self.word(x).load(Relaxed) != 0 || self.word(y).load(Relaxed) != 0);
                }
                Ins::Retry(x) => {
                    seen = retry(|| {
                        let old = self.word(x).load(Relaxed);
                        if old > 2 {
                            Some(old)
                        } else {
                            self.word(x).compare_exchange(old, old + 1, AcqRel, Relaxed).ok()
                        }
                    });
                }
                Ins::Choose => seen = choose(2).into(),
                Ins::SkipIf(value, by) => at += if seen == value { by } else { 0 },
                Ins::Retire(object) => retire(&self.objects[object]),
                Ins::Device(op) => seen = device(op),
            }
        }
    }
}

impl Scenario for Random {
    type Device = Oracle;
    fn cpus(&self) -> usize {
        self.mains.len()
    }
    fn main(&self, cpu: usize) {
        self.execute(&self.mains[cpu]);
    }
    fn interrupt(&self, _: usize, line: u8) {
        self.execute(&self.handlers[usize::from(line)]);
    }
    fn device(&self) -> &Oracle {
        &self.oracle
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("A", &self.objects[0]);
        registry.local(0, "B", &self.objects[1]);
        for index in 0..self.watched {
            registry.watch(self.word(index));
        }
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        self.pending[cpu]
    }
    fn non_maskable(&self) -> u32 {
        self.non_maskable
    }
    fn interrupts(&self) -> Interrupts {
        self.weak.unwrap_or(Interrupts::Overtake)
    }
    fn symmetric(&self) -> Vec<Vec<usize>> {
        if self.symmetric { vec![(0..self.mains.len()).collect()] } else { Vec::new() }
    }
}

struct Dice(Cell<u64>);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 11) % sides
    }

    fn order(&self) -> Ordering {
        [Relaxed, Relaxed, Release, SeqCst][self.roll(4) as usize]
    }

    fn rmw_order(&self) -> Ordering {
        [Relaxed, Acquire, Release, AcqRel, SeqCst][self.roll(5) as usize]
    }

    fn ins(&self, cpus: u64, words: u64, theme: u64) -> Ins {
        let x = || self.roll(words) as usize;
        // Half of the instructions belong to the scenario's theme.
        let kind = match (self.roll(2), theme) {
            (0, 1) => [18, 20, 22, 23, 24, 29, 33, 35, 36][self.roll(9) as usize],
            (0, 2) => [6, 7, 26, 27, 27, 28][self.roll(6) as usize],
            (0, 3) => [6, 7, 13, 33, 33, 33][self.roll(6) as usize],
            (0, 4) => [6, 16, 17, 32, 32, 0][self.roll(6) as usize],
            _ => self.roll(37),
        };
        match kind {
            0..=5 => Ins::Load(x()),
            6..=11 => Ins::Store(x(), 1 + self.roll(3), self.order()),
            12 => Ins::StoreSeen(x()),
            13..=14 => Ins::Add(x(), self.rmw_order()),
            15 => Ins::Cas(x(), self.roll(2), 2, self.rmw_order()),
            16..=17 => Ins::Fence([Acquire, Release, AcqRel, SeqCst][self.roll(4) as usize]),
            18..=19 => Ins::Save,
            20..=21 => Ins::Restore,
            22 => Ins::Enabled,
            23..=25 => Ins::Raise(self.roll(cpus) as usize, self.roll(2) as u8),
            26 => Ins::Wait(x(), 1 + self.roll(2)),
            27 => Ins::WaitEither(x(), x()),
            28 => Ins::Retry(x()),
            29 => Ins::Choose,
            30 => Ins::SkipIf(self.roll(2), 1 + self.roll(2) as usize),
            32 if theme == 4 || self.roll(6) == 0 => Ins::Retire(self.roll(2) as usize),
            33 => Ins::Device(self.roll(5)),
            34..=35 => Ins::On,
            36 => Ins::Lose(1 + self.roll(3) as u32),
            _ => Ins::Load(x()),
        }
    }

    /// `line`: the handler of which line it is, if one.
    fn program(&self, most: u64, (cpus, words, theme): (u64, u64, u64), line: Option<u8>) -> Vec<Ins> {
        let mut raised = 0;
        let mut one = || loop {
            let ins = self.ins(cpus, words, theme);
            match ins {
                // Handlers that raise themselves or each other could go on for ever; line 1 may raise line 0.
                Ins::Raise(_, to) if raised == 2 || line.is_some_and(|line| line <= to) => {}
                Ins::Wait(..) | Ins::WaitEither(..) if line.is_some() && self.roll(4) != 0 => {}
                _ => {
                    raised += u64::from(matches!(ins, Ins::Raise(..)));
                    return ins;
                }
            }
        };
        (0..1 + self.roll(most)).map(|_| one()).collect()
    }

    fn scenario(&self) -> Random {
        let cpus = 2 + u64::from(self.roll(4) == 0);
        let words = 2 + self.roll(3);
        let most = if cpus == 2 { 5 } else { 3 };
        let watched = [0, 0, 1, 2][self.roll(4) as usize];
        let word = |name| Word::new(name, 0);
        let kind = (cpus, words, self.roll(5));
        let mut random = Random {
            objects: [(); 2].map(|()| Object { words: [word("x"), word("y")] }),
            mains: (0..cpus).map(|_| self.program(most, kind, None)).collect(),
            handlers: (0..2).map(|line| self.program(2, kind, Some(line))).collect(),
            pending: (0..cpus).map(|_| [0, 0, 0, 1, 2, 3][self.roll(6) as usize]).collect(),
            non_maskable: if self.roll(5) == 0 { 2 } else { 0 },
            watched,
            symmetric: self.roll(8) == 0,
            weak: None,
            oracle: Oracle { watched },
        };
        if random.symmetric {
            random.make_symmetric();
        }
        random
    }
}

impl Random {
    /// All CPUs run what the first one runs, without steps that single a CPU out.
    fn make_symmetric(&mut self) {
        let named = |ins: &mut Ins| {
            if matches!(ins, Ins::Raise(..) | Ins::Device(0..=1)) {
                *ins = Ins::Add(0, AcqRel);
            }
        };
        self.mains[0].iter_mut().for_each(named);
        self.handlers.iter_mut().flatten().for_each(named);
        let (main, pending) = (self.mains[0].clone(), self.pending[0]);
        self.mains.fill(main);
        self.pending.fill(pending);
    }
}

/// Which kind of verdict, without the words.
fn kind(report: &Report) -> &'static str {
    match &report.verdict {
        Verdict::Holds => "holds",
        Verdict::Violates(_) => "violates",
        Verdict::Deadlock(_) => "deadlock",
        Verdict::Livelock(_) => "livelock",
        Verdict::Panics(text) | Verdict::Misuses(text) | Verdict::Stopped(text) | Verdict::Unproved(text) => {
            panic!("{text}")
        }
    }
}

fn compare(seed: u64, memory: Memory, workers: bool) -> (u64, u64) {
    // Objects lie at the same place in both runs: one scenario serves both.
    let dice = Dice(Cell::new(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0xd134_2543_de82_ef95)));
    let mut scenario = dice.scenario();
    let interrupts = [Interrupts::Overtake, Interrupts::Follow][seed as usize % 2];
    scenario.weak = (memory == Memory::Weak).then_some(interrupts);
    let quick = |options: Options<'static>| Options { shortest: false, max_states: 4_000, ..options };
    let full = explore(&scenario, &quick(plain(memory)));
    if matches!(full.verdict, Verdict::Stopped(_)) {
        return (0, 0);
    }
    let less = explore(&scenario, &quick(reduced(memory)));
    let context = || {
        format!(
            "seed {seed} {memory:?}: {:?} {:?} nmi {}",
            scenario.mains, scenario.handlers, scenario.non_maskable
        )
    };
    assert_eq!(kind(&full), kind(&less), "{}", context());
    if let ("holds" | "deadlock" | "livelock", Some(full), Some(less)) =
        (kind(&full), &full.reached, &less.reached)
    {
        let difference = (
            full.locals.difference(&less.locals).count(),
            less.locals.difference(&full.locals).count(),
            full.finals.difference(&less.finals).count(),
            less.finals.difference(&full.finals).count(),
        );
        assert_eq!(difference, (0, 0, 0, 0), "{}", context());
    }
    let whole = plain(memory);
    let reductions = Reductions { merge: false, ..whole.reductions };
    let whole = explore(&scenario, &quick(Options { reductions, ..whole }));
    if !matches!(whole.verdict, Verdict::Stopped(_)) {
        let finals = |report: &Report| report.reached.as_ref().map(|reached| reached.finals.clone());
        assert_eq!(kind(&whole), kind(&full), "{}", context());
        assert_eq!(finals(&whole), finals(&full), "{}", context());
    }
    if workers {
        let both = explore(&scenario, &Options { workers: 2, ..quick(reduced(memory)) });
        assert_eq!((less.states, less.transitions), (both.states, both.transitions), "{}", context());
        assert_eq!(less.reached, both.reached, "{}", context());
    }
    (full.states, less.states)
}

/// Programs that are compared. When `xtask/mutants/explorer` had 50 mistakes, the first 600 noticed 24 of them, the
/// last by the 338th; the variable `COUNT` asks for more programs, and `SEED` for others.
const PROGRAMS: u64 = 3_000;

#[test]
fn reductions_reach_what_full_exploration_reaches() {
    let (mut full, mut less) = (0, 0);
    let from = std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    let count = std::env::var("COUNT").map_or(PROGRAMS, |count| count.parse().unwrap());
    for seed in from..from + count {
        for memory in MODELS.into_iter().chain([Memory::Weak]) {
            let (a, b) = compare(seed, memory, seed % 16 == 0);
            full += a;
            less += b;
        }
    }
    assert!(less < full, "{less} of {full} states");
    println!("{less} of {full} states");
}
