//! What loads, stores, read-modify-writes and fences do to messages and views.
//!
//! # Sequentially consistent fences
//!
//! RC11 asks for one order of all of them in which none comes before another that it must follow: by happens-before, or
//! because something after the one is read or overwritten by something before the other. Fences that run one after the
//! other get that order by a view of their own, which each takes over and adds its own to. That is all there is to it
//! on two CPUs whose interrupts follow stores. Otherwise an execution may run a fence before another that it follows in
//! this order. On three CPUs:
//!
//! ```text
//! CPU 0        CPU 1        CPU 2
//! x := 1       reads y, 1   reads z, 1
//! fence A      z := 1       fence B
//! y := 1                    reads x, 0: so B is before A, though A led to the 1 that CPU 2 has read
//! ```
//!
//! On two, since an interrupt that overtakes stores comes after it is raised and orders nothing:
//!
//! ```text
//! CPU 0                  handler on CPU 1
//! x := 1                 fence B
//! fence A                reads x, 0: so B is before A, though A led to the interrupt
//! raises the interrupt
//! ```
//!
//! So there fences are kept in a list, as stores are, and one may go before others that have run. Then what came after
//! those must not have overlooked what is known at the new one (`limits`), and a thread that knows of them knows that,
//! too. It may go there only if one of those that it passes led to it (`causes`), or to another fence that has gone
//! before it: with neither, the passed fences and all that they led to can run after it just as well, in the same
//! order, and that execution turns round fewer fences. For what they led to knows of them, and so contains no fence but
//! them and nothing that the new one needs.

use crate::machine::weak::messages::{ACQUIRE, CURRENT, FREE, Message, NOBODY, RELEASE, Weak, join};

/// What a store or read-modify-write writes, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) cell: u16,
    pub(crate) value: u16,
    pub(crate) release: bool,
    /// The value of the newest message.
    pub(crate) newest: u16,
}

impl Weak {
    /// The value at a place of a word whose newest message has the value `newest`.
    pub(crate) fn value(&self, cell: u16, place: usize, newest: u16) -> u16 {
        self.message(cell, place).map_or(newest, |message| message.value)
    }

    /// Whether a message may be put at a place: not between one and the read-modify-write that replaced it.
    pub(crate) fn fits(&self, cell: u16, place: usize) -> bool {
        self.message(cell, place).is_none_or(|message| !message.bound)
    }

    /// `cpu` reads the message at a place that its view allows.
    pub(crate) fn load(&mut self, cpu: usize, cell: u16, place: usize, acquire: bool) {
        let index = self.range(cell).start + place;
        if let Some(&message) = self.message(cell, place) {
            self.causes[cpu] |= message.causes;
            self.hear(cpu, ACQUIRE, index);
            if acquire {
                self.hear(cpu, CURRENT, index);
            }
        }
        self.reach(cpu, cell, place);
        self.limit(cpu, cell, 2 * place + 1);
    }

