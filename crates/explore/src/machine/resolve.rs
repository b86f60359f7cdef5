//! Turns a request into a step: addresses into cells, values into ids, orderings into what the memory model makes
//! of them.

use crate::code::request::{Act, Change, Request, WordRef};
use crate::machine::device::Device;
use crate::machine::op::{Op, Sides, acquires};
use crate::machine::scenario::Scenario;
use crate::machine::world::World;
use crate::options::Memory;
use std::sync::atomic::Ordering;

/// Why a request cannot become a step.
pub(crate) enum Refusal {
    /// The code under check must not make it.
    Misuse(String),
    /// It exceeds a limit of the explorer.
    Limit(String),
}

impl From<String> for Refusal {
    fn from(limit: String) -> Self {
        Self::Limit(limit)
    }
}

impl<S: Scenario> World<'_, S> {
    pub(crate) fn resolve(&mut self, request: Request) -> Result<Op, Refusal> {
        Ok(match request.act {
            Act::Load(word, order) => {
                self.refuse(request, word, order)?;
                Op::Load { cell: self.cell(word)?, acquire: acquires(order) }
            }
            Act::Store(word, value, order) => {
                self.refuse(request, word, order)?;
                let (cell, value) = (self.cell(word)?, self.encode(value)?);
                if self.gates.buffers(order) {
                    Op::Buffer { cell, value, release: order != Ordering::Relaxed }
                } else {
                    Op::Put { cell, value, gate: self.gates.put() }
                }
            }
            Act::Rmw(word, change, order, failed) => {
                self.refuse(request, word, order)?;
                self.refuse(request, word, failed)?;
                if let Change::Cas(current, new) = change {
                    self.encode(current)?;
                    self.encode(new)?;
                }
                let sides = Sides::new(order, failed);
                Op::Rmw { cell: self.cell(word)?, change, gate: self.gates.rmw(order), sides }
            }
            Act::Fence(order) => self.gates.fence(order),
            Act::IrqSave => Op::IrqSave,
            Act::IrqRestore(on) => Op::IrqRestore(on),
            Act::IrqEnabled => Op::IrqEnabled,
            Act::Raise(cpu, line) => self.raise(request, cpu, line)?,
            Act::Lose(lines) => Op::Lose(lines),
            Act::Choose(n) => Op::Choose(n),
            Act::Device(op) => {
                let facts = self.scenario.device().facts(op);
                Op::Device { op, gate: self.gates.device(facts), commutes: facts.commutes }
            }
            Act::Retire { start, size, kind } => {
                let (object, fresh) = self.cells.object(start, size, kind)?;
                self.edition += u32::from(fresh);
                Op::Retire(object)
            }
            Act::WaitFalse => Op::WaitFalse,
            Act::LoopBack => Op::LoopBack,
            Act::WaitBegin | Act::WaitEnd | Act::LoopBegin | Act::LoopEnd | Act::Note(_) => {
                return Err(format!("{}: a silent request was taken for a step", request.place).into());
            }
        })
    }

    /// The id of a value; an error when ids have run out.
    pub(crate) fn encode(&mut self, value: u64) -> Result<u16, String> {
        self.values.encode(value).ok_or_else(|| {
            "more than 32768 different large values: a word that counts for ever has no end to visit"
                .to_owned()
        })
    }

    /// Accesses that the memory model does not have.
    fn refuse(&self, request: Request, word: WordRef, order: Ordering) -> Result<(), String> {
        if self.gates.memory != Memory::Weak || order != Ordering::SeqCst {
            return Ok(());
        }
        let (kind, instead) = match request.act {
            Act::Load(..) => ("load", "fence(SeqCst) before an Acquire load"),
            Act::Store(..) => ("store", "a Release store and fence(SeqCst) after it"),
            _ => ("read-modify-write", "AcqRel and fence(SeqCst) after it"),
        };
        let (place, name) = (request.place, word.name);
        Err(format!(
            "{place}: the weak memory model has no sequentially consistent accesses, and this {kind} of {name} is one; \
             write {instead}"
        ))
    }

    fn cell(&mut self, word: WordRef) -> Result<u16, String> {
        if let Some(id) = self.cells.find(word.address) {
            return Ok(id);
        }
        self.encode(word.initial)?;
        self.edition += 1;
        self.cells.add(word)
    }

    fn raise(&mut self, request: Request, cpu: usize, line: u8) -> Result<Op, Refusal> {
        let place = request.place;
        let cpus = self.scenario.cpus();
        if cpu >= cpus {
            return Err(Refusal::Misuse(format!(
                "{place}: raise({cpu}, {line}) on a machine of {cpus} CPUs"
            )));
        }
        if line >= 32 {
            return Err(Refusal::Misuse(format!("{place}: raise({cpu}, {line}): lines go up to 31")));
        }
        if self.twins[cpu].1 {
            return Err(Refusal::Misuse(format!(
                "{place}: raise({cpu}, {line}) singles out one of several interchangeable CPUs"
            )));
        }
        let cpu = cpu as u8;
        self.raise_line(cpu, line)?;
        Ok(Op::Raise { cpu, line })
    }
}
