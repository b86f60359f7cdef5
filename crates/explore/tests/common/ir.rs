//! Programs as the tables write them (`tests/tables/README.md`): reads them, and runs them on the explorer.

use shootdown_explore::sync::{Word, choose, fence, irq_restore, irq_save, raise, retry, wait_until};
use shootdown_explore::{Memory, NoDevice, Options, Registry, Report, Scenario, Verdict, explore};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Most CPUs and words of a program.
const CPUS: usize = 8;
const WORDS: usize = 64;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    Load(usize, Ordering),
    Store(usize, u64, Ordering),
    Swap(usize, u64, Ordering),
    Add(usize, u64, Ordering),
    Exchange(usize, u64, u64, Ordering),
    Increment(usize, u64, Ordering),
    Fence(Ordering),
    Save,
    Restore,
    On,
    Raise(usize, u8),
    Wait(usize, u64),
    Spin(usize, u64),
    Choose(u8),
    Observe(usize, Ordering),
}

/// How a program ended: whether some CPU was stuck, and memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    pub stuck: bool,
    pub memory: Vec<u64>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.memory.iter().map(u64::to_string).collect();
        write!(f, "{} {}", if self.stuck { "stuck" } else { "done" }, values.join(","))
    }
}

/// A program, and what it must come to.
#[derive(Clone, Debug, Default)]
pub struct Test {
    pub name: String,
    pub initial: Vec<u64>,
    pub mains: Vec<Vec<Step>>,
    pub handlers: BTreeMap<u8, Vec<Step>>,
    pub pending: Vec<u32>,
    pub non_maskable: u32,
    pub expected: BTreeMap<&'static str, BTreeSet<Outcome>>,
}

/// The program in the format of the tables, to run it again with `TABLE=FILE`.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "test {} {} {}", self.name, self.mains.len(), self.initial.len())?;
        let changed = self.initial.iter().enumerate().filter(|(_, value)| **value != 0);
        changed.into_iter().try_for_each(|(word, value)| writeln!(f, "init {word} {value}"))?;
        for (cpu, steps) in self.mains.iter().enumerate() {
            writeln!(f, "main {cpu}")?;
            steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        }
        for (line, steps) in &self.handlers {
            writeln!(f, "handler {line}")?;
            steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        }
        let pending = self.pending.iter().enumerate();
        pending.into_iter().try_for_each(|(cpu, lines)| writeln!(f, "pending {cpu} {lines}"))?;
        writeln!(f, "nmi {}\nend", self.non_maskable)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |order: Ordering| match order {
            Acquire => "acq",
            Release => "rel",
            AcqRel => "ar",
            SeqCst => "sc",
            _ => "rlx",
        };
        match *self {
            Self::Load(at, order) => write!(f, "L {at} {}", by(order)),
            Self::Store(at, value, order) => write!(f, "S {at} {value} {}", by(order)),
            Self::Swap(at, value, order) => write!(f, "X {at} {value} {}", by(order)),
            Self::Add(at, value, order) => write!(f, "A {at} {value} {}", by(order)),
            Self::Exchange(at, old, new, order) => write!(f, "C {at} {old} {new} {}", by(order)),
            Self::Increment(at, value, order) => write!(f, "I {at} {value} {}", by(order)),
            Self::Fence(order) => write!(f, "F {}", by(order)),
            Self::Save => write!(f, "SAVE"),
            Self::Restore => write!(f, "RESTORE"),
            Self::On => write!(f, "ON"),
            Self::Raise(cpu, line) => write!(f, "RAISE {cpu} {line}"),
            Self::Wait(at, value) => write!(f, "WAIT {at} {value}"),
            Self::Spin(at, value) => write!(f, "SPIN {at} {value}"),
            Self::Choose(n) => write!(f, "CH {n}"),
            Self::Observe(at, order) => write!(f, "OBS {at} {}", by(order)),
        }
    }
}

