//! Cells: the words that code under check has been seen to use, and the objects they lie in.

use crate::code::explored::Explored;
use crate::code::request::WordRef;
use crate::machine::footprint::FENCES;
use crate::machine::hash::Map;
use crate::machine::registry::{Array, Meaning, Object, Registry};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Objects at most; a dead one is a bit in the state.
pub(crate) const OBJECTS: usize = 64;

/// One word of the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) word: WordRef,
    /// Storage hint: the CPU whose part of the state holds it.
    pub(crate) cpu: Option<usize>,
    /// Objects that contain it, as bits.
    pub(crate) objects: u64,
}

/// All known cells. An id never changes; ids below `watched` are those that hardware reads.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    pub(crate) all: Vec<Cell>,
    pub(crate) watched: usize,
    objects: Vec<Object>,
    arrays: Vec<Array>,
    meanings: Map<usize, Meaning>,
    by_address: Map<usize, u16>,
    _explored: Arc<Explored>,
}

impl Cells {
    pub(crate) fn new(registry: Registry) -> Result<Self, String> {
        let objects = registry.objects.iter().map(|object| (object.start, object.start + object.size));
        let arrays = registry.arrays.iter().map(Array::range);
        let explored = Explored::begin(objects.chain(arrays).collect());
        let mut cells = Self {
            all: Vec::new(),
            watched: registry.watched.len(),
            objects: registry.objects,
            arrays: registry.arrays,
            meanings: registry.meanings.into_iter().collect(),
            by_address: Map::default(),
            _explored: Arc::new(explored),
        };
        if cells.objects.len() > OBJECTS {
            return Err(format!("{} objects are registered; at most {OBJECTS} fit", cells.objects.len()));
        }
        for word in registry.watched {
            cells.add(word)?;
        }
        Ok(cells)
    }

    pub(crate) fn find(&self, address: usize) -> Option<u16> {
        self.by_address.get(&address).copied()
    }

    pub(crate) fn add(&mut self, word: WordRef) -> Result<u16, String> {
        if self.all.len() >= FENCES {
            return Err(format!(
                "more than {FENCES} words are in use, {:?} among them: model fewer",
                word.name
            ));
        }
        let id = self.all.len() as u16;
        self.by_address.insert(word.address, id);
        self.all.push(Cell { word, cpu: None, objects: 0 });
        self.place(id.into());
        Ok(id)
    }

    /// The object that occupies exactly this memory; made on the fly if nobody named it (then `true`).
    pub(crate) fn object(&mut self, start: usize, size: usize, kind: &str) -> Result<(u8, bool), String> {
        if let Some(index) = self.objects.iter().position(|o| o.start == start && o.size == size) {
            return Ok((index as u8, false));
        }
        if self.objects.len() >= OBJECTS {
            return Err(format!("more than {OBJECTS} objects are given back or registered"));
        }
        let kind = kind.rsplit("::").next().unwrap_or(kind);
        let twins = self.objects.iter().filter(|o| o.name.starts_with(kind)).count();
        let name = if twins == 0 { kind.to_owned() } else { format!("{kind}#{twins}") };
        self.objects.push(Object { name, start, size, cpu: None, names: false });
        for id in 0..self.all.len() {
            self.place(id);
        }
        Ok(((self.objects.len() - 1) as u8, true))
    }

    pub(crate) fn object_name(&self, index: u8) -> &str {
        &self.objects[usize::from(index)].name
    }

    /// `object.word`, with its index in an array that is known, otherwise a number where an object holds several words
    /// of that name. A word that is called `object.word` itself, and lies in no object with a name that the registry
    /// was given, needs none.
    pub(crate) fn name(&self, id: u16) -> String {
        let cell = &self.all[usize::from(id)];
        let address = cell.word.address;
        if let Some(name) = self.in_array(address) {
            return name;
        }
        let home = self.home(address);
        let twins: Vec<&Cell> = self.all.iter().filter(|other| self.is_twin(cell, other)).collect();
        let before = twins.iter().filter(|other| other.word.address < address).count();
        let number = if twins.len() > 1 { format!("#{before}") } else { String::new() };
        let word = cell.word.name;
        match (home.map(|object| &self.objects[object]), word.rsplit_once('.')) {
            (Some(object), Some((_, last))) if object.names => format!("{}.{last}{number}", object.name),
            (Some(object), None) if !object.name.is_empty() => format!("{}.{word}{number}", object.name),
            _ => format!("{word}{number}"),
        }
    }

