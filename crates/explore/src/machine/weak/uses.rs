//! What CPUs use that may be given away: frames, tables and roots of the device, and memory around words.
//!
//! A CPU that gives something away must know that each CPU's last use of it is over: by happens-before, as of plain
//! accesses in C++, which hardware's are. So each CPU has two words more, of which it alone stores. Whenever a use
//! ends, a message says what was used; views carry these messages as they carry others. No message that the giver's
//! view does not have may name what is given away.
//!
//! This finds a missing release where a CPU has only read, and no store comes too early.

use crate::machine::device::{Device, Uses};
use crate::machine::footprint::Footprint;
use crate::machine::layout::CPUS;
use crate::machine::scenario::{Interrupts, Scenario};
use crate::machine::state::Work;
use crate::machine::step::{Machine, Trouble};
use crate::machine::weak::messages::{ACQUIRE, CURRENT, Message, NOBODY, Weak};

type Result<T> = core::result::Result<T, Box<Trouble>>;

/// What one of the two words of a CPU is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Used {
    /// Bits of [`Device::used`].
    Device,
    /// Objects, a bit each.
    Objects,
}

impl Weak {
    /// The word that says what `cpu` used.
    pub(crate) fn uses(&self, used: Used, cpu: usize) -> u16 {
        let cpus = self.cpus();
        let first = self.width - 1 - 2 * cpus;
        (first + cpu + if used == Used::Objects { cpus } else { 0 }) as u16
    }

    fn append(&mut self, word: u16, value: u16) -> core::result::Result<(), &'static str> {
        let message = Message { cell: word, value, bound: false, causes: 0, writer: NOBODY };
        if self.range(word).is_empty() {
            self.insert(Message { value: 0, ..message }, 0)?;
        }
        self.insert(message, self.range(word).len()).map(|_| ())
    }

    /// `cpu` knows all that a word says.
    fn know(&mut self, cpu: usize, word: u16) {
        self.know_until(cpu, word, self.newest(word));
    }

    fn know_until(&mut self, cpu: usize, word: u16, place: usize) {
        for kind in [CURRENT, ACQUIRE] {
            let entry = &mut self.view_mut(cpu, kind)[usize::from(word)];
            *entry = (*entry).max(place as u8);
        }
        self.changed = true;
    }

    /// Puts messages with these values in place of those behind `known`.
    fn split(&mut self, word: u16, known: usize, values: &[u16]) {
        let range = self.range(word);
        let (first, newest) = (range.start + known + 1, range.len() - 1);
        let all = known + values.len();
        self.shift(word.into(), |entry| match usize::from(entry) {
            entry if entry <= known => entry as u8,
            entry if entry == newest => all as u8,
            _ => known as u8,
        });
        let message = Message { value: 0, ..self.messages[first] };
        let new = values.iter().map(|&value| Message { value, ..message });
        self.messages.splice(first..range.end, new);
        let rows = first * self.width..range.end * self.width;
        self.rows.splice(rows, core::iter::repeat_n(0, values.len() * self.width));
        self.changed = true;
    }

    fn knows_all(&self, cpu: usize, word: u16) -> bool {
        self.oldest(cpu, word) == self.newest(word)
    }
}

impl<S: Scenario> Machine<'_, '_, S> {
    /// What CPUs use by the device, where that counts.
    pub(crate) fn uses_now(&self, work: &mut Work<S::Device>) -> [Uses; CPUS] {
        let mut now = [Uses::default(); CPUS];
        if self.layout.weak {
            let device = self.scenario.device();
            let view = self.device_view(work);
            (0..self.layout.cpus).for_each(|cpu| now[cpu] = device.used(&view, cpu));
        }
        now
    }

    /// Notes which uses an operation of `cpu` has ended. A CPU that took away what another one held knows of all
    /// uses through that.
    pub(crate) fn uses_end(
        &mut self,
        work: &mut Work<S::Device>,
        cpu: usize,
        (before, complete): ([Uses; CPUS], bool),
    ) -> Result<()> {
        let after = self.uses_now(work);
        for user in 0..self.layout.cpus {
            let wanted = self.wanted(Used::Device, user);
            let over = before[user].now & !after[user].now & wanted;
            let word = work.weak.uses(Used::Device, user);
            if over != 0 {
                let told = complete && work.weak.knows_all(user, word);
                self.note(work, word, over)?;
                // What its CPU has not waited for it does not know to be over.
                if told {
                    work.weak.know(user, word);
                }
            }
            let taken = over | before[user].held & !after[user].held & wanted;
            if user != cpu && complete && taken != 0 {
                self.learn(work, cpu, (word, taken))?;
            }
        }
        Ok(())
    }

    /// `cpu` knows of the uses of `bits` from now on, of those that a word is about. A CPU that knows some
    /// of what `cpu` did not know, and not all, counts as knowing none of it: views are places in one list.
    fn learn(&mut self, work: &mut Work<S::Device>, cpu: usize, (word, bits): (u16, u64)) -> Result<()> {
        let known = work.weak.oldest(cpu, word);
        let range = work.weak.range(word).skip(known + 1);
        let unknown = range.fold(0, |all, index| all | self.values.decode(work.weak.messages[index].value));
        if unknown & bits == 0 {
            return Ok(());
        }
        let parts = [self.encode(unknown & bits)?, self.encode(unknown & !bits)?];
        let count = if unknown & !bits == 0 { 1 } else { 2 };
        work.weak.split(word, known, &parts[..count]);
        work.weak.know_until(cpu, word, known + 1);
        Ok(())
    }

