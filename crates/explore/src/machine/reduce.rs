//! Partial-order reduction: steps that run at once.
//!
//! A step `e` of one CPU runs as soon as it is that CPU's next one, and the state before it is not stored, if
//!
//! 1. whatever else may happen before it (steps of other CPUs and of their handlers, drains of any store buffer,
//!    handlers that this CPU may enter first) commutes with it: doing `e` first leads to the same state and forbids
//!    none of it, and
//! 2. the device does not see it.
//!
//! Then every execution that does `e` later is equivalent to one that does it now: each frame passes the same nodes,
//! the same final states and deadlocks are reached, and each state from which all CPUs can finish keeps one such path.
//! In the words of the literature `{e}` is a singleton ample set (Clarke, Grumberg, Peled: Model Checking, ch. 10).
//! No cycle of the state graph consists of such steps only: going back in a loop is never one of them, and a chain of
//! them is cut after [`CHAIN`], so nothing is put off for ever.
//!
//! What else may happen is read off *footprints*: for each node, the cells that its frame may read or write from there
//! on and the interrupts that it may raise. Earlier rounds learn them; a round that finds a node which they do not
//! cover (`World::news`) does not count.
//!
//! Rules, with what `e` must not meet:
//!
//! * load of `l`: a write of `l` by others or by handlers that may come first. Own buffered stores to `l` do no harm:
//!   the load sees the newest of them before and after it reaches memory.
//! * load of a wait that evaluates to false and read nothing else: nothing. The frame is blocked by it until `l`
//!   changes, and then evaluates again, so each order of the load and of the change is still there:
//!
//!   ```text
//!   waiter reads l, false     |                       l changes first: the waiter, blocked or not,
//!                             |  l := 1               evaluates after it in both cases
//!   ```
//!
//! * store to memory, read-modify-write: any access of `l` by others or by handlers that may come first; `l` watched.
//! * store into the buffer: a handler that may come first. Before the store it finds a buffer without it:
//!
//!   ```text
//!   main code                 |  handler
//!   l := 1 (buffered)         |
//!                             |  fence: must wait for l, so others see l before what follows the fence
//!   ```
//!
//!   Other CPUs cannot tell when it enters the buffer, only when it leaves. `l` watched: the device can tell.
//! * entry `l` leaves the buffer: any access of `l` by others; `l` watched; memory around `l` that this CPU may give
//!   back later. Own code cannot tell, except that what waits for an empty buffer gets possible.
//! * fence, once it is possible: nothing. Barrier marker: a handler that may come first, as for stores.
//! * interrupts on: nothing, it only makes more possible. Interrupts off: a maskable interrupt that may come. If one
//!   may, the step is joined with the next: whatever others do between the two they can do before both.
//! * return from a handler, once possible: like interrupts on, or off, by what it restores.
//! * memory given back: every access of it by others or by handlers that may come first, own buffered stores to it.
//! * device operations: as the device says (`Facts`), but never past own buffered stores that the device sees.
//!
//! Where turns of CPUs are counted ([`crate::Options::contexts`]), steps that run at once begin none: they belong to a
//! later turn of their CPU, from which they were taken. So every execution of at most `n` turns has its reduced one of
//! at most `n`. Under weak memory a step changes messages of one word and views of its own CPU, and what it may read is
//! a choice:
//!
//! * load of `l`: a write of `l` by others or by handlers that may come first; older messages of `l` that it may read.
//!   Where a handler may come first, views that the load adds to (the handler's stores would carry them).
//! * load of a wait that evaluates to false whatever message it reads, and read nothing else: nothing.
//! * store: messages of `l` that the CPU does not know of, handlers that may come first; `l` watched. Others do not
//!   matter: a load of `l` that comes before it may as well read an older message after it, and a store that comes
//!   before it may be put before it. A CPU that gives back the memory around `l` comes first, so that the store is an
//!   error, or does not know of it, and then it errs.
//! * read-modify-write: the same, and any access of `l` by others.
//! * acquire or release fence: where a handler may come first, views that it changes. Full fence: those of others and
//!   of handlers that may come first.
//! * all of these: what their CPU's page walks may read, since the device may look at it between two steps of others;
//!   fences that are kept in order (`weak/orders.rs`), since what comes after such a fence decides what may go before
//!   it.
//! * device operations: a full fence among them; watched words of which the CPU's walks may read several values.
//!
//! The rules above for interrupts and memory given back hold as they are. Messages of a word that a CPU does not use
//! any more are dropped as if it had read the newest: it can tell no difference, and what it releases to others cannot
//! either, since they know more.
//!
//! Raising, taking and losing interrupts, choices and going back in a loop are never run at once. A loss conflicts with
//! raising and taking on the same CPU alone, since it changes nothing but which of its interrupts are pending: every
//! step that runs at once commutes with it.

