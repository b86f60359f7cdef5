//! The protocol on loom.

use crate::Outcome;
use crate::protocol::{Cell, Checker, Machine, Variant};
use core::sync::atomic::Ordering;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, fence};
use std::cell::Cell as Count;
use std::time::Instant;

/// Executions after which loom stops: a bound that this protocol stays far below.
const MOST_EXECUTIONS: usize = 200_000;

impl Cell for AtomicU64 {
    fn new(_: &'static str, value: u64) -> Self {
        AtomicU64::new(value)
    }
    fn load(&self, order: Ordering) -> u64 {
        AtomicU64::load(self, order)
    }
    fn store(&self, value: u64, order: Ordering) {
        AtomicU64::store(self, value, order);
    }
    fn swap(&self, value: u64, order: Ordering) -> u64 {
        AtomicU64::swap(self, value, order)
    }
}

struct Loom;

thread_local! {
    // loom runs all threads of a model on the host thread that calls it.
    static EXECUTIONS: Count<u64> = const { Count::new(0) };
    static FIRST_STALE: Count<Option<(u64, Instant)>> = const { Count::new(None) };
}

impl Checker for Loom {
    type Cell = AtomicU64;
    fn full_fence() {
        fence(Ordering::SeqCst);
    }
    fn wait_until(condition: impl Fn() -> bool) {
        while !condition() {
            loom::thread::yield_now();
        }
    }
    fn stale_access() {
        let first = FIRST_STALE.get().unwrap_or_else(|| (EXECUTIONS.get(), Instant::now()));
        FIRST_STALE.set(Some(first));
    }
}

/// Runs every execution of the protocol. What counts is the first that is wrong, as in the explorer; loom itself stops
/// early only by a panic, whose text would spoil the table.
pub(crate) fn run(variant: Variant) -> Outcome {
    EXECUTIONS.set(0);
    FIRST_STALE.set(None);
    let mut model = loom::model::Builder::new();
    model.max_permutations = Some(MOST_EXECUTIONS);
    let start = Instant::now();
    model.check(move || {
        EXECUTIONS.set(EXECUTIONS.get() + 1);
        let machine = Arc::new(Machine::<Loom>::new(variant));
        let borrower = {
            let machine = machine.clone();
            loom::thread::spawn(move || machine.borrow())
        };
        machine.unmap();
        borrower.join().expect("the borrower ends");
    });
    let first = FIRST_STALE.get();
    let (executions, end) = first.unwrap_or_else(|| (EXECUTIONS.get(), Instant::now()));
    Outcome {
        visited: executions,
        // loom counts the first execution as the zeroth.
        complete: first.is_some() || executions + 1 < MOST_EXECUTIONS as u64,
        caught: first.is_some(),
        seconds: (end - start).as_secs_f64(),
    }
}