    /// `cpu` puts a message at a place behind its view.
    pub(crate) fn store(&mut self, cpu: usize, place: usize, write: Write) -> Result<(), &'static str> {
        self.put(cpu, place, write, false).map(|_| ())
    }

    /// `cpu` has read the message at a place, and puts its own right behind.
    pub(crate) fn replace(&mut self, cpu: usize, place: usize, write: Write) -> Result<(), &'static str> {
        let index = self.put(cpu, place + 1, write, true)?;
        // The release sequence of what it replaces goes on.
        let (before, own) = self.rows.split_at_mut(index * self.width);
        let replaced = &before[before.len() - self.width..];
        join(&mut own[..self.width], replaced);
        own[usize::from(write.cell)] = 0;
        Ok(())
    }

    fn put(&mut self, cpu: usize, place: usize, write: Write, bound: bool) -> Result<usize, &'static str> {
        self.begin_list(write.cell, write.newest)?;
        let (causes, writer) = (self.causes[cpu], cpu as u8);
        let message = Message { cell: write.cell, value: write.value, bound, causes, writer };
        let index = self.insert(message, place)?;
        let view = self.span(cpu, if write.release { CURRENT } else { RELEASE });
        let row = self.row_span(index);
        let own = row.start + usize::from(write.cell);
        self.rows[row].copy_from_slice(&self.views[view]);
        self.rows[own] = 0;
        self.reach(cpu, write.cell, place);
        self.limit(cpu, write.cell, 2 * place);
        Ok(index)
    }

    /// An acquire fence, a release fence, or both.
    pub(crate) fn fence(&mut self, cpu: usize, acquire: bool, release: bool) {
        if acquire {
            self.take_over(cpu, CURRENT, ACQUIRE);
        }
        if release {
            self.take_over(cpu, RELEASE, CURRENT);
        }
        self.changed = true;
    }

    /// A sequentially consistent fence, before the last `later` of those that are kept in order. Whether it may go
    /// there.
    pub(crate) fn full_fence(&mut self, cpu: usize, later: usize) -> Result<bool, &'static str> {
        self.take_over(cpu, CURRENT, ACQUIRE);
        let order = self.order();
        self.begin_list(order, 0)?;
        if self.keeps {
            if !self.put_fence(cpu, later)? {
                return Ok(false);
            }
        } else if later > 0 {
            return Ok(false);
        } else {
            let index = self.range(order).start;
            self.hear(cpu, CURRENT, index);
            let (row, view) = (self.row_span(index), self.span(cpu, CURRENT));
            self.rows[row].copy_from_slice(&self.views[view]);
        }
        self.take_over(cpu, RELEASE, CURRENT);
        self.take_over(cpu, ACQUIRE, CURRENT);
        self.changed = true;
        Ok(true)
    }

    /// How many fences of those that are kept in order `cpu` does not know of.
    pub(crate) fn passable(&self, cpu: usize) -> usize {
        let known = self.view(cpu, ACQUIRE)[self.width - 1];
        self.newest(self.order()) - usize::from(known).min(self.newest(self.order()))
    }

    fn put_fence(&mut self, cpu: usize, later: usize) -> Result<bool, &'static str> {
        let order = usize::from(self.order());
        let range = self.range(order as u16);
        let Some(place) = range.len().checked_sub(later) else { return Ok(false) };
        if place <= self.oldest(cpu, order as u16) || later > 0 && !self.passes(cpu, place) {
            return Ok(false);
        }
        let mut view = self.view(cpu, CURRENT).to_vec();
        join(&mut view, self.row(range.start + place - 1));
        let limits = if later > 0 { self.limit_row(place).to_vec() } else { vec![FREE; self.width] };
        let overlooked = |(&known, &limit): (&u8, &u8)| limit != FREE && 2 * known >= limit;
        if view.iter().zip(&limits).any(overlooked) {
            return Ok(false);
        }
        let message = Message { cell: order as u16, value: 0, bound: false, causes: 0, writer: NOBODY };
        let index = self.insert(message, place)?;
        let row = self.row_span(index);
        self.rows[row.start..row.end - 1].copy_from_slice(&view[..order]);
        let at = place * self.width;
        self.limits.splice(at..at, limits);
        self.make_room_in_causes(place);
        for index in range.start + place + 1..=range.end {
            self.messages[index].bound |= self.causes[cpu] >> (index - range.start) & 1 != 0;
        }
        self.tell_later(order, place, &view);
        view[order] = place as u8;
        self.view_mut(cpu, CURRENT).copy_from_slice(&view);
        self.causes[cpu] |= 1 << place;
        Ok(true)
    }

    /// Whether a fence of `cpu` may go before those from `place` on: one of them led to it, or to another that went
    /// before.
    fn passes(&self, cpu: usize, place: usize) -> bool {
        let range = self.range(self.order());
        self.causes[cpu] >> place != 0
            || self.messages[range.start + place..range.end].iter().any(|fence| fence.bound)
    }

    fn make_room_in_causes(&mut self, place: usize) {
        let below = (1_u32 << place) - 1;
        self.move_causes(|causes| causes & below | (causes & !below) << 1);
    }

    /// Each that knows of a fence behind `place`, and those fences, know what is known there.
    fn tell_later(&mut self, order: usize, place: usize, view: &[u8]) {
        let fences = self.range(order as u16);
        let width = self.width;
        for index in fences.start + place + 1..fences.end {
            join(&mut self.rows[index * width..index * width + order], &view[..order]);
        }
        let rows = self.rows.chunks_exact_mut(width).chain(self.views.chunks_exact_mut(width));
        for row in rows.chain(self.line_rows.chunks_exact_mut(width)) {
            if usize::from(row[order]) > place {
                join(&mut row[..order], &view[..order]);
            }
        }
    }

    /// What happens after fence `place` must not be overlooked by those that go before it: twice the place of a store,
    /// and one more for the place of what a load took.
    fn limit_row(&self, place: usize) -> &[u8] {
        &self.limits[place * self.width..(place + 1) * self.width]
    }

    fn limit(&mut self, cpu: usize, cell: u16, limit: usize) {
        if self.limits.is_empty() {
            return;
        }
        let known = self.oldest(cpu, self.order());
        for place in 1..=known {
            let entry = &mut self.limits[place * self.width + usize::from(cell)];
            *entry = (*entry).min(limit as u8);
        }
    }

    /// `cpu` knows of the message at a place from now on.
    fn reach(&mut self, cpu: usize, cell: u16, place: usize) {
        for kind in [CURRENT, ACQUIRE] {
            let entry = &mut self.view_mut(cpu, kind)[usize::from(cell)];
            *entry = (*entry).max(place as u8);
        }
        self.changed = true;
    }

    fn take_over(&mut self, cpu: usize, to: usize, from: usize) {
        let (from, to) = (self.span(cpu, from), self.span(cpu, to).start);
        self.views.copy_within(from, to);
    }

    /// Adds to a view of `cpu` what the view of a message has.
    #[inline]
    fn hear(&mut self, cpu: usize, kind: usize, index: usize) {
        let (view, row) = (self.span(cpu, kind), self.row_span(index));
        join(&mut self.views[view], &self.rows[row]);
    }

    /// Gives a word a list with the message that it has had so far.
    fn begin_list(&mut self, cell: u16, value: u16) -> Result<(), &'static str> {
        if !self.range(cell).is_empty() {
            return Ok(());
        }
        self.insert(Message { cell, value, bound: false, causes: 0, writer: NOBODY }, 0)?;
        if cell == self.order() && self.keeps {
            self.limits = vec![FREE; self.width];
        }
        Ok(())
    }

    /// An interrupt takes a view of `cpu` with it, and the fences that led to it.
    pub(crate) fn send(&mut self, (cpu, kind): (usize, usize), target: (u8, u8)) {
        let (row, causes) = (self.view(cpu, kind).to_vec(), self.causes[cpu]);
        match self.lines.iter().position(|&line| line == target) {
            Some(index) => {
                join(&mut self.line_rows[index * self.width..(index + 1) * self.width], &row);
                self.line_causes[index] |= causes;
            }
            None => {
                let index = self.lines.partition_point(|&line| line < target);
                self.lines.insert(index, target);
                self.line_causes.insert(index, causes);
                let at = index * self.width;
                self.line_rows.splice(at..at, row);
            }
        }
        self.changed = true;
    }

    /// An interrupt arrives with the view that it was sent with, or is lost.
    pub(crate) fn receive(&mut self, target: (u8, u8), taken: bool) {
        let Some(index) = self.lines.iter().position(|&line| line == target) else { return };
        self.lines.remove(index);
        let causes = self.line_causes.remove(index);
        let row: Vec<u8> = self.line_rows.drain(index * self.width..(index + 1) * self.width).collect();
        if taken {
            self.causes[usize::from(target.0)] |= causes;
            join(self.view_mut(target.0.into(), CURRENT), &row);
            join(self.view_mut(target.0.into(), ACQUIRE), &row);
        }
        self.changed = true;
    }
}
