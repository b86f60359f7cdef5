//! Steps of the machine on messages and views: which are possible, what they do, and which run at once.

use crate::code::request::Change;
use crate::machine::footprint::FENCES;
use crate::machine::layout::CPUS;
use crate::machine::node::{DONE, Node};
use crate::machine::op::{Gate, Op, Sides};
use crate::machine::reduce::Around;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, Moved, Trouble};
use crate::machine::weak::messages::{ACQUIRE, CURRENT, RELEASE, Weak};
use crate::machine::weak::orders::Write;
use crate::machine::weak::uses::Used;

type Result<T> = core::result::Result<T, Box<Trouble>>;

impl<S: Scenario> Machine<'_, '_, S> {
    /// How many newer messages (or other fences) the next step of `cpu` may pass over at most.
    pub(crate) fn passable(&self, work: &Work<S::Device>, cpu: usize) -> u8 {
        if !self.layout.weak {
            return 0;
        }
        let weak = &work.weak;
        let passable = match self.nodes[work.node(&self.layout, cpu) as usize].op {
            Op::Load { cell, .. } | Op::Buffer { cell, .. } | Op::Rmw { cell, .. } => {
                weak.newest(cell) - weak.oldest(cpu, cell)
            }
            Op::Order(Sides { full: true, .. }) | Op::Device { gate: Gate::Empty, .. } => weak.passable(cpu),
            _ => 0,
        };
        passable as u8
    }

    /// Makes the next step of `cpu`, which concerns messages and passes over `newer` of them; `None` if it is another
    /// step.
    pub(crate) fn recall(&mut self, work: &mut Work<S::Device>, cpu: usize, newer: u8) -> Option<Moved> {
        let node = work.node(&self.layout, cpu);
        let newer = usize::from(newer);
        let answer = match self.nodes[node as usize].op {
            Op::Load { cell, acquire } => self.read(work, cpu, (cell, newer), (node, acquire)),
            Op::Buffer { cell, value, release } => {
                let newest = self.layout.cell(&work.words, cell);
                self.publish(work, cpu, newer, Write { cell, value, release, newest })
            }
            Op::Rmw { cell, change, sides, .. } => self.replace(work, cpu, (cell, newer), (change, sides)),
            Op::Order(sides) => self.order(work, cpu, newer, sides),
            Op::Device { op, gate: Gate::Empty, .. } => self.ordered_device(work, cpu, newer, op),
            _ => return None,
        };
        Some(match answer {
            Ok(Some(answer)) => self.advance(work, cpu, node, answer),
            Ok(None) => Ok(false),
            Err(trouble) => Err(trouble),
        })
    }

    fn read(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        (cell, newer): (u16, usize),
        (node, acquire): (u32, bool),
    ) -> Result<Option<u16>> {
        let Some(place) = readable(&work.weak, cpu, cell, newer) else { return Ok(None) };
        self.touch(work, cell)?;
        let value = work.weak.value(cell, place, self.layout.cell(&work.words, cell));
        if !self.falls_asleep(node, value)? {
            self.use_memory(work, cpu, cell)?;
            work.weak.load(cpu, cell, place, acquire);
        }
        Ok(Some(value))
    }

    /// Whether a load is all of a wait's evaluation, and that is false. Such a load is as good as none: what it adds to
    /// the CPU's view only takes executions away, and the evaluation that ends the wait reads again.
    fn falls_asleep(&mut self, node: u32, value: u16) -> Result<bool> {
        if !self.nodes[node as usize].begins_wait {
            return Ok(false);
        }
        let next = self.kid(node, value)?;
        let next = &self.nodes[next as usize];
        Ok(next.instant && next.back == node)
    }

    fn publish(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        newer: usize,
        write: Write,
    ) -> Result<Option<u16>> {
        let weak = &work.weak;
        let Some(place) = (weak.newest(write.cell) + 1).checked_sub(newer) else { return Ok(None) };
        if place <= weak.oldest(cpu, write.cell) || !weak.fits(write.cell, place) {
            return Ok(None);
        }
        self.touch(work, write.cell)?;
        self.use_memory(work, cpu, write.cell)?;
        work.weak.store(cpu, place, write).map_err(|text| self.too_many(write.cell, text))?;
        self.published(work, newer, write)?;
        Ok(Some(0))
    }

