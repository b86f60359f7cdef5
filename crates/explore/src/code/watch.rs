//! The steps that run at the moment, for a thread that checks whether one does not come back.

use std::panic::Location;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Code that has been seen between the same two steps again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hung {
    /// The CPU that runs it; `None` for code that [builds](built) a model.
    pub cpu: Option<usize>,
    /// The interrupt line that it handles; `None` for main code.
    pub line: Option<u8>,
    /// Where it made its last step; `None` before the first.
    pub after: Option<&'static Location<'static>>,
    /// How often in a row it was seen there.
    pub looks: u32,
}

/// Finds code under check, of any exploration in this process, that does not come back from a step: a loop without
/// steps. Nothing can stop such code but the end of the process.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// Of each step that ran at the last look, its thread, its number there, and how often it was seen.
    seen: Vec<(usize, u64, u32)>,
}

impl Watchdog {
    /// Looks around; returns the step that was seen most often in a row. To be called at regular intervals.
    pub fn look(&mut self) -> Option<Hung> {
        let running = running();
        let looks = |thread: usize, number: u64| {
            let before = self.seen.iter().find(|seen| (seen.0, seen.1) == (thread, number));
            before.map_or(1, |&(.., looks)| looks.saturating_add(1))
        };
        let now: Vec<_> =
            running.iter().map(|&(thread, number, at)| (thread, number, looks(thread, number), at)).collect();
        self.seen = now.iter().map(|&(thread, number, looks, _)| (thread, number, looks)).collect();
        let longest = now.into_iter().max_by_key(|&(_, _, looks, _)| looks);
        longest.map(|(_, _, looks, (runner, after))| Hung {
            cpu: runner.map(|runner| runner.cpu),
            line: runner.and_then(|runner| runner.line),
            after,
            looks,
        })
    }
}

/// What code under check may learn of the CPU that runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runner {
    pub(crate) cpu: usize,
    /// The interrupt line that it handles; `None` for main code.
    pub(crate) line: Option<u8>,
    pub(crate) context: u64,
    /// The CPU is one of several interchangeable ones.
    pub(crate) anonymous: bool,
}

/// The CPU that runs, if it is one, and where it made its last step.
type At = (Option<Runner>, Option<&'static Location<'static>>);

/// What a thread says of the code that it runs.
#[derive(Debug)]
struct Thread {
    /// Counts steps that began or ended: odd while one runs.
    number: AtomicU64,
    at: Mutex<Option<At>>,
}

static THREADS: Mutex<Vec<Weak<Thread>>> = Mutex::new(Vec::new());

thread_local! {
    static THIS: Arc<Thread> = enlist();
}

fn enlist() -> Arc<Thread> {
    let thread = Arc::new(Thread { number: AtomicU64::new(0), at: Mutex::new(None) });
    let mut threads = lock(&THREADS);
    threads.retain(|known| known.strong_count() > 0);
    threads.push(Arc::downgrade(&thread));
    thread
}

/// Builds a model, for the watchdog to see: `build` does not panic, and explores nothing.
pub fn built<T>(build: impl FnOnce() -> T) -> T {
    watched(None, None, build)
}

/// Runs `step` on this thread, for the watchdog to see.
pub(crate) fn watched<T>(
    runner: Option<Runner>,
    after: Option<&'static Location<'static>>,
    step: impl FnOnce() -> T,
) -> T {
    THIS.with(|thread| {
        *lock(&thread.at) = Some((runner, after));
        thread.number.fetch_add(1, Relaxed);
        let result = step();
        thread.number.fetch_add(1, Relaxed);
        result
    })
}

/// The steps that run now: thread, number there, and whose they are.
fn running() -> Vec<(usize, u64, At)> {
    let threads = lock(&THREADS);
    let alive = threads.iter().filter_map(Weak::upgrade);
    let step = |thread: Arc<Thread>| {
        let number = thread.number.load(Relaxed);
        let at = lock(&thread.at).filter(|_| number % 2 == 1)?;
        Some((Arc::as_ptr(&thread).addr(), number, at))
    };
    alive.filter_map(step).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