use crate::machine::device::Commutes;
use crate::machine::footprint::{Footprint, line_index};
use crate::machine::layout::{BARRIER, BUFFER, CPUS, entry_cell};
use crate::machine::moves::{Action, Move};
use crate::machine::node::RaisedLine;
use crate::machine::op::{Gate, Op};
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, Moved, Trouble};

/// Steps that run at once after one move, at most.
const CHAIN: u32 = 4096;

/// What may happen around a CPU before its next step.
pub(crate) struct Around {
    /// By other CPUs, their store buffers and their handlers.
    pub(crate) others: Footprint,
    /// By handlers of this CPU.
    pub(crate) handlers: Footprint,
    /// Lines of this CPU that may become pending.
    pub(crate) lines: u32,
}

impl<S: Scenario> Machine<'_, '_, S> {
    /// Makes `mov` and whatever runs at once after it.
    pub(crate) fn successor(&mut self, work: &mut Work<S::Device>, mov: Move) -> Moved {
        let masks = self.partial_order && self.masks(work, mov);
        if !self.apply_in_turn(work, mov)? {
            return Ok(false);
        }
        if masks && self.passable(work, mov.cpu) == 0 {
            self.apply(work, Move { cpu: mov.cpu, action: Action::Run })?;
        }
        self.normalise(work)
    }

    /// Makes `mov` unless it is a turn too many.
    fn apply_in_turn(&mut self, work: &mut Work<S::Device>, mov: Move) -> Moved {
        let within = self.contexts.is_none_or(|most| work.take_turn(mov.cpu, most));
        let moved = self.apply(work, mov);
        let undone =
            matches!(&moved, Err(trouble) if matches!(**trouble, Trouble::Restart | Trouble::Unknown(..)));
        if within || undone || moved == Ok(false) {
            return moved;
        }
        self.cut = true;
        Ok(false)
    }

    /// Notes what each CPU may still do in a state whose successors are wanted.
    pub(crate) fn prepare(&mut self, work: &Work<S::Device>) {
        if self.partial_order {
            for cpu in 0..self.layout.cpus {
                self.prints[cpu] = self.print(work, cpu);
            }
        }
    }

    /// Makes all steps that may run at once in a state that nobody has looked at.
    pub(crate) fn normalise_all(&mut self, work: &mut Work<S::Device>) -> Moved {
        self.prepare(work);
        work.fresh = u32::MAX;
        self.normalise(work)
    }

    /// Makes all steps that may run at once. Where nothing is fresh no step can: the state before the move had none
    /// left, and a CPU gets one only by its own change or when another has less ahead of it than before.
    fn normalise(&mut self, work: &mut Work<S::Device>) -> Moved {
        if !self.partial_order {
            return Ok(true);
        }
        let cpus = self.layout.cpus;
        for cpu in 0..cpus {
            self.ahead[cpu] = self.prints[cpu];
        }
        self.run_at_once(work)?;
        if self.layout.weak {
            self.drop_unread(work)?;
        }
        Ok(true)
    }

    fn run_at_once(&mut self, work: &mut Work<S::Device>) -> Result<(), Box<Trouble>> {
        let mut look = self.refresh(work);
        let mut chain = 0;
        while look != 0 && chain < CHAIN {
            let cpu = look.trailing_zeros() as usize;
            look &= look - 1;
            // While only this CPU steps, what may happen around it does not grow.
            let around = self.around(cpu);
            let before = chain;
            while let Some(action) = self.at_once(work, cpu, &around)? {
                if chain == CHAIN || !self.apply(work, Move { cpu, action })? {
                    break;
                }
                chain += 1;
            }
            if chain > before {
                look |= self.refresh(work);
            }
        }
        Ok(())
    }

    /// Brings what CPUs may still do up to date; returns those that may have got a step that can run at once.
    fn refresh(&mut self, work: &mut Work<S::Device>) -> u32 {
        let cpus = self.layout.cpus;
        let all = (1 << cpus) - 1;
        let fresh = (core::mem::take(&mut work.fresh) >> 1) & all;
        let mut look = fresh;
        for cpu in 0..cpus {
            if fresh >> cpu & 1 != 0 {
                let now = self.print(work, cpu);
                if self.ahead[cpu] != now {
                    self.ahead[cpu] = now;
                    look = all;
                }
            } else if work.device && self.asks_device(work, cpu) {
                // What the device did may have made its operation possible.
                look |= 1 << cpu;
            }
        }
        look
    }

