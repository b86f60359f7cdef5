use crate::code::request::WordRef;
use crate::code::sync::Word;

/// Collects where words live.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) objects: Vec<Object>,
    pub(crate) watched: Vec<WordRef>,
}

/// A named piece of memory.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) start: usize,
    pub(crate) size: usize,
    pub(crate) cpu: Option<usize>,
}

impl Registry {
    /// Names `object`; its words show as `name.word`.
    pub fn object<T>(&mut self, name: impl Into<String>, object: &T) {
        self.add(name.into(), object, None);
    }
    /// Names an object whose words mostly `cpu` uses (a hint for storage, nothing else).
    pub fn local<T>(&mut self, cpu: usize, name: impl Into<String>, object: &T) {
        self.add(name.into(), object, Some(cpu));
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
        self.objects.push(Object { name, start, size: size_of::<T>(), cpu });
    }
}
