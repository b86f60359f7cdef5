use crate::limits::MAX_CPUS;
use shootdown_explore::sync::Word;
use std::array::from_fn;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A word from each CPU to each other one: of the first two, `KIND0to1.request`.
pub(super) type Slots = [[Word; MAX_CPUS]; MAX_CPUS];

/// Makes the words of `cpus` CPUs, all empty.
pub(super) fn slots(kind: &str, cpus: usize) -> Slots {
    assert!(cpus <= MAX_CPUS, "a machine has {MAX_CPUS} CPUs at most");
    let name =
        |from, to| if from < cpus && to < cpus { known(format!("{kind}{from}to{to}.request")) } else { "" };
    from_fn(|from| from_fn(|to| Word::new(name(from, to), 0)))
}

/// The one copy of `name`, which outlives the models that use it.
fn known(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(name.as_str()) {
        return name;
    }
    let name = name.leak();
    names.insert(name);
    name
}