    fn published(&mut self, work: &mut Work<S::Device>, newer: usize, write: Write) -> Result<()> {
        if newer == 0 {
            work.set_cell(&self.layout, write.cell, write.value);
        }
        work.stirred = true;
        if usize::from(write.cell) < self.layout.watched { self.settle(work) } else { Ok(()) }
    }

    fn replace(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        (cell, newer): (u16, usize),
        (change, sides): (Change, Sides),
    ) -> Result<Option<u16>> {
        let Some(place) = readable(&work.weak, cpu, cell, newer) else { return Ok(None) };
        let newest = self.layout.cell(&work.words, cell);
        let id = work.weak.value(cell, place, newest);
        let old = self.values.decode(id);
        let fails = matches!(change, Change::Cas(current, _) if current != old);
        if !fails && !work.weak.fits(cell, place + 1) {
            return Ok(None);
        }
        self.touch(work, cell)?;
        self.use_memory(work, cpu, cell)?;
        if fails {
            work.weak.load(cpu, cell, place, sides.failed);
            return Ok(Some(id));
        }
        let write = Write { cell, value: self.encode(change.apply(old))?, release: sides.release, newest };
        work.weak.load(cpu, cell, place, sides.acquire);
        work.weak.replace(cpu, place, write).map_err(|text| self.too_many(cell, text))?;
        self.published(work, newer, write)?;
        Ok(Some(id))
    }

    fn order(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        newer: usize,
        sides: Sides,
    ) -> Result<Option<u16>> {
        if sides.full {
            return Ok(self.full_fence(work, cpu, newer)?.then_some(0));
        }
        if newer > 0 {
            return Ok(None);
        }
        work.weak.fence(cpu, sides.acquire, sides.release);
        Ok(Some(0))
    }

    fn full_fence(&mut self, work: &mut Work<S::Device>, cpu: usize, newer: usize) -> Result<bool> {
        let before = (newer > 0).then(|| work.weak.clone());
        let possible = work.weak.full_fence(cpu, newer).map_err(|_| {
            Box::new(Trouble::Stop("more fences are to be kept in order than fit".to_owned()))
        })?;
        if let (false, Some(before)) = (possible, before) {
            work.weak = before;
        }
        Ok(possible)
    }

    /// A device operation that waits for stores: a full fence comes before it.
    fn ordered_device(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        newer: usize,
        op: u64,
    ) -> Result<Option<u16>> {
        let before = work.weak.clone();
        if !self.full_fence(work, cpu, newer)? {
            return Ok(None);
        }
        let answer = self.device(work, cpu, op)?;
        if answer.is_none() {
            work.weak = before;
        }
        Ok(answer)
    }

    #[cold]
    fn too_many(&self, cell: u16, text: &str) -> Box<Trouble> {
        let name = crate::machine::step::lock(self.world).cells.name(cell);
        Box::new(Trouble::Stop(format!("{name}: {text}")))
    }

    /// Memory that is given back must have seen all stores to it: one that the CPU does not know of may still be on its
    /// way. The word of such a store.
    pub(crate) fn on_its_way(&self, work: &Work<S::Device>, cpu: usize, object: u8) -> Option<u16> {
        if !self.layout.weak {
            return None;
        }
        let inside = |cell: &u16| self.layout.objects[usize::from(*cell)] >> object & 1 != 0;
        let unknown = |cell: &u16| work.weak.oldest(cpu, *cell) < work.weak.newest(*cell);
        (0..self.layout.cells as u16).filter(inside).find(unknown)
    }