    /// Notes that `cpu` uses a word's memory.
    pub(crate) fn use_memory(&mut self, work: &mut Work<S::Device>, cpu: usize, cell: u16) -> Result<()> {
        let objects = self.layout.objects[usize::from(cell)];
        if objects == 0 {
            return Ok(());
        }
        let used = objects & self.wanted(Used::Objects, cpu);
        if used == 0 {
            return Ok(());
        }
        let word = work.weak.uses(Used::Objects, cpu);
        self.note(work, word, used)?;
        work.weak.know(cpu, word);
        Ok(())
    }

    /// A barrier against hardware: what `cpu` has flushed is complete.
    pub(crate) fn synchronize(&mut self, work: &mut Work<S::Device>, cpu: usize) {
        let word = work.weak.uses(Used::Device, cpu);
        work.weak.know(cpu, word);
        match self.scenario.interrupts() {
            Interrupts::Overtake => work.weak.synchronize(cpu, work.weak.width),
            Interrupts::Follow if self.layout.lags => work.weak.synchronize(cpu, self.layout.watched),
            Interrupts::Follow => {}
        }
    }

    /// Whose use of what `cpu` gives away may not be over, as far as `cpu` knows.
    pub(crate) fn still_used(
        &self,
        work: &Work<S::Device>,
        cpu: usize,
        (used, given): (Used, u64),
    ) -> Option<usize> {
        if given == 0 || work.weak.messages.is_empty() {
            return None;
        }
        (0..self.layout.cpus).find(|&user| {
            let word = work.weak.uses(used, user);
            let unknown = work.weak.range(word).skip(work.weak.oldest(cpu, word) + 1);
            let uses = |index: usize| self.values.decode(work.weak.messages[index].value);
            unknown.fold(0, |all, index| all | uses(index)) & given != 0
        })
    }

    fn note(&mut self, work: &mut Work<S::Device>, word: u16, bits: u64) -> Result<()> {
        let value = self.encode(bits)?;
        work.weak.append(word, value).map_err(|text| Box::new(Trouble::Stop(format!("uses: {text}"))))?;
        self.merge(work, word, u64::MAX)
    }

    /// Drops messages of which later ones say as much, and of all what is not `wanted`.
    fn merge(&mut self, work: &mut Work<S::Device>, word: u16, wanted: u64) -> Result<()> {
        let mut later = 0;
        let range = work.weak.range(word);
        for index in range.clone().skip(1).rev() {
            let value = work.weak.messages[index].value;
            let bits = self.values.decode(value) & wanted & !later;
            if bits == 0 {
                work.weak.remove(word, index - range.start);
            } else if bits != self.values.decode(value) {
                work.weak.messages[index].value = self.encode(bits)?;
                work.weak.changed = true;
            }
            later |= bits;
        }
        Ok(())
    }

    /// Drops what no CPU can give away any more, as `ahead` has it.
    pub(crate) fn drop_unwanted(&mut self, work: &mut Work<S::Device>, ahead: &[Footprint]) -> Result<()> {
        let words = (0..self.layout.cpus).flat_map(|cpu| [(Used::Device, cpu), (Used::Objects, cpu)]);
        for (used, cpu) in words {
            let word = work.weak.uses(used, cpu);
            if work.weak.range(word).is_empty() {
                continue;
            }
            let others = ahead.iter().enumerate().filter(|&(other, _)| self.asks(used, other, cpu));
            let wanted = others.fold(0, |all, (_, print)| all | used.given(print));
            self.merge(work, word, wanted)?;
        }
        Ok(())
    }

    /// What some CPU may still give away that must know of `cpu`'s uses, at least.
    fn wanted(&self, used: Used, cpu: usize) -> u64 {
        if !self.partial_order {
            return u64::MAX;
        }
        let frames = self.prints[..self.layout.cpus].iter().enumerate();
        let frames = frames.filter(|&(other, _)| self.asks(used, other, cpu)).map(|(_, print)| print);
        let handlers = self.raised_lines.iter().filter(|raised| self.asks(used, raised.cpu.into(), cpu));
        let handlers = handlers.map(|raised| &self.footprints[raised.node as usize]);
        frames.chain(handlers).fold(0, |all, print| all | used.given(print))
    }

    /// Whether `giver` may not know of all that `user` has used.
    fn asks(&self, used: Used, giver: usize, user: usize) -> bool {
        giver != user || used == Used::Device && self.layout.lags
    }
}

impl Used {
    /// What a word says was used, if it is one of these; `first` is the word of the first CPU.
    pub(crate) fn said_by(word: u16, first: u16, cpus: usize) -> Option<Self> {
        let place = usize::from(word.checked_sub(first)?);
        (place < 2 * cpus).then_some(if place < cpus { Self::Device } else { Self::Objects })
    }

    pub(crate) fn given(self, print: &Footprint) -> u64 {
        if self == Self::Device { print.gives } else { print.retires }
    }
}
