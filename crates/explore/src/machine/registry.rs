use crate::code::request::WordRef;
use crate::code::sync::Word;

/// Collects where words live.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) objects: Vec<Object>,
    pub(crate) watched: Vec<WordRef>,
    pub(crate) arrays: Vec<Array>,
    pub(crate) meanings: Vec<(usize, Meaning)>,
}

/// What the values of a word mean to people.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meaning {
    /// A set of CPUs, a bit each.
    Cpus,
    /// These have names.
    Names(&'static [(u64, &'static str)]),
}

/// A named array of words.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    name: String,
    /// Address of the first word, and behind the last.
    range: (usize, usize),
}

impl Array {
    pub(crate) fn range(&self) -> (usize, usize) {
        self.range
    }

    /// `name[index]` of the word at `address`, if it is one of these.
    pub(crate) fn name_of(&self, address: usize) -> Option<String> {
        let (start, end) = self.range;
        (start..end).contains(&address).then(|| {
            let index = (address - start) / size_of::<Word>();
            format!("{}[{index}]", self.name)
        })
    }
}

/// A named piece of memory.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) start: usize,
    pub(crate) size: usize,
    pub(crate) cpu: Option<usize>,
    /// Whether the registry was given the name.
    pub(crate) names: bool,
}

impl Registry {
    /// Names `object`; its words show as `name.word`, and several of one name, which [`Registry::array`] did not name,
    /// with a number that tells them apart and nothing else: `name.word#1`. A word that is called `cpu1.loaded` brings
    /// the name of its object along: it needs no other, so `name` may be empty, and gives way to one that is not.
    pub fn object<T>(&mut self, name: impl Into<String>, object: &T) {
        self.add(name.into(), object, None);
    }
    /// Names an object whose words mostly `cpu` uses (only a hint for storage).
    pub fn local<T>(&mut self, cpu: usize, name: impl Into<String>, object: &T) {
        self.add(name.into(), object, Some(cpu));
    }
    /// Names the words of an array by their index: `name[2]`. It may be part of an object; the name here is the whole
    /// name.
    pub fn array(&mut self, name: impl Into<String>, words: &[Word]) {
        let start = words.as_ptr().addr();
        self.arrays.push(Array { name: name.into(), range: (start, start + size_of_val(words)) });
    }
    /// Says that `word` is a mask of CPUs: drawings show `{0, 2}` for 5, and `!{1}` for what lacks bit 1 alone.
    pub fn mask(&mut self, word: &Word) {
        self.meanings.push((word.reference().address, Meaning::Cpus));
    }
    /// Names values of `word` in drawings; others show as numbers.
    pub fn values(&mut self, word: &Word, names: &'static [(u64, &'static str)]) {
        self.meanings.push((word.reference().address, Meaning::Names(names)));
    }
    /// Declares that hardware reads `word` by itself; returns its index for [`crate::View`].
    pub fn watch(&mut self, word: &Word) -> usize {
        let word = word.reference();
        if let Some(index) = self.watched.iter().position(|known| known.address == word.address) {
            return index;
        }
        self.watched.push(word);
        self.watched.len() - 1
    }

    fn add<T>(&mut self, name: String, object: &T, cpu: Option<usize>) {
        let start = core::ptr::from_ref(object).addr();
        let names = !name.is_empty();
        self.objects.push(Object { name, start, size: size_of::<T>(), cpu, names });
    }
}