    /// Whether two words, which may be the same, have one name in one object.
    fn is_twin(&self, cell: &Cell, other: &Cell) -> bool {
        let (one, two) = (&cell.word, &other.word);
        one.name == two.name
            && self.home(one.address) == self.home(two.address)
            && self.in_array(two.address).is_none()
    }

    fn in_array(&self, address: usize) -> Option<String> {
        self.arrays.iter().find_map(|array| array.name_of(address))
    }

    /// Names of the words that are part of no named object or array and name none themselves, and those that several
    /// words of an object share.
    pub(crate) fn unnamed(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let stray = |cell: &&Cell| self.in_array(cell.word.address).is_none();
        let (mut homeless, mut alike) = (BTreeSet::new(), BTreeSet::new());
        for cell in self.all.iter().filter(stray) {
            let home = self.home(cell.word.address).map(|object| &self.objects[object]);
            if home.is_none_or(|object| !object.names && !cell.word.name.contains('.')) {
                homeless.insert(cell.word.name);
            } else if self.all.iter().filter(|other| self.is_twin(cell, other)).count() > 1 {
                alike.insert(cell.word.name);
            }
        }
        (homeless.into_iter().collect(), alike.into_iter().collect())
    }

    /// A value of word `id` in words: as the registry has it; the address of a registered object by its name, so that
    /// no text depends on where things lie.
    pub(crate) fn show(&self, id: u16, value: u64) -> String {
        let named = |names: &[(u64, &'static str)]| {
            names.iter().find(|(known, _)| *known == value).map(|(_, name)| (*name).to_owned())
        };
        match self.meanings.get(&self.all[usize::from(id)].word.address) {
            Some(Meaning::Cpus) => cpus(value),
            Some(Meaning::Names(names)) => named(names).unwrap_or_else(|| number(value)),
            None => self.show_address(value),
        }
    }

    fn show_address(&self, value: u64) -> String {
        let home = self.home(value as usize).map(|index| &self.objects[index]);
        let Some(object) = home.filter(|object| !object.name.is_empty()) else {
            return number(value);
        };
        match value - object.start as u64 {
            0 => format!("&{}", object.name),
            offset => format!("&{}+{offset:#x}", object.name),
        }
    }

    /// The smallest object around an address.
    fn home(&self, address: usize) -> Option<usize> {
        let around = |o: &Object| (o.start..o.start + o.size).contains(&address);
        (0..self.objects.len()).filter(|&i| around(&self.objects[i])).min_by_key(|&i| self.objects[i].size)
    }

    fn place(&mut self, id: usize) {
        let address = self.all[id].word.address;
        let mut bits = 0;
        for (index, object) in self.objects.iter().enumerate() {
            if (object.start..object.start + object.size).contains(&address) {
                bits |= 1 << index;
            }
        }
        let hint = self.home(address).and_then(|object| self.objects[object].cpu);
        let cell = &mut self.all[id];
        cell.objects = bits;
        cell.cpu = hint;
    }
}

/// A mask of CPUs in words: `{0, 2}`, or what lacks some as `!{1}`.
fn cpus(value: u64) -> String {
    let not = if value >> 63 == 1 { "!" } else { "" };
    let bits = if not.is_empty() { value } else { !value };
    let members: Vec<String> =
        (0..64).filter(|bit| bits >> bit & 1 != 0).map(|bit: u32| bit.to_string()).collect();
    format!("{not}{{{}}}", members.join(", "))
}

/// A number in words: one that lacks some of the low bits alone as those, `!0x2`.
pub(crate) fn number(value: u64) -> String {
    /// Where numbers are that have all their high bits.
    const HIGH: u64 = !0xffff;
    if value >= HIGH { format!("!{:#x}", !value) } else { format!("{value:#x}") }
}

#[cfg(test)]
mod tests {
    use super::{cpus, number};

    #[test]
    fn masks_of_cpus_show_their_members_or_those_that_they_lack() {
        assert_eq!([0, 1, 5, !0, !2].map(cpus), ["{}", "{0}", "{0, 2}", "!{}", "!{1}"]);
    }

    #[test]
    fn masks_with_all_high_bits_show_the_bits_that_they_lack() {
        let shown = [0, 0x11, !0, !2, !0x8001].map(number);
        assert_eq!(shown, ["0x0", "0x11", "!0x0", "!0x2", "!0x8001"]);
    }
}
