//! Cells, fences, interrupts and waits for code under check.
//!
//! Outside an exploration (while a scenario is being built) a [`Word`] acts on its initial value.

use core::sync::atomic::{AtomicU64, Ordering};

/// A 64-bit shared word. Every operation is a step that the explorer interleaves.
#[derive(Debug)]
pub struct Word {
    initial: AtomicU64,
    name: &'static str,
}

#[expect(unused_variables, reason = "signatures first")]
impl Word {
    /// Makes a word; `name` is what drawings call it.
    pub const fn new(name: &'static str, value: u64) -> Self {
        Self { initial: AtomicU64::new(value), name }
    }
    /// Name given at construction.
    pub fn name(&self) -> &'static str {
        self.name
    }
    /// Reads the word.
    #[track_caller]
    pub fn load(&self, order: Ordering) -> u64 {
        self.initial.load(order)
    }
    /// Writes the word.
    #[track_caller]
    pub fn store(&self, value: u64, order: Ordering) {
        self.initial.store(value, order);
    }
    /// Replaces the value and returns the old one. Likewise the other read-modify-writes.
    #[track_caller]
    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.initial.swap(value, order)
    }
    /// Adds, wrapping; returns the old value.
    #[track_caller]
    pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.initial.fetch_add(value, order)
    }
    /// Subtracts, wrapping; returns the old value.
    #[track_caller]
    pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        self.initial.fetch_sub(value, order)
    }
    /// Ors; returns the old value.
    #[track_caller]
    pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        self.initial.fetch_or(value, order)
    }
    /// Ands; returns the old value.
    #[track_caller]
    pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        self.initial.fetch_and(value, order)
    }
    /// Stores `new` if the word holds `current`; returns the old value either way.
    ///
    /// # Errors
    /// The value found, where it was not `current`.
    #[track_caller]
    pub fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        ok: Ordering,
        failed: Ordering,
    ) -> Result<u64, u64> {
        self.initial.compare_exchange(current, new, ok, failed)
    }
}

/// Orders as `core::sync::atomic::fence` does.
#[track_caller]
pub fn fence(order: Ordering) {
    core::sync::atomic::fence(order);
}

/// Blocks until `condition`, which only loads words, is true. A false evaluation sleeps until a word it read changes.
#[track_caller]
pub fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {}
}

/// Repeats `attempt` until it answers. Failed attempts are forgotten (the closure cannot carry state), so a
/// spinning machine is a cycle that livelock detection sees.
#[track_caller]
pub fn retry<T>(attempt: impl Fn() -> Option<T>) -> T {
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
    }
}

/// Number of the CPU that runs the caller.
pub fn cpu() -> usize {
    0
}
/// What the running scenario's [`crate::Scenario::context`] says; 0 outside an exploration.
pub fn context() -> u64 {
    0
}
/// Turns interrupts off on this CPU; returns whether they were on.
#[track_caller]
pub fn irq_save() -> bool {
    true
}
/// Restores what [`irq_save`] returned.
#[track_caller]
pub fn irq_restore(_were_on: bool) {}
/// Whether interrupts are on, on this CPU.
#[track_caller]
pub fn irq_enabled() -> bool {
    true
}
/// Makes interrupt `line` pending on `cpu`; already pending: merged.
#[track_caller]
pub fn raise(_cpu: usize, _line: u8) {}
/// Picks one of `0..n`; the explorer tries all.
#[track_caller]
pub fn choose(_n: u8) -> u8 {
    0
}
/// Runs an operation of the scenario's device; see [`crate::Device::step`].
#[track_caller]
pub fn device(_op: u64) -> u64 {
    0
}
/// Promises that what this CPU does from here on depends on `key` (and the place) alone, not on values seen before.
#[track_caller]
pub fn forget(_key: u64) {}
/// A heading in the drawing; no step of its own.
#[track_caller]
pub fn note(_text: &'static str) {}
/// Gives the memory of `object` back: any later access to a word inside it, by any CPU, is a violation.
#[track_caller]
pub fn retire<T>(_object: &T) {}