/// The models that a table may name.
pub const MODELS: [(&str, Memory); 3] = [("sc", Memory::Sc), ("tso", Memory::Tso), ("pso", Memory::Pso)];

/// Reads the programs of a table; an error names `file` and the line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Test>, String> {
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        let tokens: Vec<&str> = line.split_whitespace().collect();
        if !tokens.is_empty() && !tokens[0].starts_with('#') {
            reader.line(&tokens).map_err(|what| format!("{file}:{}: {what}: {line:?}", at + 1))?;
        }
    }
    match reader.open {
        Some(test) => Err(format!("{file}:{}: no `end` of test {}", text.lines().count(), test.name)),
        None => Ok(reader.tests),
    }
}

/// Whose steps follow.
#[derive(Clone, Copy)]
enum Owner {
    Main(usize),
    Handler(u8),
}

#[derive(Default)]
struct Reader {
    tests: Vec<Test>,
    open: Option<Test>,
    owner: Option<Owner>,
    mains: BTreeSet<usize>,
}

impl Reader {
    fn line(&mut self, tokens: &[&str]) -> Result<(), String> {
        if let ["test", name, cpus, words] = tokens {
            return self.begin(name, number(cpus)?, number(words)?);
        }
        let Some(test) = &mut self.open else {
            return Err("expected `test NAME CPUS WORDS`".to_owned());
        };
        match tokens {
            ["main", cpu] => {
                let cpu = below(cpu, test.mains.len(), "CPU")?;
                if !self.mains.insert(cpu) {
                    return Err(format!("CPU {cpu} has its main code twice"));
                }
                self.owner = Some(Owner::Main(cpu));
            }
            ["handler", line] => {
                let line = below(line, 32, "line")? as u8;
                if test.handlers.insert(line, Vec::new()).is_some() {
                    return Err(format!("line {line} has two handlers"));
                }
                self.owner = Some(Owner::Handler(line));
            }
            ["init", word, value] => {
                let word = below(word, test.initial.len(), "word")?;
                test.initial[word] = number(value)?;
            }
            ["pending", cpu, lines] => {
                let cpu = below(cpu, test.mains.len(), "CPU")?;
                test.pending[cpu] = number(lines)?;
            }
            ["nmi", lines] => test.non_maskable = number(lines)?,
            ["expect", model, ending, memory] => test.expect(model, ending, memory)?,
            ["end"] => {
                test.check()?;
                self.tests.extend(self.open.take());
            }
            ["SKIP"] => {}
            _ => {
                let step = step(tokens, test)?;
                let steps = match self.owner {
                    Some(Owner::Main(cpu)) => &mut test.mains[cpu],
                    Some(Owner::Handler(line)) => test.handlers.entry(line).or_default(),
                    None => return Err("a step before `main CPU` or `handler LINE`".to_owned()),
                };
                steps.push(step);
            }
        }
        Ok(())
    }

    fn begin(&mut self, name: &str, cpus: usize, words: usize) -> Result<(), String> {
        if let Some(open) = &self.open {
            return Err(format!("test {} has no `end`", open.name));
        }
        if cpus == 0 || cpus > CPUS || words == 0 || words > WORDS {
            return Err(format!("a program has 1 to {CPUS} CPUs and 1 to {WORDS} words"));
        }
        self.open = Some(Test {
            name: name.to_owned(),
            initial: vec![0; words],
            mains: vec![Vec::new(); cpus],
            pending: vec![0; cpus],
            ..Test::default()
        });
        self.owner = None;
        self.mains.clear();
        Ok(())
    }
}

