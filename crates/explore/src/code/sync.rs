//! Cells, fences, interrupts and waits for code under check.
//!
//! Outside an exploration (while a scenario is being built) a [`Word`] acts on its initial value; fences, interrupts
//! and the rest do nothing.

use crate::code::coroutine::{Demand, ask, current, unwinding};
use crate::code::explored;
use crate::code::mutation::DO_NOT_WAIT;
use crate::code::request::{Act, Change, WordRef};
use core::sync::atomic::{AtomicU64, Ordering};
use std::panic::Location;

/// A 64-bit shared word. Every operation is a step that the explorer interleaves.
#[derive(Debug)]
pub struct Word {
    /// Never changes during an exploration: the explorer keeps the values.
    initial: AtomicU64,
    name: &'static str,
}

impl Word {
    /// Makes a word; `name` is what drawings call it.
    pub const fn new(name: &'static str, value: u64) -> Self {
        Self { initial: AtomicU64::new(value), name }
    }
    /// Returns the name given at construction.
    pub fn name(&self) -> &'static str {
        self.name
    }
    /// Reads the word.
    #[track_caller]
    pub fn load(&self, order: Ordering) -> u64 {
        let request = Act::Load(self.reference(), order);
        match ask(request, Location::caller()) {
            Some(value) => value,
            None => self.begins_with().load(Ordering::Relaxed),
        }
    }
    /// Writes the word.
    #[track_caller]
    pub fn store(&self, value: u64, order: Ordering) {
        let request = Act::Store(self.reference(), value, order);
        if ask(request, Location::caller()).is_none() {
            self.begins_with().store(value, Ordering::Relaxed);
        }
    }
    /// Replaces the value and returns the old one. Likewise the other read-modify-writes.
    #[track_caller]
    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.change(Change::Swap(value), order, order)
    }
    /// Adds, wrapping; returns the old value.
    #[track_caller]
    pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.change(Change::Add(value), order, order)
    }
    /// Subtracts, wrapping; returns the old value.
    #[track_caller]
    pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        self.change(Change::Sub(value), order, order)
    }
    /// Ors; returns the old value.
    #[track_caller]
    pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        self.change(Change::Or(value), order, order)
    }
    /// Ands; returns the old value.
    #[track_caller]
    pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        self.change(Change::And(value), order, order)
    }
    /// Stores `new` if the word holds `current`; returns the old value either way. A failed exchange orders
    /// as a successful one does (`failed` is not weaker here), but under [`crate::Memory::Weak`] it is a load by
    /// `failed`.
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
        let old = self.change(Change::Cas(current, new), ok, failed);
        if old == current { Ok(old) } else { Err(old) }
    }

    #[track_caller]
    fn change(&self, change: Change, order: Ordering, failed: Ordering) -> u64 {
        let request = Act::Rmw(self.reference(), change, order, failed);
        if let Some(old) = ask(request, Location::caller()) {
            return old;
        }
        let initial = self.begins_with();
        let old = initial.load(Ordering::Relaxed);
        initial.store(change.apply(old), Ordering::Relaxed);
        old
    }

    /// The value that it begins with, which only code that builds a scenario may use.
    #[track_caller]
    fn begins_with(&self) -> &AtomicU64 {
        explored::refuse(core::ptr::from_ref(self).addr(), self.name);
        &self.initial
    }

    pub(crate) fn reference(&self) -> WordRef {
        WordRef {
            address: core::ptr::from_ref(self).addr(),
            name: self.name,
            initial: self.initial.load(Ordering::Relaxed),
        }
    }
}

/// Orders as `core::sync::atomic::fence` does.
#[track_caller]
pub fn fence(order: Ordering) {
    ask(Act::Fence(order), Location::caller());
}

/// Blocks until `condition`, which only loads words, is true. A false evaluation sleeps until a word it read changes.
///
/// # Panics
/// Outside an exploration, where nothing could make a false condition true.
#[track_caller]
pub fn wait_until(condition: impl Fn() -> bool) {
    let place = Location::caller();
    match ask(Act::WaitBegin, place) {
        Some(DO_NOT_WAIT) => return,
        Some(_) => {}
        None => {
            assert!(condition(), "wait_until outside an exploration: nobody can make the condition true");
            return;
        }
    }
    while !condition() && !unwinding() {
        ask(Act::WaitFalse, place);
    }
    ask(Act::WaitEnd, place);
}

