//! Which memory is being explored. A thread that a model starts runs past the explorer: what it does to a word would
//! change what the word begins with, and be no step.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Addresses: the first, and the one behind the last.
type Range = (usize, usize);

static EXPLORED: Mutex<Vec<Range>> = Mutex::new(Vec::new());

/// Memory that is being explored as long as this lives.
#[derive(Debug)]
pub(crate) struct Explored(Vec<Range>);

impl Explored {
    pub(crate) fn begin(ranges: Vec<Range>) -> Self {
        lock().extend(&ranges);
        Self(ranges)
    }
}

impl Drop for Explored {
    fn drop(&mut self) {
        let mut explored = lock();
        for range in &self.0 {
            if let Some(at) = explored.iter().position(|known| known == range) {
                explored.swap_remove(at);
            }
        }
    }
}

/// Refuses the use of a word, by no CPU, while it is explored.
///
/// # Panics
/// It is.
#[track_caller]
pub(crate) fn refuse(address: usize, name: &str) {
    let explored = lock().iter().any(|range| (range.0..range.1).contains(&address));
    assert!(
        !explored,
        "the word {name:?} is used past the explorer: what a model does runs on its CPUs, and not on a thread of its own"
    );
}

fn lock() -> MutexGuard<'static, Vec<Range>> {
    EXPLORED.lock().unwrap_or_else(PoisonError::into_inner)
}
