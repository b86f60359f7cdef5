//! What a run has reached, as fingerprints by which two runs are compared.

use crate::machine::device::Device;
use crate::machine::hash::{self, Mix};
use crate::machine::layout::{LOCAL_DEVICE, STATUS, URGENT};
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, lock};
use std::collections::BTreeSet;
use std::hash::BuildHasher;

/// What was reached, in a form that two runs of one process can compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Hashes of every position passed: frame entry and what the code can still look at, which differs from run to run
    /// where that is on the heap; where histories are not merged, frame entry and values seen.
    pub locals: BTreeSet<u64>,
    /// Hashes of memory and device state where every CPU had finished or was stuck, though not in a handler.
    pub finals: BTreeSet<u64>,
    /// Memory in each state in which nothing moves any more.
    pub ends: BTreeSet<Ending>,
}

/// A state in which nothing moves any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    /// Some CPU has not finished.
    pub stuck: bool,
    /// Some CPU is in a handler. What the code that it interrupted has stored by then depends on reductions, which may
    /// have run steps first that nobody else can tell.
    pub in_handler: bool,
    /// Words that hold something else than at the start: their addresses and values, in the order of addresses.
    pub words: Vec<(usize, u64)>,
}

impl Ending {
    pub(crate) fn of<S: Scenario>(machine: &Machine<'_, '_, S>, work: &Work<S::Device>, stuck: bool) -> Self {
        let (world, layout) = (lock(machine.world), &machine.layout);
        let cells = world.cells.all[..layout.cells].iter().enumerate();
        let value = |id: usize| machine.values.decode(layout.cell(&work.words, id as u16));
        let words = cells.map(|(id, cell)| (cell.word, value(id)));
        let changed = words.filter(|(word, value)| *value != word.initial);
        let mut words: Vec<_> = changed.map(|(word, value)| (word.address, value)).collect();
        words.sort_unstable();
        let in_handler = (0..layout.cpus).any(|cpu| work.top(layout, cpu) > 0);
        Self { stuck, in_handler, words }
    }
}

/// Hash of memory and the device's state. It does not depend on the order in which cells were found, nor on which
/// of several interchangeable CPUs is in which state.
pub(crate) fn final_hash<S: Scenario>(machine: &Machine<'_, '_, S>, work: &Work<S::Device>) -> u64 {
    let world = lock(machine.world);
    let mut hash = 0_u64;
    for (id, cell) in world.cells.all[..machine.layout.cells].iter().enumerate() {
        let value = machine.values.decode(machine.layout.cell(&work.words, id as u16));
        if value != cell.word.initial {
            hash = hash.wrapping_add(hash::finish(hash::mix(cell.word.address as u64, value)));
        }
    }
    hash = hash::mix(hash, work.dead());
    hash = hash::mix(hash, Mix.hash_one(work.shared));
    for (cpu, local) in work.locals.iter().enumerate() {
        let (first, _) = world.twins[cpu];
        let local = hash::finish(hash::mix(first.into(), local_hash::<S::Device>(local)));
        hash = hash.wrapping_add(local);
    }
    hash::finish(hash)
}

/// Hash of a whole state, of its nodes and values: the same whatever numbers its parts have.
pub(crate) fn state_hash<S: Scenario>(machine: &Machine<'_, '_, S>, work: &Work<S::Device>) -> u64 {
    let (layout, mut record) = (&machine.layout, Vec::new());
    let mut hash = final_hash(machine, work);
    for cpu in 0..layout.cpus {
        let own = &work.words[layout.cpu(cpu)..];
        hash = hash::mix(hash, Mix.hash_one((&own[STATUS..LOCAL_DEVICE], &own[URGENT..layout.buffer])));
        if layout.weak {
            work.weak.write_cpu(cpu, &mut record);
            hash = hash::mix(hash, Mix.hash_one(&record));
        }
        for (entry, value) in layout.entries(&work.words, cpu) {
            hash = hash::mix(hash ^ u64::from(entry), machine.values.decode(value));
        }
    }
    if layout.weak {
        work.weak.write_memory(&mut record);
        hash = hash::mix(hash, Mix.hash_one(&record));
    }
    hash::finish(hash)
}

fn local_hash<D: Device>(local: &D::Local) -> u64 {
    Mix.hash_one(local)
}