/// Repeats `attempt` until it answers. Failed attempts are forgotten (the closure cannot carry state), so a
/// spinning machine is a cycle that livelock detection sees.
///
/// # Panics
/// In a destructor that runs because of a panic, if the first attempt fails: it would never end.
#[track_caller]
pub fn retry<T>(attempt: impl Fn() -> Option<T>) -> T {
    let place = Location::caller();
    ask(Act::LoopBegin, place);
    loop {
        if let Some(answer) = attempt() {
            ask(Act::LoopEnd, place);
            return answer;
        }
        assert!(!unwinding(), "retry cannot succeed while a panic unwinds");
        ask(Act::LoopBack, place);
    }
}

/// Demands that `holds`: an execution in which it does not breaks a rule of the code's own, which `words` say. An
/// assertion that fails is a mistake of the model instead.
///
/// # Panics
/// Outside an exploration, if it does not hold.
#[track_caller]
pub fn demand(holds: bool, words: impl Into<String>) {
    match (holds, current()) {
        (true, _) => {}
        (false, Some(_)) => std::panic::panic_any(Demand(words.into())),
        (false, None) => panic!("{}", words.into()),
    }
}

/// Returns the number of the CPU that runs the caller; 0 outside an exploration.
///
/// # Panics
/// In code of interchangeable CPUs ([`crate::Scenario::symmetric`]), which must not ask.
#[track_caller]
pub fn cpu() -> usize {
    current().map_or(0, |run| {
        assert!(!run.anonymous || unwinding(), "symmetric code asked for its CPU number");
        run.cpu
    })
}
/// Returns what the running scenario's [`crate::Scenario::context`] says; 0 outside an exploration.
pub fn context() -> u64 {
    current().map_or(0, |run| run.context)
}
/// Turns interrupts off on this CPU; returns whether they were on.
#[track_caller]
pub fn irq_save() -> bool {
    ask(Act::IrqSave, Location::caller()).is_none_or(|on| on != 0)
}
/// Restores what [`irq_save`] returned.
#[track_caller]
pub fn irq_restore(were_on: bool) {
    ask(Act::IrqRestore(were_on), Location::caller());
}
/// Returns whether interrupts are on, on this CPU.
#[track_caller]
pub fn irq_enabled() -> bool {
    ask(Act::IrqEnabled, Location::caller()).is_none_or(|on| on != 0)
}
/// Makes interrupt `line` pending on `cpu`; already pending: merged. It orders no memory access.
#[track_caller]
pub fn raise(cpu: usize, line: u8) {
    ask(Act::Raise(cpu, line), Location::caller());
}
/// Loses the interrupts of `lines` (a bit each) that are pending on this CPU, as a reset does; those raised later come.
/// It orders no memory access.
#[track_caller]
pub fn lose_interrupts(lines: u32) {
    ask(Act::Lose(lines), Location::caller());
}
/// Picks one of `0..n`; the explorer tries all.
///
/// # Panics
/// If there is nothing to pick from.
#[track_caller]
pub fn choose(n: u8) -> u8 {
    assert!(n > 0, "choose(0): nothing to pick from");
    ask(Act::Choose(n), Location::caller()).map_or(0, |picked| picked as u8)
}
/// Runs an operation of the scenario's device; see [`crate::Device::step`].
#[track_caller]
pub fn device(op: u64) -> u64 {
    ask(Act::Device(op), Location::caller()).unwrap_or(0)
}
/// Sets a heading in the drawing; no step of its own.
#[track_caller]
pub fn note(text: &'static str) {
    ask(Act::Note(text), Location::caller());
}
/// Gives the memory of `object` back: any later access to a word inside it, by any CPU, is a violation, and so is the
/// arrival in memory of a store that still sits in a store buffer. Giving it back twice is one, too.
#[track_caller]
pub fn retire<T>(object: &T) {
    let request = Act::Retire {
        start: core::ptr::from_ref(object).addr(),
        size: size_of::<T>(),
        kind: core::any::type_name::<T>(),
    };
    ask(request, Location::caller());
}
