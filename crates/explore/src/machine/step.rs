//! The machine: what one move does to a state.

use crate::code::request::Change;
use crate::machine::device::{Device, Effect, Facts, Refetch, Uses, View};
use crate::machine::footprint::Footprint;
use crate::machine::hash::Map;
use crate::machine::layout::{BARRIER, BUFFER, CPUS, Layout, RELEASE, entry_cell};
use crate::machine::moves::{Action, Move};
use crate::machine::node::{DONE, Node, RaisedLine};
use crate::machine::op::{Gate, Gates, Op};
use crate::machine::run::Executor;
use crate::machine::scenario::{Interrupts, Scenario};
use crate::machine::state::Work;
use crate::machine::values::Values;
use crate::machine::violation::Violation;
use crate::machine::weak::messages::{CURRENT, SYNCED};
use crate::machine::weak::uses::Used;
use crate::machine::world::World;
use crate::options::Options;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a move could not simply be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It breaks a rule, or is wrong in itself.
    Violation(Violation),
    /// The exploration cannot go on.
    Stop(String),
    /// The layout is out of date.
    Restart,
    /// The code after this node has not been run with this answer, and this machine leaves that to others.
    Unknown(u32, u16),
}

/// Whether a move could be made.
pub(crate) type Moved = Result<bool, Box<Trouble>>;

/// One worker's machine: copies of what all workers share, so that only what is new takes the lock.
pub(crate) struct Machine<'a, 's, S: Scenario> {
    pub(crate) world: &'a Mutex<World<'s, S>>,
    pub(crate) scenario: &'s S,
    pub(crate) layout: Layout,
    pub(crate) gates: Gates,
    pub(crate) nesting: usize,
    interrupts: Interrupts,
    pub(crate) non_maskable: u32,
    pub(crate) nodes: Vec<Node>,
    pub(crate) footprints: Vec<Footprint>,
    pub(crate) raised_lines: Vec<RaisedLine>,
    /// The bits of raised lines at the top of a set.
    pub(crate) lines_mask: u64,
    pub(crate) values: Values,
    pub(crate) reads: Vec<(u16, u16)>,
    pub(crate) kids: Map<(u32, u16), u32>,
    /// One of the kids of each node, with its answer, where no hashing is needed.
    pub(crate) first_kids: Vec<(u16, u32)>,
    pub(crate) executor: Executor,
    /// A node has been made since the flag was last read.
    pub(crate) grew: bool,
    /// Runs no code itself.
    pub(crate) asks: bool,
    /// Nodes passed, as bits; empty if nobody asks.
    pub(crate) passed: Vec<u64>,
    pub(crate) collect: bool,
    /// Steps that may run at once do.
    pub(crate) partial_order: bool,
    /// Turns that CPUs may take, where they are counted.
    pub(crate) contexts: Option<u16>,
    /// A move was refused since it would have been a turn too many.
    pub(crate) cut: bool,
    /// What each CPU may still do in the state that is being expanded.
    pub(crate) prints: [Footprint; CPUS],
    /// The same in the state that is being made.
    pub(crate) ahead: [Footprint; CPUS],
    spare: Vec<<S::Device as Device>::Local>,
    /// The answer that the last step got.
    pub(crate) answered: Option<u16>,
    /// The moves made, if they are asked for.
    pub(crate) log: Option<Vec<Move>>,
}

