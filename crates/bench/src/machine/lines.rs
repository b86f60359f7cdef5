//! Which caches hold which lines: MESI with caches that never evict.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// An access to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    /// The line.
    pub line: u32,
    /// The CPU.
    pub cpu: u32,
    /// Whether it was written.
    pub written: bool,
}

/// Bytes of a line, as a shift.
const LINE: u32 = 6;

/// A hasher for numbers: one multiplication, the same in every run.
#[derive(Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }
}

pub(super) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// The lines of all caches.
#[derive(Debug)]
pub(super) struct Lines {
    /// 64-bit words of a set of CPUs.
    words: usize,
    places: NumberMap<u64, u32>,
    /// For each place, who has the line.
    holders: Vec<u64>,
    /// For each place, how many hold it.
    counts: Vec<u32>,
    /// Places whose lines were forgotten, to be used again ...
    spare: Vec<u32>,
    /// ... unless an observer is attached, which expects a place to stand for one line throughout.
    watched: bool,
    /// CPUs that sleep until a line is written.
    sleepers: NumberMap<u32, Vec<u32>>,
}

/// What an access did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// The line came from another cache, or was taken from others.
    pub(super) transfer: bool,
    /// Where the line is kept.
    pub(super) place: u32,
}

impl Lines {
    pub(super) fn new(cpus: usize) -> Self {
        Self {
            words: cpus.div_ceil(64),
            places: NumberMap::default(),
            holders: Vec::new(),
            counts: Vec::new(),
            spare: Vec::new(),
            watched: false,
            sleepers: NumberMap::default(),
        }
    }

    fn place(&mut self, address: u64) -> u32 {
        let Entry::Vacant(entry) = self.places.entry(address >> LINE) else {
            return self.places[&(address >> LINE)];
        };
        let place = self.spare.pop().unwrap_or_else(|| {
            self.counts.push(0);
            self.holders.resize(self.holders.len() + self.words, 0);
            self.counts.len() as u32 - 1
        });
        *entry.insert(place)
    }

    fn bit(&self, place: u32, cpu: u32) -> (usize, u64) {
        (place as usize * self.words + cpu as usize / 64, 1 << (cpu % 64))
    }

    /// `cpu` loads from `address`.
    pub(super) fn read(&mut self, cpu: u32, address: u64) -> Moved {
        let place = self.place(address);
        let (word, bit) = self.bit(place, cpu);
        let here = self.holders[word] & bit != 0;
        let count = &mut self.counts[place as usize];
        let transfer = !here && *count > 0;
        if !here {
            self.holders[word] |= bit;
            *count += 1;
        }
        Moved { transfer, place }
    }

    /// `cpu` stores to `address`.
    pub(super) fn write(&mut self, cpu: u32, address: u64) -> Moved {
        let place = self.place(address);
        let (word, bit) = self.bit(place, cpu);
        let here = self.holders[word] & bit != 0;
        let others = self.counts[place as usize] - u32::from(here);
        if others > 0 || !here {
            let from = place as usize * self.words;
            self.holders[from..from + self.words].fill(0);
            self.holders[word] = bit;
            self.counts[place as usize] = 1;
        }
        Moved { transfer: others > 0, place }
    }

    /// Whether an access by `cpu` must reach a cache outside its node of so many CPUs: a load if no nearer cache has
    /// the line, a store if any other has.
    pub(super) fn is_far(&self, cpu: u32, address: u64, node: u32, written: bool) -> bool {
        let Some(&place) = self.places.get(&(address >> LINE)) else { return false };
        let from = place as usize * self.words;
        let holds =
            |other: &u32| self.holders[from + *other as usize / 64] & 1 << (other % 64) != 0 && *other != cpu;
        let all = 64 * self.words as u32;
        let first = cpu / node * node;
        let near = (first..(first + node).min(all)).any(|other| holds(&other));
        let far = || (0..first).chain((first + node).min(all)..all).any(|other| holds(&other));
        (written || !near) && far()
    }

    /// Makes `cpu` sleep until the line at `place` is written.
    pub(super) fn sleep(&mut self, cpu: u32, place: u32) {
        let sleepers = self.sleepers.entry(place).or_default();
        if !sleepers.contains(&cpu) {
            sleepers.push(cpu);
        }
    }

    /// The CPUs that sleep on the line at `place`, which is written.
    pub(super) fn wake(&mut self, place: u32) -> Vec<u32> {
        if self.sleepers.is_empty() { Vec::new() } else { self.sleepers.remove(&place).unwrap_or_default() }
    }

    /// Gives each line a place of its own from now on.
    pub(super) fn watch(&mut self) {
        self.watched = true;
        self.spare.clear();
    }

    /// Forgets the lines of memory that was given back, so that what is put there next begins in no cache.
    pub(super) fn forget(&mut self, address: u64, bytes: u64) {
        for line in address >> LINE..=(address + bytes - 1) >> LINE {
            let Some(place) = self.places.remove(&line) else { continue };
            let from = place as usize * self.words;
            self.holders[from..from + self.words].fill(0);
            self.counts[place as usize] = 0;
            self.sleepers.remove(&place);
            if !self.watched {
                self.spare.push(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_line_moves_when_another_cpu_wants_it_and_not_before() {
        let mut lines = Lines::new(70);
        assert!(!lines.write(0, 0x100).transfer, "in no cache yet");
        assert!(!lines.write(0, 0x108).transfer, "the same line");
        assert!(lines.read(69, 0x100).transfer);
        assert!(!lines.read(0, 0x100).transfer, "shared");
        assert!(lines.write(0, 0x100).transfer, "taken away from the reader");
        assert!(lines.write(69, 0x100).transfer);
        assert!(!lines.write(69, 0x140).transfer, "another line");
    }

    #[test]
    fn a_load_takes_the_nearest_copy_and_a_store_reaches_all() {
        let mut lines = Lines::new(8);
        lines.read(1, 0x100);
        assert!(!lines.is_far(0, 0x100, 4, false) && !lines.is_far(0, 0x100, 4, true));
        assert!(lines.is_far(4, 0x100, 4, false));
        lines.read(4, 0x100);
        assert!(!lines.is_far(0, 0x100, 4, false) && lines.is_far(0, 0x100, 4, true));
        assert!(!lines.is_far(0, 0x200, 4, true), "in no cache");
    }

    #[test]
    fn memory_that_was_given_back_is_in_no_cache() {
        let mut lines = Lines::new(2);
        lines.write(0, 0x1000);
        lines.forget(0x1000, 64);
        assert!(!lines.write(1, 0x1000).transfer);
    }

    #[test]
    fn memory_that_comes_and_goes_takes_one_place() {
        let mut lines = Lines::new(2);
        for turn in 0..100 {
            assert!(!lines.write(0, turn << 12).transfer);
            lines.forget(turn << 12, 64);
        }
        assert_eq!(lines.counts.len(), 1);
    }

    #[test]
    fn a_write_wakes_each_sleeper_once() {
        let mut lines = Lines::new(4);
        let place = lines.read(1, 0x200).place;
        lines.sleep(1, place);
        lines.sleep(1, place);
        assert_eq!(lines.wake(place), [1]);
        assert!(lines.wake(place).is_empty());
    }
}