    /// Moves frames that wait back to their condition, where a message that they may read changes something.
    pub(crate) fn wake_readers(&mut self, work: &mut Work<S::Device>) -> Result<()> {
        if !core::mem::take(&mut work.stirred) {
            return Ok(());
        }
        for cpu in 0..self.layout.cpus {
            let node = work.node(&self.layout, cpu);
            if self.nodes[node as usize].op == Op::WaitFalse && self.has_news(work, cpu, node)? {
                let top = work.top(&self.layout, cpu);
                work.set_frame(&self.layout, cpu, top, self.nodes[node as usize].back);
            }
        }
        Ok(())
    }

    fn has_news(&mut self, work: &Work<S::Device>, cpu: usize, node: u32) -> Result<bool> {
        let Node { back, reads: (start, count), instant, .. } = self.nodes[node as usize];
        for index in start as usize..start as usize + usize::from(count) {
            let (cell, seen) = self.reads[index];
            if self.layout.objects[usize::from(cell)] & work.dead() != 0 {
                return Ok(true);
            }
            let newest = self.layout.cell(&work.words, cell);
            let last = work.weak.newest(cell);
            for place in work.weak.oldest(cpu, cell)..=last {
                let value = work.weak.value(cell, place, newest);
                // Of those on which it would go on sleeping only the newest counts, which it reads sooner or later.
                if value != seen && (place == last || !instant || !self.falls_asleep(back, value)?) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Drops messages that no CPU can read, as far as is known without a look ahead.
    pub(crate) fn drop_unreadable(&self, work: &mut Work<S::Device>) {
        // Where steps run at once, `drop_unread` does more after the last of them.
        if !self.partial_order && work.weak.changed && !work.weak.messages.is_empty() {
            work.weak.prune(self.layout.watched, |_, _| true);
        }
    }

    /// Drops messages that no CPU will read: those of words that a CPU does not use any more count as read by it.
    /// Hardware may read those that it watches at any time. Where footprints are too small, in a round that does not
    /// count, this takes executions away and adds none; fences are kept for every CPU that has not finished, since
    /// forgetting them would.
    pub(crate) fn drop_unread(&mut self, work: &mut Work<S::Device>) -> Result<()> {
        if work.weak.messages.is_empty() {
            return Ok(());
        }
        let ahead = self.with_handlers();
        self.drop_unwanted(work, &ahead[..self.layout.cpus])?;
        let order = work.weak.order();
        // What came after fences that are kept in order is compared with what CPUs knew, used or not.
        let all = !work.weak.limits.is_empty();
        let mut finished = [false; CPUS];
        (0..self.layout.cpus).for_each(|cpu| finished[cpu] = work.node(&self.layout, cpu) == DONE);
        let first = work.weak.uses(Used::Device, 0);
        work.weak.prune(self.layout.watched, |cpu, cell| {
            if cell == order {
                !finished[cpu] || ahead[cpu].writes.has(FENCES)
            } else if let Some(used) = Used::said_by(cell, first, self.layout.cpus) {
                used.given(&ahead[cpu]) != 0
            } else {
                all || usize::from(cell) < self.layout.watched || ahead[cpu].touches(cell)
            }
        });
        Ok(())
    }

    /// Whether the next step of `cpu`, one of those that concern messages, may run at once (`reduce.rs`).
    pub(crate) fn recalls_at_once(
        &mut self,
        work: &Work<S::Device>,
        cpu: usize,
        op: Op,
        around: &Around,
    ) -> Result<bool> {
        let weak = &work.weak;
        let alone = self.takeable(work, cpu) & around.lines == 0;
        if !weak.limits.is_empty() {
            return Ok(false);
        }
        Ok(match op {
            Op::Load { cell, acquire } => {
                let id = usize::from(cell);
                let written = around.others.writes.has(id) || !alone && around.handlers.writes.has(id);
                !written
                    && weak.oldest(cpu, cell) == weak.newest(cell)
                    && self.reads_quietly(weak, cpu, (cell, acquire), alone)
            }
            Op::Buffer { cell, .. } => alone && self.knows_all(weak, cpu, cell),
            Op::Rmw { cell, sides, .. } => {
                alone
                    && !around.others.touches(cell)
                    && self.knows_all(weak, cpu, cell)
                    && self.reads_quietly(weak, cpu, (cell, sides.acquire || sides.failed), alone)
            }
            Op::Order(sides) => {
                let fences = around.others.writes.has(FENCES);
                let takes = sides.acquire && !self.walks_alike(weak, cpu, weak.view(cpu, ACQUIRE));
                !takes
                    && if sides.full {
                        alone && !fences && self.fences_quietly(weak, cpu)
                    } else {
                        alone || quiet(weak, cpu, sides)
                    }
            }
            _ => false,
        })
    }

    /// Whether `cpu` knows all messages of a word that hardware does not read. A store to it may come before whatever
    /// others do: they may go on reading what is older, and store what goes before.
    fn knows_all(&self, weak: &Weak, cpu: usize, cell: u16) -> bool {
        usize::from(cell) >= self.layout.watched && weak.oldest(cpu, cell) == weak.newest(cell)
    }

    /// Whether reading the newest message adds nothing to `cpu`'s views, or nobody can tell when it does.
    fn reads_quietly(&self, weak: &Weak, cpu: usize, (cell, acquire): (u16, bool), alone: bool) -> bool {
        let place = weak.newest(cell);
        let Some(message) = weak.message(cell, place) else { return true };
        let row = weak.row(weak.range(cell).start + place);
        let silent = message.causes & !weak.causes[cpu] == 0
            && within(row, weak.view(cpu, ACQUIRE))
            && (!acquire || within(row, weak.view(cpu, CURRENT)));
        silent || alone && (!acquire || self.walks_alike(weak, cpu, row))
    }

    /// Whether adding `row` to what `cpu` may read makes no difference to its page walks.
    fn walks_alike(&self, weak: &Weak, cpu: usize, row: &[u8]) -> bool {
        let watched = self.layout.watched;
        self.layout.lags || within(&row[..watched], &weak.view(cpu, CURRENT)[..watched])
    }

    /// Whether a full fence takes nothing over from others that walks can tell.
    fn fences_quietly(&self, weak: &Weak, cpu: usize) -> bool {
        let order = weak.range(weak.order());
        order.is_empty() || self.walks_alike(weak, cpu, weak.row(order.start))
    }

    /// Whether hardware of `cpu` may read more than one value of a word.
    pub(crate) fn walks_differ(&self, work: &Work<S::Device>, cpu: usize) -> bool {
        self.layout.weak
            && (0..self.layout.watched as u16)
                .any(|cell| work.weak.oldest_walked(cpu, cell) < work.weak.newest(cell))
    }

    /// Whether the next step of `cpu` begins a wait that is false whatever message it reads.
    pub(crate) fn sleeps_at_once(&mut self, work: &Work<S::Device>, cpu: usize, cell: u16) -> Result<bool> {
        let node = work.node(&self.layout, cpu);
        let newest = self.layout.cell(&work.words, cell);
        for place in work.weak.oldest(cpu, cell)..=work.weak.newest(cell) {
            if !self.falls_asleep(node, work.weak.value(cell, place, newest))? {
                return Ok(false);
            }
        }
        for place in work.weak.oldest(cpu, cell)..=work.weak.newest(cell) {
            let asleep = self.kid(node, work.weak.value(cell, place, newest))?;
            self.pass(asleep);
        }
        Ok(true)
    }
}

/// The place of the message that has `newer` ones, if `cpu` may read it.
fn readable(weak: &Weak, cpu: usize, cell: u16, newer: usize) -> Option<usize> {
    weak.newest(cell).checked_sub(newer).filter(|&place| place >= weak.oldest(cpu, cell))
}

/// Whether a fence changes no view of `cpu`.
fn quiet(weak: &Weak, cpu: usize, sides: Sides) -> bool {
    let current = weak.view(cpu, CURRENT);
    (!sides.acquire || weak.view(cpu, ACQUIRE) == current)
        && (!sides.release || weak.view(cpu, RELEASE) == current)
}

/// Whether a view knows all that `row` has. Without a branch for each entry.
fn within(row: &[u8], view: &[u8]) -> bool {
    row.iter().zip(view).fold(0, |beyond, (entry, known)| beyond | u8::from(entry > known)) == 0
}
