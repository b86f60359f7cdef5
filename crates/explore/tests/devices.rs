//! Operations of a device that may run before anything else, unseen: what must not be lost by that.

use crate::common::{plain, reduced};
use shootdown_explore::sync::{Word, demand, device, fence};
use shootdown_explore::{
    Commutes, Device, Effect, Facts, Memory, Options, Registry, Scenario, Verdict, View, explore,
};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

// Operations.
/// Is a full fence under weak memory.
const FENCE: u64 = 0;
/// Breaks a rule if memory has a 1 in the word that is watched.
const LOOK: u64 = 1;
/// Marks its CPU.
const MARK: u64 = 2;
/// Breaks a rule on a CPU that is not marked.
const DEMAND_MARK: u64 = 3;

struct Marks;

impl Device for Marks {
    type Shared = ();
    type Local = bool;
    fn reset(&self, cpus: usize) -> ((), Vec<bool>) {
        ((), vec![false; cpus])
    }
    fn step(&self, view: &mut View<'_, Self>, cpu: usize, op: u64) -> Effect {
        match op {
            LOOK if view.memory(0) == 1 => Effect::Violation("the word is 1".to_owned().into()),
            DEMAND_MARK if !view.locals[cpu] => Effect::Violation("no mark".to_owned().into()),
            MARK => {
                view.locals[cpu] = true;
                Effect::Done(0)
            }
            _ => Effect::Done(0),
        }
    }
    fn settle(&self, _: &mut View<'_, Self>) -> Result<(), shootdown_explore::Violation> {
        Ok(())
    }
    fn facts(&self, op: u64) -> Facts {
        let commutes = match op {
            FENCE | LOOK => Commutes::Always,
            MARK => Commutes::Masked,
            _ => Commutes::Never,
        };
        Facts { fences: op == FENCE, commutes, ..Facts::default() }
    }
}

struct Program {
    watched: Word,
    x: [Word; 2],
    mains: Vec<fn(&Program)>,
    handler: fn(&Program),
    pending: u32,
}

impl Program {
    fn new(mains: &[fn(&Program)]) -> Self {
        let x = [const { Word::new("x", 0) }; 2];
        Self { watched: Word::new("watched", 0), x, mains: mains.to_vec(), handler: |_| {}, pending: 0 }
    }
}

impl Scenario for Program {
    type Device = Marks;
    fn cpus(&self) -> usize {
        self.mains.len()
    }
    fn main(&self, cpu: usize) {
        self.mains[cpu](self);
    }
    fn interrupt(&self, _: usize, _: u8) {
        (self.handler)(self);
    }
    fn pending_at_start(&self, _: usize) -> u32 {
        self.pending
    }
    fn device(&self) -> &Marks {
        &Marks
    }
    fn register(&self, registry: &mut Registry) {
        registry.watch(&self.watched);
    }
}

/// Verdicts under some models, without reductions and with them.
fn verdicts(program: &Program, models: &[Memory]) -> Vec<Verdict> {
    let options = |&memory: &Memory| [plain(memory), reduced(memory)];
    models
        .iter()
        .flat_map(options)
        .map(|options| explore(program, &Options { collect: false, ..options }).verdict)
        .collect()
}

fn breaks(words: &str, runs: usize) -> Vec<Verdict> {
    vec![Verdict::Violates(words.into()); runs]
}

#[test]
fn an_operation_that_commutes_comes_after_own_stores_that_hardware_reads_too() {
    let program = Program::new(&[|program: &Program| {
        program.watched.store(1, Relaxed);
        device(LOOK);
    }]);
    assert_eq!(verdicts(&program, &[Memory::Tso, Memory::Pso]), breaks("the word is 1", 4));
}

#[test]
fn an_operation_that_commutes_with_interrupts_off_comes_after_a_handler_too() {
    let mut program = Program::new(&[|_: &Program| {
        device(MARK);
    }]);
    program.handler = |_| _ = device(DEMAND_MARK);
    program.pending = 1;
    let models = [Memory::Sc, Memory::Tso, Memory::Pso, Memory::Weak];
    assert_eq!(verdicts(&program, &models), breaks("no mark", 8));
}

/// CPU 1 has read the flag, and its fence comes before the operation of CPU 0 in the order of all full fences.
#[test]
fn an_operation_that_is_a_full_fence_comes_after_fences_of_others_too() {
    let program = Program::new(&[
        |program: &Program| {
            program.x[0].store(1, Relaxed);
            program.x[1].store(1, Relaxed);
            device(FENCE);
        },
        |program: &Program| {
            let flag = program.x[1].load(Relaxed);
            fence(SeqCst);
            let data = program.x[0].load(Relaxed);
            demand(flag == 0 || data == 1, "the flag is new, and the data is old");
        },
    ]);
    let found = verdicts(&program, &[Memory::Weak]);
    assert!(found.iter().all(|verdict| matches!(verdict, Verdict::Violates(_))), "{found:?}");
}