    /// Whether `cpu` is about to do a device operation that may run at once.
    fn asks_device(&self, work: &Work<S::Device>, cpu: usize) -> bool {
        matches!(
            self.nodes[work.node(&self.layout, cpu) as usize].op,
            Op::Device { commutes: Commutes::Always | Commutes::Masked, .. }
        )
    }

    /// What `cpu` may still do: frames, pending interrupts, store buffer.
    fn print(&self, work: &Work<S::Device>, cpu: usize) -> Footprint {
        let mut print = Footprint::default();
        for frame in 0..=work.top(&self.layout, cpu) {
            print.join(&self.footprints[work.frame(&self.layout, cpu, frame) as usize]);
        }
        for (entry, _) in self.layout.entries(&work.words, cpu) {
            if entry & BARRIER == 0 {
                print.writes.add(entry_cell(entry).into());
            }
        }
        let mut lines = work.pending(&self.layout, cpu);
        while lines != 0 {
            let line = lines.trailing_zeros() as u8;
            lines &= lines - 1;
            let same =
                |raised_line: &RaisedLine| (usize::from(raised_line.cpu), raised_line.line) == (cpu, line);
            if let Some(index) = self.raised_lines.iter().position(same) {
                print.writes.add(crate::machine::footprint::line_bit(index));
            }
        }
        print
    }

    /// What may happen before `cpu`'s next step.
    fn around(&self, cpu: usize) -> Around {
        let mut around = Around { others: Footprint::default(), handlers: Footprint::default(), lines: 0 };
        for (other, print) in self.ahead[..self.layout.cpus].iter().enumerate() {
            if other != cpu {
                around.others.join(print);
            }
        }
        self.each_raised(|raised, print| {
            if usize::from(raised.cpu) == cpu {
                around.handlers.join(print);
                around.lines |= 1 << raised.line;
            } else {
                around.others.join(print);
            }
        });
        around
    }

    /// What each CPU and its handlers may still do.
    pub(crate) fn with_handlers(&self) -> [Footprint; CPUS] {
        let mut all = self.ahead;
        self.each_raised(|raised, print| all[usize::from(raised.cpu)].join(print));
        all
    }

    /// The lines that may be raised from here on, and what their handlers may do.
    fn each_raised(&self, mut see: impl FnMut(RaisedLine, &Footprint)) {
        let raised = |print: &Footprint| print.writes.top() & self.lines_mask;
        let mut seen = self.ahead[..self.layout.cpus].iter().fold(0, |all, print| all | raised(print));
        let mut left = seen;
        while left != 0 {
            let line = self.raised_lines[line_index(left)];
            let print = &self.footprints[line.node as usize];
            let more = raised(print) & !seen;
            seen |= more;
            left = (left & (left - 1)) | more;
            see(line, print);
        }
    }

    /// The step of `cpu` that may run at once, if there is one.
    fn at_once(
        &mut self,
        work: &Work<S::Device>,
        cpu: usize,
        around: &Around,
    ) -> Result<Option<Action>, Box<Trouble>> {
        let node = work.node(&self.layout, cpu);
        let op = self.nodes[node as usize].op;
        let buffered = work.buffered(&self.layout, cpu);
        if buffered == 0 && matches!(op, Op::WaitFalse | Op::LoopBack | Op::Choose(_) | Op::Raise { .. }) {
            return Ok(None);
        }
        for index in 0..buffered {
            if self.drains_at_once(work, cpu, index, around) {
                return Ok(Some(Action::Drain(index as u8)));
            }
        }
        let mut now = self.runs_at_once(work, cpu, op, around);
        if self.layout.weak {
            now = now || self.recalls_at_once(work, cpu, op, around)?;
            if let (false, true, Op::Load { cell, .. }) = (now, self.nodes[node as usize].begins_wait, op) {
                now = self.sleeps_at_once(work, cpu, cell)?;
            }
        } else if let (false, Op::Load { cell, .. }) = (now, op) {
            // A false evaluation that read one word: blocked or about to be blocked are the same.
            let answer = self.view(work, cpu, cell).0;
            if self.nodes[node as usize].begins_wait {
                let next = self.kid(node, answer)?;
                let next = &self.nodes[next as usize];
                now = next.instant && next.back == node;
            }
        }
        Ok(now.then_some(Action::Run))
    }