/// Locks, also after another worker panicked: what it left behind is only ever added to.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a, 's, S: Scenario> Machine<'a, 's, S> {
    pub(crate) fn new(world: &'a Mutex<World<'s, S>>, layout: Layout, options: &Options<'_>) -> Self {
        let scenario = lock(world).scenario;
        let mut machine = Self {
            world,
            scenario,
            layout,
            gates: Gates { memory: options.memory },
            nesting: usize::from(options.nesting),
            interrupts: scenario.interrupts(),
            non_maskable: scenario.non_maskable(),
            nodes: Vec::new(),
            footprints: Vec::new(),
            raised_lines: Vec::new(),
            lines_mask: 0,
            values: Values::default(),
            reads: Vec::new(),
            kids: Map::default(),
            first_kids: Vec::new(),
            prints: [Footprint::default(); CPUS],
            ahead: [Footprint::default(); CPUS],
            executor: Executor::default(),
            grew: false,
            asks: false,
            passed: Vec::new(),
            collect: options.collect,
            partial_order: options.reductions.partial_order,
            contexts: options.contexts,
            cut: false,
            spare: scenario.device().reset(scenario.cpus()).1,
            answered: None,
            log: None,
        };
        machine.sync();
        machine
    }

    /// Makes `mov` if the state allows it. On any other outcome than `Ok(true)` the state is to be discarded, except
    /// that `Ok(false)` leaves it as it was.
    pub(crate) fn apply(&mut self, work: &mut Work<S::Device>, mov: Move) -> Moved {
        let moved = match mov.action {
            Action::Run => self.run(work, mov.cpu, None),
            Action::Older(newer) => match (self.layout.weak, newer) {
                (true, 1..) => self.recall(work, mov.cpu, newer).unwrap_or(Ok(false)),
                _ => Ok(false),
            },
            Action::Choose(pick) => self.run(work, mov.cpu, Some(pick)),
            Action::Drain(index) => self.drain(work, mov.cpu, usize::from(index)),
            Action::Interrupt(line) => self.interrupt(work, mov.cpu, line),
        };
        if let (Some(log), Ok(true) | Err(_)) = (&mut self.log, &moved) {
            log.push(mov);
        }
        if moved? {
            if self.layout.weak {
                self.wake_readers(work)?;
                self.drop_unreadable(work);
            } else {
                self.wake(work);
            }
            Ok(true)
        } else {
            Ok(false)
        }
    }

    /// Lines that `cpu` may take now.
    pub(crate) fn deliverable(&self, work: &Work<S::Device>, cpu: usize) -> u32 {
        self.takeable(work, cpu) & work.pending(&self.layout, cpu)
    }

    /// Lines that `cpu` would take now if they were pending: all with interrupts on, otherwise the non-maskable ones;
    /// none at the nesting limit. Hardware holds a non-maskable interrupt back while the handler of one runs.
    pub(crate) fn takeable(&self, work: &Work<S::Device>, cpu: usize) -> u32 {
        let top = work.top(&self.layout, cpu);
        if top >= self.nesting {
            return 0;
        }
        let maskable = if work.irq(&self.layout, cpu) { !self.non_maskable } else { 0 };
        let urgent =
            if self.non_maskable != 0 && work.in_nmi(&self.layout, cpu) { 0 } else { self.non_maskable };
        maskable | urgent
    }

    /// Whether entry `index` of `cpu`'s store buffer may reach memory next.
    pub(crate) fn drainable(&self, work: &Work<S::Device>, cpu: usize, index: usize) -> bool {
        if index >= work.buffered(&self.layout, cpu) {
            return false;
        }
        if index == 0 {
            return true;
        }
        if self.gates.memory != crate::Memory::Pso {
            return false;
        }
        let (entry, _) = work.entry(&self.layout, cpu, index);
        if entry & (RELEASE | BARRIER) != 0 {
            return false;
        }
        (0..index).all(|earlier| {
            let (before, _) = work.entry(&self.layout, cpu, earlier);
            before & BARRIER == 0 && entry_cell(before) != entry_cell(entry)
        })
    }

    /// Whether a step with this gate may happen, as far as the store buffer goes.
    #[inline]
    pub(crate) fn open(&self, work: &Work<S::Device>, cpu: usize, gate: Gate, cell: u16) -> bool {
        match gate {
            Gate::Open => true,
            Gate::Empty => work.buffered(&self.layout, cpu) == 0,
            Gate::NoEntry => self
                .layout
                .entries(&work.words, cpu)
                .all(|(entry, _)| entry & BARRIER == 0 && entry_cell(entry) != cell),
        }
    }

    /// What `cpu` reads of `cell`: its own newest buffered store, otherwise memory. The flag says which.
    #[inline]
    pub(crate) fn view(&self, work: &Work<S::Device>, cpu: usize, cell: u16) -> (u16, bool) {
        let mut own = None;
        for (entry, value) in self.layout.entries(&work.words, cpu) {
            if entry & BARRIER == 0 && entry_cell(entry) == cell {
                own = Some(value);
            }
        }
        own.map_or_else(|| (self.layout.cell(&work.words, cell), false), |value| (value, true))
    }

    fn run(&mut self, work: &mut Work<S::Device>, cpu: usize, pick: Option<u8>) -> Moved {
        if self.layout.weak {
            if let (None, Some(moved)) = (pick, self.recall(work, cpu, 0)) {
                return moved;
            }
        }
        let node = work.node(&self.layout, cpu);
        let op = self.nodes[node as usize].op;
        if matches!(op, Op::Choose(_)) != pick.is_some() {
            return Ok(false);
        }
        let answer = match op {
            Op::Load { cell, .. } => {
                self.touch(work, cell)?;
                self.view(work, cpu, cell).0
            }
            Op::Put { cell, value, gate } => {
                if !self.open(work, cpu, gate, cell) {
                    return Ok(false);
                }
                self.touch(work, cell)?;
                self.write(work, cell, value)?;
                0
            }
            Op::Buffer { cell, value, release } => {
                if work.buffered(&self.layout, cpu) == BUFFER {
                    let text = format!("the store buffer of CPU {cpu} exceeds {BUFFER} entries");
                    return Err(Box::new(Trouble::Stop(text)));
                }
                self.touch(work, cell)?;
                work.push_entry(&self.layout, cpu, cell | if release { RELEASE } else { 0 }, value);
                if usize::from(cell) < self.layout.watched {
                    self.settle(work)?;
                }
                0
            }
            Op::Rmw { cell, change, gate, .. } => {
                if !self.open(work, cpu, gate, cell) {
                    return Ok(false);
                }
                self.modify(work, cell, change)?
            }
            Op::Fence { gate } if !self.open(work, cpu, gate, 0) => return Ok(false),
            Op::Fence { .. } | Op::Order(_) => 0,
            Op::Mark => return self.mark(work, cpu, node),
            Op::Device { op, gate, .. } => {
                if !self.open(work, cpu, gate, 0) {
                    return Ok(false);
                }
                match self.device(work, cpu, op)? {
                    Some(answer) => answer,
                    None => return Ok(false),
                }
            }
            Op::Retire(object) => {
                self.retire(work, cpu, object)?;
                0
            }
            Op::Choose(n) => match pick {
                Some(pick) if pick < n => pick.into(),
                _ => return Ok(false),
            },
            Op::WaitFalse | Op::Panicked | Op::Stop => return Ok(false),
            Op::LoopBack => {
                let back = self.nodes[node as usize].back;
                return self.arrive(work, cpu, back);
            }
            Op::Done => return Ok(self.leave(work, cpu)),
            _ => self.interrupt_step(work, cpu, op),
        };
        self.advance(work, cpu, node, answer)
    }

    /// The steps that concern interrupts.
    fn interrupt_step(&mut self, work: &mut Work<S::Device>, cpu: usize, op: Op) -> u16 {
        let irq = work.irq(&self.layout, cpu);
        match op {
            Op::IrqSave => work.set_irq(&self.layout, cpu, false),
            Op::IrqRestore(on) => work.set_irq(&self.layout, cpu, on),
            Op::Raise { cpu: target, line } => {
                let target = usize::from(target);
                let lines = work.pending(&self.layout, target) | 1 << line;
                work.set_pending(&self.layout, target, lines);
                if self.layout.weak {
                    let kind = if self.interrupts == Interrupts::Follow { CURRENT } else { SYNCED };
                    work.weak.send((cpu, kind), (target as u8, line));
                }
                return 0;
            }
            Op::Lose(lines) => {
                let kept = work.pending(&self.layout, cpu) & !lines;
                work.set_pending(&self.layout, cpu, kept);
                (0..32)
                    .filter(|line| lines >> line & 1 != 0)
                    .for_each(|line| work.weak.receive((cpu as u8, line), false));
                return 0;
            }
            _ => {}
        }
        irq.into()
    }

    fn mark(&mut self, work: &mut Work<S::Device>, cpu: usize, node: u32) -> Moved {
        let count = work.buffered(&self.layout, cpu);
        let newest = count.checked_sub(1).map(|last| work.entry(&self.layout, cpu, last).0);
        // A marker orders what is before it; with nothing before it, or a marker already there, there is no need.
        if newest.is_some_and(|entry| entry & BARRIER == 0) {
            if count == BUFFER {
                let text = format!("the store buffer of CPU {cpu} exceeds {BUFFER} entries");
                return Err(Box::new(Trouble::Stop(text)));
            }
            work.push_entry(&self.layout, cpu, BARRIER, 0);
        }
        self.advance(work, cpu, node, 0)
    }

    fn modify(&mut self, work: &mut Work<S::Device>, cell: u16, change: Change) -> Result<u16, Box<Trouble>> {
        self.touch(work, cell)?;
        let id = self.layout.cell(&work.words, cell);
        let old = self.values.decode(id);
        let new = change.apply(old);
        if new != old {
            let new = self.encode(new)?;
            self.write(work, cell, new)?;
        }
        Ok(id)
    }

    pub(crate) fn device(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        op: u64,
    ) -> Result<Option<u16>, Box<Trouble>> {
        let facts = self.scenario.device().facts(op);
        let reads = facts.synchronizes || facts.reaches_walks || facts.refetches.is_some();
        let weak = reads.then(|| work.weak.clone());
        let before = self.begin_device(work, cpu, (op, facts))?;
        let shared = work.shared;
        self.spare.copy_from_slice(&work.locals);
        let device = self.scenario.device();
        let mut view = View {
            shared: &mut work.shared,
            locals: &mut work.locals,
            words: &work.words,
            layout: &self.layout,
            values: &self.values,
            weak: &work.weak,
        };
        match device.step(&mut view, cpu, op) {
            Effect::Done(result) => {
                work.device = true;
                self.settle(work)?;
                if self.layout.weak {
                    self.uses_end(work, cpu, (before, facts.completes))?;
                }
                self.encode(result).map(Some)
            }
            Effect::Blocked => {
                work.shared = shared;
                work.locals.copy_from_slice(&self.spare);
                if let Some(weak) = weak {
                    work.weak = weak;
                }
                Ok(None)
            }
            Effect::Violation(violation) => Err(Box::new(Trouble::Violation(violation))),
        }
    }

    /// What comes before an operation of the device: walks catch up, and what it gives away must be given up. Returns
    /// what CPUs use.
    fn begin_device(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        (op, facts): (u64, Facts),
    ) -> Result<[Uses; CPUS], Box<Trouble>> {
        if !self.layout.weak {
            return Ok([Uses::default(); CPUS]);
        }
        if facts.synchronizes {
            self.synchronize(work, cpu);
        }
        if let Some(Refetch { first, end, everywhere }) = facts.refetches {
            let cpus = if everywhere { 0..self.layout.cpus } else { cpu..cpu + 1 };
            work.weak.refetch(cpu, cpus, first..end);
        }
        if facts.reaches_walks {
            let kind = if facts.fences { CURRENT } else { work.weak.walked() };
            work.weak.reach_walks((cpu, kind), self.layout.watched);
        }
        match self.still_used(work, cpu, (Used::Device, facts.gives)) {
            Some(user) => Err(Box::new(Trouble::Violation(self.scenario.device().unordered(op, cpu, user)))),
            None => Ok(self.uses_now(work)),
        }
    }

    fn retire(&mut self, work: &mut Work<S::Device>, cpu: usize, object: u8) -> Result<(), Box<Trouble>> {
        if work.dead() >> object & 1 != 0 {
            let name = lock(self.world).cells.object_name(object).to_owned();
            return Err(Box::new(Trouble::Violation(
                format!("the memory of {name} was given back twice").into(),
            )));
        }
        if let Some(cell) = self.on_its_way(work, cpu, object) {
            let name = lock(self.world).cells.name(cell);
            let text = format!("a store to {name} may still be on its way where its memory is given back");
            return Err(Box::new(Trouble::Violation(text.into())));
        }
        if let Some(user) = self.still_used(work, cpu, (Used::Objects, 1 << object)) {
            let name = lock(self.world).cells.object_name(object).to_owned();
            let text =
                format!("nothing orders CPU {user}'s last use of {name} before its memory is given back");
            return Err(Box::new(Trouble::Violation(text.into())));
        }
        work.kill(object);
        Ok(())
    }

    /// Ends the topmost handler; main code just stays ended.
    fn leave(&mut self, work: &mut Work<S::Device>, cpu: usize) -> bool {
        let gate = self.gates.interrupt_return();
        if work.top(&self.layout, cpu) == 0 || !self.open(work, cpu, gate, 0) {
            return false;
        }
        work.pop_frame(&self.layout, cpu);
        true
    }

    fn drain(&mut self, work: &mut Work<S::Device>, cpu: usize, index: usize) -> Moved {
        if !self.drainable(work, cpu, index) {
            return Ok(false);
        }
        let (entry, value) = work.entry(&self.layout, cpu, index);
        let cell = entry_cell(entry);
        self.touch(work, cell)?;
        work.remove_entry(&self.layout, cpu, index);
        // A marker with nothing before it has done its work.
        while work.buffered(&self.layout, cpu) > 0 && work.entry(&self.layout, cpu, 0).0 & BARRIER != 0 {
            work.remove_entry(&self.layout, cpu, 0);
        }
        work.set_cell(&self.layout, cell, value);
        if usize::from(cell) < self.layout.watched {
            self.settle(work)?;
        }
        Ok(true)
    }

    fn interrupt(&mut self, work: &mut Work<S::Device>, cpu: usize, line: u8) -> Moved {
        if line >= 32 || self.deliverable(work, cpu) >> line & 1 == 0 {
            return Ok(false);
        }
        let same = |raised: &&RaisedLine| (usize::from(raised.cpu), raised.line) == (cpu, line);
        let Some(node) = self.raised_lines.iter().find(same).map(|raised| raised.node) else {
            return Err(Box::new(Trouble::Stop(format!("interrupt {line} of CPU {cpu} is unknown"))));
        };
        let lines = work.pending(&self.layout, cpu) & !(1 << line);
        work.set_pending(&self.layout, cpu, lines);
        work.weak.receive((cpu as u8, line), true);
        let urgent = self.non_maskable >> line & 1 != 0;
        work.push_frame(&self.layout, cpu, DONE, urgent);
        self.arrive(work, cpu, node)
    }

    /// Moves frames whose awaited words have changed back to where they evaluate their condition. A real waiter
    /// spins there all the time, so doing it at once takes no behaviour away.
    pub(crate) fn wake(&mut self, work: &mut Work<S::Device>) {
        if !core::mem::take(&mut work.stirred) {
            return;
        }
        for cpu in 0..self.layout.cpus {
            let node = work.node(&self.layout, cpu);
            let Node { op: Op::WaitFalse, back, reads: (start, count), .. } = self.nodes[node as usize]
            else {
                continue;
            };
            let reads = &self.reads[start as usize..start as usize + usize::from(count)];
            let dead = work.dead();
            let news = |&(cell, value): &(u16, u16)| {
                // A waiter on memory that was given back goes on reading it.
                self.view(work, cpu, cell).0 != value || self.layout.objects[usize::from(cell)] & dead != 0
            };
            if reads.iter().any(news) {
                let top = work.top(&self.layout, cpu);
                work.set_frame(&self.layout, cpu, top, back);
            }
        }
    }

    fn write(&mut self, work: &mut Work<S::Device>, cell: u16, value: u16) -> Result<(), Box<Trouble>> {
        if self.layout.cell(&work.words, cell) == value {
            return Ok(());
        }
        work.set_cell(&self.layout, cell, value);
        if usize::from(cell) < self.layout.watched { self.settle(work) } else { Ok(()) }
    }

    /// Lets hardware do what it may do by itself, and has the state checked.
    pub(crate) fn settle(&mut self, work: &mut Work<S::Device>) -> Result<(), Box<Trouble>> {
        work.device = true;
        let device = self.scenario.device();
        device
            .settle(&mut self.device_view(work))
            .map_err(|violation| Box::new(Trouble::Violation(violation)))
    }

    /// What the device sees of a state.
    pub(crate) fn device_view<'v>(&'v self, work: &'v mut Work<S::Device>) -> View<'v, S::Device> {
        View {
            shared: &mut work.shared,
            locals: &mut work.locals,
            words: &work.words,
            layout: &self.layout,
            values: &self.values,
            weak: &work.weak,
        }
    }

    #[inline]
    pub(crate) fn touch(&self, work: &Work<S::Device>, cell: u16) -> Result<(), Box<Trouble>> {
        let objects = self.layout.objects[usize::from(cell)];
        if objects != 0 && objects & work.dead() != 0 { Err(self.dead(cell)) } else { Ok(()) }
    }

    #[cold]
    fn dead(&self, cell: u16) -> Box<Trouble> {
        let name = lock(self.world).cells.name(cell);
        Box::new(Trouble::Violation(format!("use of {name} after its memory was given back").into()))
    }

    /// Gives `cpu`'s topmost frame its answer.
    pub(crate) fn advance(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        node: u32,
        answer: u16,
    ) -> Moved {
        self.answered = Some(answer);
        let next = self.kid(node, answer)?;
        self.arrive(work, cpu, next)
    }

    /// Notes that an execution passes a node.
    pub(crate) fn pass(&mut self, node: u32) {
        if self.collect {
            let word = node as usize / 64;
            if word >= self.passed.len() {
                self.passed.resize(word + 1, 0);
            }
            self.passed[word] |= 1 << (node % 64);
        }
    }

    pub(crate) fn arrive(&mut self, work: &mut Work<S::Device>, cpu: usize, node: u32) -> Moved {
        self.pass(node);
        let top = work.top(&self.layout, cpu);
        match self.nodes[node as usize].op {
            Op::WaitFalse => {
                // Its words may have changed while it was reading them.
                work.stirred = true;
                work.set_frame(&self.layout, cpu, top, node);
            }
            // Frames that have ended are all alike.
            Op::Done => work.set_frame(&self.layout, cpu, top, DONE),
            Op::Panicked => return Err(Box::new(Trouble::Violation(lock(self.world).wrong(node)))),
            Op::Stop => return Err(Box::new(Trouble::Stop(lock(self.world).text(node)))),
            _ => work.set_frame(&self.layout, cpu, top, node),
        }
        Ok(true)
    }
}
