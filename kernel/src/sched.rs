//! A round-robin scheduler: each CPU has a queue of tasks, and runs one step of each in turn.
//!
//! User tasks run in a space; kernel tasks run on whatever is loaded, lazily.

use crate::arch::{self, MAX_CPUS};
use crate::ending::{self, stop, stopping};
use crate::lock::Mutex;
use crate::machine::{ENGINE, enter_kernel, enter_user, forget_user};
use crate::space::{self, Process};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What a task says at the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It has more to do.
    Again,
    /// It is done.
    Done,
}

/// Work of one thread, in steps.
pub trait Task: Send {
    /// The process in which the next step runs; nothing for a kernel thread.
    fn process(&self) -> Option<Arc<Process>> {
        None
    }

    /// Puts away what the task has out, once, when the scenario ends: no step follows.
    fn stop(&mut self) {}

    /// Runs a step. It may wait for other CPUs' IPIs, and for nothing else.
    fn step(&mut self) -> Flow;
}

type Queue = Mutex<VecDeque<Box<dyn Task>>>;

static QUEUES: [Queue; MAX_CPUS] = [const { Mutex::new(VecDeque::new()) }; MAX_CPUS];
static ALIVE: AtomicUsize = AtomicUsize::new(0);
static CYCLES: AtomicU64 = AtomicU64::new(0);
static CYCLES_WANTED: AtomicU64 = AtomicU64::new(0);

static GIVES_WAY: AtomicBool = AtomicBool::new(false);

/// Lets other CPUs run after each step, for machines whose CPUs share one thread of the host.
pub fn give_way() {
    GIVES_WAY.store(true, Ordering::Relaxed);
}

/// Lets other CPUs run in the middle of a step.
pub fn breathe() {
    if GIVES_WAY.load(Ordering::Relaxed) {
        arch::yield_now();
    }
}

/// Forgets the last scenario: the next one ends at `deadline` or after `cycles`.
pub fn begin(deadline: u64, cycles: u64) {
    CYCLES.store(0, Ordering::Relaxed);
    CYCLES_WANTED.store(cycles, Ordering::Relaxed);
    ending::begin(deadline);
}

/// Counts a cycle of a scenario: what it is about happened once more.
pub fn cycle() {
    count_cycles(1);
}

/// Counts so many.
pub fn count_cycles(number: u64) {
    let so_far = CYCLES.fetch_add(number, Ordering::Relaxed) + number;
    let wanted = CYCLES_WANTED.load(Ordering::Relaxed);
    if wanted != 0 && so_far >= wanted {
        stop();
    }
}

/// Cycles so far.
pub fn cycles() -> u64 {
    CYCLES.load(Ordering::Relaxed)
}

/// Gives a CPU a task.
pub fn spawn(cpu: usize, task: impl Task + 'static) {
    ALIVE.fetch_add(1, Ordering::AcqRel);
    QUEUES[cpu].lock().push_back(Box::new(task));
}

/// Runs this CPU's tasks until no CPU has one left.
pub fn run() {
    let queue = &QUEUES[arch::this_cpu()];
    while ALIVE.load(Ordering::Acquire) > 0 {
        ending::look_at_the_clock();
        let Some(mut task) = next(queue) else {
            enter_kernel();
            forget_user();
            space::reap();
            arch::yield_now();
            continue;
        };
        match task.process() {
            Some(process) => enter_user(process),
            None => {
                enter_kernel();
                forget_user();
                space::reap();
            }
        }
        let flow = if stopping() {
            task.stop();
            Flow::Done
        } else {
            task.step()
        };
        breathe();
        match flow {
            Flow::Again => queue.lock().push_back(task),
            Flow::Done => {
                enter_kernel();
                forget_user();
                drop(task);
                ALIVE.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
    enter_kernel();
    forget_user();
    space::reap();
    ENGINE.leave();
}

fn next(queue: &Queue) -> Option<Box<dyn Task>> {
    queue.lock().pop_front()
}