    fn drains_at_once(&self, work: &Work<S::Device>, cpu: usize, index: usize, around: &Around) -> bool {
        if !self.drainable(work, cpu, index) {
            return false;
        }
        let cell = entry_cell(work.entry(&self.layout, cpu, index).0);
        let retires = self.ahead[cpu].retires | around.handlers.retires;
        !self.watched(cell)
            && !around.others.touches(cell)
            && retires & self.layout.objects[usize::from(cell)] == 0
    }

    fn runs_at_once(&self, work: &Work<S::Device>, cpu: usize, op: Op, around: &Around) -> bool {
        // Handlers that may come before the step: none if no line can be taken now. Once one is entered, it may
        // turn interrupts on and let others in, so it is all or nothing.
        let takeable = self.takeable(work, cpu) & around.lines;
        let alone = takeable == 0;
        let touched = |cell: u16| around.others.touches(cell) || !alone && around.handlers.touches(cell);
        match op {
            Op::Load { .. } | Op::Buffer { .. } | Op::Rmw { .. } | Op::Order(_) if self.layout.weak => false,
            Op::Load { cell, .. } => {
                let cell = usize::from(cell);
                !around.others.writes.has(cell) && (alone || !around.handlers.writes.has(cell))
            }
            Op::Put { cell, gate, .. } | Op::Rmw { cell, gate, .. } => {
                self.open(work, cpu, gate, cell) && !self.watched(cell) && !touched(cell)
            }
            Op::Buffer { cell, .. } => {
                alone && !self.watched(cell) && work.buffered(&self.layout, cpu) < BUFFER
            }
            Op::Fence { gate } => self.open(work, cpu, gate, 0),
            Op::Mark => alone && work.buffered(&self.layout, cpu) < BUFFER,
            Op::IrqEnabled | Op::IrqRestore(true) => true,
            Op::IrqSave | Op::IrqRestore(false) => {
                !work.irq(&self.layout, cpu) || takeable & !self.non_maskable == 0
            }
            Op::Device { gate, commutes, .. } => {
                let independent = match commutes {
                    Commutes::Never => false,
                    Commutes::Always => true,
                    Commutes::Masked => alone,
                };
                let fences = self.layout.weak && gate == Gate::Empty;
                independent
                    && !fences
                    && self.open(work, cpu, gate, 0)
                    && !self.sees_buffer(work, cpu)
                    && !self.walks_differ(work, cpu)
            }
            Op::Retire(object) => self.retires_at_once(work, cpu, object, around, alone),
            Op::Done => {
                work.top(&self.layout, cpu) > 0
                    && self.open(work, cpu, self.gates.interrupt_return(), 0)
                    && (work.saved_irq(&self.layout, cpu)
                        || !work.irq(&self.layout, cpu)
                        || takeable & !self.non_maskable == 0)
            }
            Op::Order(_)
            | Op::Raise { .. }
            | Op::Lose(_)
            | Op::Choose(_)
            | Op::WaitFalse
            | Op::LoopBack
            | Op::Panicked
            | Op::Stop => false,
        }
    }

    fn retires_at_once(
        &self,
        work: &Work<S::Device>,
        cpu: usize,
        object: u8,
        around: &Around,
        alone: bool,
    ) -> bool {
        let inside = |cell: u16| self.layout.objects[usize::from(cell)] >> object & 1 != 0;
        let touched = |cell: u16| around.others.touches(cell) || !alone && around.handlers.touches(cell);
        let buffered = |(entry, _): (u16, u16)| entry & BARRIER == 0 && inside(entry_cell(entry));
        let twice = around.others.retires | if alone { 0 } else { around.handlers.retires };
        twice >> object & 1 == 0
            && !self.layout.entries(&work.words, cpu).any(buffered)
            && !(0..self.layout.cells as u16).any(|cell| inside(cell) && touched(cell))
    }

    /// Whether `mov` turns interrupts off, so that it is joined with the step after it.
    fn masks(&self, work: &Work<S::Device>, mov: Move) -> bool {
        mov.action == Action::Run
            && work.irq(&self.layout, mov.cpu)
            && matches!(
                self.nodes[work.node(&self.layout, mov.cpu) as usize].op,
                Op::IrqSave | Op::IrqRestore(false)
            )
    }

    fn sees_buffer(&self, work: &Work<S::Device>, cpu: usize) -> bool {
        let seen = |(entry, _): (u16, u16)| entry & BARRIER == 0 && self.watched(entry_cell(entry));
        self.layout.entries(&work.words, cpu).any(seen)
    }

    #[inline]
    fn watched(&self, cell: u16) -> bool {
        usize::from(cell) < self.layout.watched
    }
}