fn step(tokens: &[&str], test: &Test) -> Result<Step, String> {
    let word = |token: &str| below(token, test.initial.len(), "word");
    Ok(match *tokens {
        ["L", at] => Step::Load(word(at)?, Relaxed),
        ["L", at, by] => Step::Load(word(at)?, order(by, &["rlx", "acq", "sc"])?),
        ["S", at, value, by] => Step::Store(word(at)?, number(value)?, order(by, &["rlx", "rel", "sc"])?),
        ["X", at, value, by] => Step::Swap(word(at)?, number(value)?, order(by, &ORDERS)?),
        ["A", at, value, by] => Step::Add(word(at)?, number(value)?, order(by, &ORDERS)?),
        ["C", at, old, new, by] => Step::Exchange(word(at)?, number(old)?, number(new)?, order(by, &ORDERS)?),
        ["I", at, value, by] => Step::Increment(word(at)?, number(value)?, order(by, &ORDERS)?),
        ["F", by] => Step::Fence(order(by, &ORDERS)?),
        ["SAVE"] => Step::Save,
        ["RESTORE"] => Step::Restore,
        ["ON"] => Step::On,
        ["RAISE", cpu, line] => {
            Step::Raise(below(cpu, test.mains.len(), "CPU")?, below(line, 32, "line")? as u8)
        }
        ["WAIT", at, value] => Step::Wait(word(at)?, number(value)?),
        ["SPIN", at, value] => Step::Spin(word(at)?, number(value)?),
        ["CH", n] => match number(n)? {
            0 => return Err("CH 0 has nothing to pick from".to_owned()),
            n => Step::Choose(n),
        },
        ["OBS", at, by] => Step::Observe(word(at)?, order(by, &["rlx", "rel", "sc"])?),
        _ => return Err("no such step, or not its operands".to_owned()),
    })
}

const ORDERS: [&str; 5] = ["rlx", "acq", "rel", "ar", "sc"];

fn order(token: &str, allowed: &[&str]) -> Result<Ordering, String> {
    if !allowed.contains(&token) {
        return Err(format!("order {token:?} where one of {} may stand", allowed.join(", ")));
    }
    Ok(match token {
        "acq" => Acquire,
        "rel" => Release,
        "ar" => AcqRel,
        "sc" => SeqCst,
        _ => Relaxed,
    })
}

fn number<T: TryFrom<u64>>(token: &str) -> Result<T, String> {
    let value = token.parse().ok().filter(|_| token.bytes().all(|byte| byte.is_ascii_digit()));
    value.and_then(|value: u64| T::try_from(value).ok()).ok_or_else(|| format!("{token:?} is no number here"))
}

fn below(token: &str, limit: usize, what: &str) -> Result<usize, String> {
    let value: usize = number(token)?;
    if value < limit { Ok(value) } else { Err(format!("{what} {value}: there are 0 to {}", limit - 1)) }
}

impl Test {
    fn expect(&mut self, model: &str, ending: &str, memory: &str) -> Result<(), String> {
        let Some(&(model, _)) = MODELS.iter().find(|(name, _)| *name == model) else {
            let names = MODELS.map(|(name, _)| name).join(", ");
            return Err(format!("model {model:?}: there are {names}"));
        };
        let stuck = match ending {
            "done" => false,
            "stuck" => true,
            _ => return Err(format!("a program ends done or stuck, not {ending:?}")),
        };
        let memory: Vec<u64> = memory.split(',').map(number).collect::<Result<_, _>>()?;
        if memory.len() != self.initial.len() {
            return Err(format!("{} values for {} words", memory.len(), self.initial.len()));
        }
        if !self.expected.entry(model).or_default().insert(Outcome { stuck, memory }) {
            return Err("this is there twice".to_owned());
        }
        Ok(())
    }

    /// Demands a handler for each line that may come.
    fn check(&self) -> Result<(), String> {
        let steps = self.mains.iter().chain(self.handlers.values()).flatten();
        let raised = steps.filter_map(|step| match step {
            Step::Raise(_, line) => Some(1 << line),
            _ => None,
        });
        let lines = raised.chain(self.pending.iter().copied()).fold(0_u32, |all, lines| all | lines);
        match (0..32).find(|line| lines >> line & 1 != 0 && !self.handlers.contains_key(line)) {
            Some(line) => Err(format!("line {line} may come and has no handler")),
            None => Ok(()),
        }
    }

