//! Runs code under check along a history and keeps the last run alive, since the next history often extends it.

use crate::code::coroutine::{Event, Run};
use crate::code::image::Fingerprint;
use crate::code::mutation::Mutation;
use crate::code::request::{Act, Request};
use crate::code::stack::CodeStack;
use crate::code::watch::Runner;
use crate::machine::scenario::Scenario;

/// Where a frame starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    Main { cpu: u8 },
    Interrupt { cpu: u8, line: u8 },
}

impl Root {
    pub(crate) fn cpu(self) -> u8 {
        match self {
            Self::Main { cpu } | Self::Interrupt { cpu, .. } => cpu,
        }
    }
}

/// Silent requests between one answer and the next step, and where loops began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Answers given so far.
    pub(crate) position: u32,
    /// Position at which the innermost `wait_until` evaluates its condition.
    pub(crate) wait: Option<u32>,
    /// Positions at which attempts of the open `retry` loops begin.
    pub(crate) loops: Vec<u32>,
    /// The last heading.
    pub(crate) note: &'static str,
}

/// A run that waits for an answer.
pub(crate) struct Live {
    run: Run,
    /// The node that it has reached.
    pub(crate) node: u32,
    pub(crate) marks: Marks,
    mutation: Option<Mutation>,
}

impl Live {
    /// Goes on with `answer` up to the next step.
    pub(crate) fn advance(&mut self, answer: u64) -> Result<Event, String> {
        let mut event = self.run.resume(answer);
        while let Event::Asked(request) = &mut event {
            if let Some(answer) = self.mutation.and_then(|mutation| mutation.apply(request)) {
                event = self.run.resume(answer);
                continue;
            }
            match request.act {
                Act::Note(text) => self.marks.note = text,
                Act::LoopBegin => self.marks.loops.push(self.marks.position),
                Act::LoopEnd => drop(self.marks.loops.pop()),
                Act::WaitBegin if self.marks.wait.is_some() => {
                    return Err(format!("{}: wait_until inside a wait_until", request.place));
                }
                Act::WaitBegin => self.marks.wait = Some(self.marks.position),
                Act::WaitEnd => self.marks.wait = None,
                _ => break,
            }
            event = self.run.resume(0);
        }
        if let Event::Asked(request) = &event {
            self.check(request)?;
        }
        Ok(event)
    }

    /// Adds what the code can still look at, the heap apart, to `print`; whether that is all.
    pub(crate) fn add_to(&self, print: &mut Fingerprint) -> bool {
        self.run.add_to(print)
    }

    pub(crate) fn answered(&mut self) {
        self.marks.position += 1;
    }

    fn check(&self, request: &Request) -> Result<(), String> {
        let place = request.place;
        let looks = matches!(request.act, Act::Load(..) | Act::IrqEnabled | Act::WaitFalse);
        if self.marks.wait.is_some() && !looks {
            return Err(format!("{place}: the condition of a wait_until may only load words"));
        }
        if let Act::Load(word, _) | Act::Store(word, ..) | Act::Rmw(word, ..) = request.act {
            if self.run.owns(word.address) {
                let name = word.name;
                return Err(format!(
                    "{place}: the word {name} is on the stack; words belong in the scenario"
                ));
            }
        }
        Ok(())
    }
}

/// Runs code, one run at a time, on one stack.
#[derive(Default)]
pub(crate) struct Executor {
    stack: Option<CodeStack>,
    live: Option<Live>,
    /// Runs started.
    pub(crate) started: u64,
    /// For a run beside the one that is alive.
    beside: Option<Box<Executor>>,
}

impl Executor {
    /// The run that waits at `node`, if it is the one kept.
    pub(crate) fn take(&mut self, node: u32) -> Option<Live> {
        if self.live.as_ref().is_some_and(|live| live.node == node) { self.live.take() } else { None }
    }

    /// An executor for a run that is alive together with this one's.
    pub(crate) fn beside(&mut self) -> &mut Executor {
        self.beside.get_or_insert_default()
    }

    /// Starts the code of `root`.
    pub(crate) fn start<S: Scenario>(
        &mut self,
        scenario: &S,
        root: Root,
        anonymous: bool,
        mutation: Option<Mutation>,
    ) -> Result<Live, String> {
        self.drop_live();
        let stack = match self.stack.take() {
            Some(stack) => stack,
            None => {
                CodeStack::new().map_err(|error| format!("no stack for the code under check: {error}"))?
            }
        };
        self.started += 1;
        let cpu = usize::from(root.cpu());
        let line = match root {
            Root::Main { .. } => None,
            Root::Interrupt { line, .. } => Some(line),
        };
        let runner = Runner { cpu, line, context: scenario.context(), anonymous };
        let code = move || match root {
            Root::Main { .. } => scenario.main(cpu),
            Root::Interrupt { line, .. } => scenario.interrupt(cpu, line),
        };
        // SAFETY: 1. every run goes to `keep`, which finishes it here or in `drop`; the executor is a local of a
        // machine that borrows the scenario.
        let run = unsafe { Run::start(stack, runner, code) };
        Ok(Live { run, node: u32::MAX, marks: Marks::default(), mutation })
    }

    /// Takes a run back: to go on from its node later, or to abandon it.
    pub(crate) fn keep(&mut self, live: Live, goes_on: bool) {
        self.drop_live();
        if goes_on {
            self.live = Some(live);
        } else {
            self.stack = Some(live.run.finish());
        }
    }

    fn drop_live(&mut self) {
        if let Some(live) = self.live.take() {
            self.stack = Some(live.run.finish());
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.drop_live();
    }
}
