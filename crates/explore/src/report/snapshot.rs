//! The machine at each moment of a trace, taken apart for drawings that can be stepped through. Made while moves are
//! performed again, never while exploring.

use crate::machine::device::Device;
use crate::machine::dissection::Fact;
use crate::machine::layout::{BARRIER, entry_cell};
use crate::machine::node::{DONE, NONE};
use crate::machine::op::Op;
use crate::machine::run::Root;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, lock};
use crate::machine::words;
use crate::machine::world::World;
use std::panic::Location;

/// The machine at one moment of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Each CPU.
    pub cpus: Vec<CpuSnapshot>,
    /// Every word that the code used or hardware reads, in memory.
    pub words: Vec<WordSnapshot>,
    /// What the device says of state that all CPUs share.
    pub facts: Vec<Fact>,
}

/// One CPU at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuSnapshot {
    /// Whether interrupts are on.
    pub interrupts: bool,
    /// Interrupt lines that are pending.
    pub pending: Vec<u8>,
    /// Stores that have not reached memory, oldest first.
    pub buffer: Vec<Buffered>,
    /// Where it is in its code: main code, then the handlers that interrupted it.
    pub frames: Vec<FrameSnapshot>,
    /// What the device says of this CPU.
    pub facts: Vec<Fact>,
}

/// An entry of a store buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Buffered {
    /// A store.
    Store {
        /// Name of the word.
        word: String,
        /// The value in words.
        value: String,
    },
    /// A barrier: later stores stay behind earlier ones.
    Barrier,
}

/// Main code or a handler, between two of its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSnapshot {
    /// The interrupt line that it handles; `None` for main code.
    pub line: Option<u8>,
    /// Heading in force (`sync::note`).
    pub note: &'static str,
    /// Where in the code; `None` at its end.
    pub place: Option<&'static Location<'static>>,
    /// What it does next, in words.
    pub next: String,
}

/// A word in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordSnapshot {
    /// `object.word`.
    pub name: String,
    /// The value in words.
    pub value: String,
    /// What the value means to hardware that reads it, where it means something.
    pub meaning: Option<String>,
    /// Whether the memory was given back.
    pub dead: bool,
}

/// Takes a state apart.
pub(crate) fn take<S: Scenario>(machine: &Machine<'_, '_, S>, work: &Work<S::Device>) -> Snapshot {
    let mut copy = work.clone();
    let view = machine.device_view(&mut copy);
    let device = machine.scenario.device();
    let mut dissection = device.dissect(&view);
    dissection.cpus.resize(machine.layout.cpus, Vec::new());
    let world = lock(machine.world);
    let words = (0..machine.layout.cells as u16).map(|cell| word(machine, &world, work, cell)).collect();
    let cpus = dissection.cpus.into_iter().enumerate();
    let cpus = cpus.map(|(number, facts)| cpu(machine, &world, work, number, facts)).collect();
    Snapshot { cpus, words, facts: dissection.shared }
}

fn word<S: Scenario>(
    machine: &Machine<'_, '_, S>,
    world: &World<'_, S>,
    work: &Work<S::Device>,
    cell: u16,
) -> WordSnapshot {
    let layout = &machine.layout;
    let value = world.values.decode(layout.cell(&work.words, cell));
    let index = usize::from(cell);
    let watched = index < layout.watched;
    WordSnapshot {
        name: world.cells.name(cell),
        value: world.cells.show(cell, value),
        meaning: if watched { machine.scenario.device().show_watched(index, value) } else { None },
        dead: layout.objects[index] & work.dead() != 0,
    }
}

fn cpu<S: Scenario>(
    machine: &Machine<'_, '_, S>,
    world: &World<'_, S>,
    work: &Work<S::Device>,
    cpu: usize,
    facts: Vec<Fact>,
) -> CpuSnapshot {
    let layout = &machine.layout;
    let pending = work.pending(layout, cpu);
    let entry = |(entry, value): (u16, u16)| match entry & BARRIER {
        0 => Buffered::Store {
            word: world.cells.name(entry_cell(entry)),
            value: world.cells.show(entry_cell(entry), world.values.decode(value)),
        },
        _ => Buffered::Barrier,
    };
    CpuSnapshot {
        interrupts: work.irq(layout, cpu),
        pending: (0..32).filter(|line| pending >> line & 1 != 0).collect(),
        buffer: layout.entries(&work.words, cpu).map(entry).collect(),
        frames: (0..=work.top(layout, cpu))
            .map(|depth| frame(world, work.frame(layout, cpu, depth), depth > 0))
            .collect(),
        facts,
    }
}

fn frame<S: Scenario>(world: &World<'_, S>, node: u32, handler: bool) -> FrameSnapshot {
    let story = &world.stories[node as usize];
    // A frame that has ended has forgotten where it began.
    let root = (story.root != NONE && handler).then(|| world.root_of(node));
    let line = match root {
        Some(Root::Interrupt { line, .. }) => Some(line),
        _ => None,
    };
    let next = match world.nodes[node as usize].op {
        Op::Done if node == DONE && !handler => "finished".to_owned(),
        _ => words::next(world, node),
    };
    FrameSnapshot { line, note: story.note, place: story.place, next }
}