    /// All outcomes that the explorer finds. With `in_handlers`, also those in which a handler is stuck: what the code
    /// that it interrupted has stored by then may differ between a reduced run and a full one, which is all that may.
    pub fn outcomes(&self, options: &Options<'_>, in_handlers: bool) -> BTreeSet<Outcome> {
        let program =
            Program { test: self, words: self.initial.iter().map(|&v| Word::new("w", v)).collect() };
        let report: Report =
            explore(&program, &Options { collect: true, shortest: false, ..options.clone() });
        if let (Verdict::Stopped(_) | Verdict::Violates(_), Some(why)) =
            (&report.verdict, report.verdict.words())
        {
            panic!("test {}: {why}", self.name);
        }
        let ends = report.reached.expect("asked for").ends;
        let ends = ends.into_iter().filter(|end| in_handlers || !end.in_handler);
        ends.map(|end| Outcome { stuck: end.stuck, memory: program.memory(&end.words) }).collect()
    }
}

/// A program on the explorer.
struct Program<'t> {
    test: &'t Test,
    words: Vec<Word>,
}

impl Program<'_> {
    /// Memory, of which `changed` has what is no longer as it was, by address.
    fn memory(&self, changed: &[(usize, u64)]) -> Vec<u64> {
        let value = |(word, &initial): (&Word, &u64)| {
            let address = std::ptr::from_ref(word).addr();
            changed.iter().find(|(at, _)| *at == address).map_or(initial, |&(_, value)| value)
        };
        self.words.iter().zip(&self.test.initial).map(value).collect()
    }

    fn run(&self, steps: &[Step]) {
        let (mut seen, mut saved) = (0_u64, Vec::new());
        for step in steps {
            let answer = self.step(*step, seen, &mut saved);
            seen = answer.map_or(seen, |answer| seen.wrapping_mul(8).wrapping_add(answer + 1));
        }
    }

    /// Makes a step; returns its answer, if it has one.
    fn step(&self, step: Step, seen: u64, saved: &mut Vec<bool>) -> Option<u64> {
        let word = |at: usize| &self.words[at];
        match step {
            Step::Load(at, by) => return Some(word(at).load(by)),
            Step::Swap(at, value, by) => return Some(word(at).swap(value, by)),
            Step::Add(at, value, by) => return Some(word(at).fetch_add(value, by)),
            Step::Exchange(at, old, new, by) => {
                return Some(word(at).compare_exchange(old, new, by, Relaxed).unwrap_or_else(|found| found));
            }
            Step::Choose(n) => return Some(choose(n).into()),
            Step::Store(at, value, by) => word(at).store(value, by),
            Step::Observe(at, by) => word(at).store(seen, by),
            Step::Increment(at, value, by) => drop(word(at).fetch_add(value, by)),
            Step::Fence(Relaxed) => {}
            Step::Fence(by) => fence(by),
            Step::Save => saved.push(irq_save()),
            Step::Restore => saved.pop().into_iter().for_each(irq_restore),
            Step::On => irq_restore(true),
            Step::Raise(cpu, line) => raise(cpu, line),
            Step::Wait(at, value) => wait_until(|| word(at).load(Acquire) == value),
            Step::Spin(at, value) => retry(|| (word(at).load(Acquire) == value).then_some(())),
        }
        None
    }
}

impl Scenario for Program<'_> {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        self.test.mains.len()
    }
    fn main(&self, cpu: usize) {
        self.run(&self.test.mains[cpu]);
    }
    fn interrupt(&self, _: usize, line: u8) {
        self.run(&self.test.handlers[&line]);
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, _: &mut Registry) {}
    fn pending_at_start(&self, cpu: usize) -> u32 {
        self.test.pending[cpu]
    }
    fn non_maskable(&self) -> u32 {
        self.test.non_maskable
    }
}
