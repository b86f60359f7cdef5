//! A machine, a function for each CPU, and a word for them to talk through.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Options, Report, Verdict};
use shootdown_model::{Builder, Machine, MaskWord, Model, Program, hw, run};

/// What a CPU does.
pub type Main = fn(&SmallMachine);

/// The scenario.
#[derive(Debug)]
pub struct SmallMachine {
    pub machine: Machine,
    pub word: Word,
    /// The mask of space A, where one is checked.
    pub mask: Option<Word>,
    mains: Vec<Main>,
}

impl SmallMachine {
    pub fn model(builder: Builder, mains: &[Main], mask: Option<Word>) -> Model {
        let word = Word::new("small_machine.word", 0);
        builder.runs(|machine| Self { machine, word, mask, mains: mains.to_vec() })
    }

    /// The entry of a page of space A.
    pub fn leaf(&self, page: usize) -> &Word {
        self.machine.tables.leaf(0, page)
    }

    /// Says how far this CPU is.
    pub fn tell(&self, stage: u64) {
        self.word.store(stage, Release);
    }

    /// Waits until another CPU is that far.
    pub fn wait_for(&self, stage: u64) {
        sync::wait_until(|| self.word.load(Acquire) == stage);
    }
}

impl Program for SmallMachine {
    fn main(&self, cpu: usize) {
        self.mains[cpu](self);
    }
    fn mask(&self) -> Option<MaskWord<'_>> {
        self.mask.as_ref().map(|word| MaskWord { space: 0, word, first: 0 })
    }
}

/// Visits every execution under a memory model.
pub fn report(memory: Memory, model: &Model) -> Report {
    run(model, &Options { memory, workers: 1, ..Options::default() })
}

/// Visits every execution of `mains` on the machine, under total store order.
pub fn verdict(builder: Builder, mains: &[Main]) -> Verdict {
    verdict_under(Memory::Tso, builder, mains)
}

/// The same under a memory model.
pub fn verdict_under(memory: Memory, builder: Builder, mains: &[Main]) -> Verdict {
    report(memory, &SmallMachine::model(builder, mains, None)).verdict
}

#[track_caller]
pub fn holds(builder: Builder, mains: &[Main]) {
    assert_eq!(verdict(builder, mains), Verdict::Holds);
}

#[track_caller]
pub fn breaks(builder: Builder, mains: &[Main], message: &str) {
    assert_eq!(verdict(builder, mains), Verdict::Violates(message.into()));
}

/// The same for what a CPU uses most often too late.
#[track_caller]
pub fn stale_on(cpu: usize, builder: Builder, mains: &[Main]) {
    breaks(builder, mains, &stale(cpu));
}

/// That a CPU uses page 0 of space A too late.
pub fn stale(cpu: usize) -> String {
    format!("CPU {cpu} can still use page 0 of space A -> frame 1, which was freed (SD-8)")
}

#[track_caller]
pub fn misuses(builder: Builder, mains: &[Main], message: &str) {
    let verdict = verdict(builder, mains);
    // Behind it stands what the machine has.
    let said = verdict.words().and_then(|words| words.split(" (it has ").next());
    assert!(matches!(verdict, Verdict::Misuses(_)) && said == Some(message), "{verdict:?}");
}

pub fn idle(_: &SmallMachine) {}

/// Takes page 0 out of space A.
pub fn unmap(m: &SmallMachine) {
    m.leaf(0).store(0, Relaxed);
    sync::fence(SeqCst);
}

/// Takes page 0 out, flushes, and gives its frame back.
pub fn unmap_and_free(m: &SmallMachine, flush: fn()) {
    unmap(m);
    flush();
    hw::free_frame(1);
}

/// Two CPUs in user mode in space A, where page 0 leads to frame 1; value 2 is the same, read-only.
pub fn pair() -> Builder {
    Machine::builder(2)
        .translation(1, Some(0), true)
        .translation(1, Some(0), false)
        .map(0, 0, 1)
        .start(0, 0, 0, true)
        .start(1, 0, 0, true)
}

/// The first of them alone.
pub fn alone() -> Builder {
    Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true)
}

/// CPUs in the kernel, whose page 0 leads to frame 1.
pub fn kernel(cpus: usize) -> Builder {
    Machine::builder(cpus).kernel_pages(1).translation(1, None, true).map_kernel(0, 1)
}

/// That a CPU uses that page too late.
pub fn stale_kernel(cpu: usize) -> String {
    format!("CPU {cpu} can still use kernel page 0 -> frame 1, which was freed (SD-8)")
}
