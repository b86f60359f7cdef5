//! Runs the code under check on a stack of its own, up to its next request.

use crate::code::overflow;
use crate::code::request::{Act, Request};
use crate::code::watch::{Runner, watched};
use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location};
use std::sync::Once;

const STACK_BYTES: usize = 256 * 1024;

/// The run that owns this thread at the moment.
#[derive(Clone, Copy)]
struct Current {
    yielder: *const Yielder<u64, Request>,
    runner: Runner,
}

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
    /// What runs here is caught, and what its panic says is a result.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `code`, as that which builds a scenario, and keeps its panic from the screen.
///
/// # Errors
/// What the panic says.
pub fn caught<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    silence_panics();
    let outer = CAUGHT.replace(true);
    let result = std::panic::catch_unwind(AssertUnwindSafe(code));
    CAUGHT.set(outer);
    result.map_err(|payload| text_of(&*payload))
}

/// The CPU that runs the caller, if it is code under check.
pub(crate) fn current() -> Option<Runner> {
    CURRENT.get().map(|current| current.runner)
}

/// Whether the caller is a destructor that runs because code under check panicked. That run is over: its
/// requests are answered with 0 and go nowhere.
pub(crate) fn unwinding() -> bool {
    std::thread::panicking()
}

/// Hands a request to the explorer and returns its answer; `None` outside an exploration.
#[inline(never)]
pub(crate) fn ask(act: Act, place: &'static Location<'static>) -> Option<u64> {
    let run = CURRENT.get()?;
    if unwinding() {
        return Some(0);
    }
    // SAFETY: `CURRENT` is set only while the coroutine that owns this yielder runs on this thread (`Run::resume`
    // clears it whenever control is outside), and the yielder lives on that coroutine's stack as long as its body.
    let yielder = unsafe { &*run.yielder };
    Some(yielder.suspend(Request { act, place }))
}

/// What code under check unwinds with where it finds a rule of its own broken.
pub(crate) struct Demand(pub(crate) String);

/// How the code of a frame ended.
enum Ending {
    Returned,
    Demanded(String),
    Panicked(String),
}

/// What a run did when it was resumed.
pub(crate) enum Event {
    Asked(Request),
    Returned,
    Demanded(String),
    Panicked(String),
}

/// One suspended execution of a frame's code.
pub(crate) struct Run {
    coroutine: Coroutine<u64, Request, Ending, DefaultStack>,
    current: Option<Current>,
    runner: Runner,
    /// Where it made its last request.
    after: Option<&'static Location<'static>>,
    /// Lowest and highest address of the stack.
    range: (usize, usize),
}

impl Run {
    /// Prepares `code` on `stack`; the first `resume` starts it.
    ///
    /// # Safety
    /// 1. The run is dropped (by `finish`) before what `code` borrows ends.
    pub(crate) unsafe fn start(stack: DefaultStack, runner: Runner, code: impl FnOnce()) -> Self {
        silence_panics();
        overflow::watch();
        let range = (stack.limit().get(), stack.base().get());
        let body = move |yielder: &Yielder<u64, Request>, _: u64| {
            CURRENT.set(Some(Current { yielder, runner }));
            match std::panic::catch_unwind(AssertUnwindSafe(code)) {
                Ok(()) => Ending::Returned,
                Err(payload) => match payload.downcast::<Demand>() {
                    Ok(demand) => Ending::Demanded(demand.0),
                    Err(payload) => Ending::Panicked(text_of(&*payload)),
                },
            }
        };
        // SAFETY: the closure borrows only what `code` does, which outlives the run (obligation 1).
        let coroutine = unsafe { Coroutine::with_stack_unchecked(stack, body) };
        Self { coroutine, current: None, runner, after: None, range }
    }

    /// Goes on with `answer` until the next request or the end.
    pub(crate) fn resume(&mut self, answer: u64) -> Event {
        let outer = CURRENT.replace(self.current.take());
        let below = overflow::on_stack(Some((self.range.0, self.runner.cpu)));
        let result = watched(self.runner, self.after, || self.coroutine.resume(answer));
        overflow::on_stack(below);
        self.current = CURRENT.replace(outer);
        match result {
            CoroutineResult::Yield(request) => {
                self.after = Some(request.place);
                Event::Asked(request)
            }
            CoroutineResult::Return(Ending::Returned) => Event::Returned,
            CoroutineResult::Return(Ending::Demanded(words)) => Event::Demanded(words),
            CoroutineResult::Return(Ending::Panicked(text)) => Event::Panicked(text),
        }
    }

    /// Whether `address` is on the stack of the code under check.
    pub(crate) fn owns(&self, address: usize) -> bool {
        (self.range.0..self.range.1).contains(&address)
    }

    /// Abandons the run where it stands and gives its stack back.
    pub(crate) fn finish(mut self) -> DefaultStack {
        if !self.coroutine.done() {
            // SAFETY: nothing outside points into the stack: requests are plain copies. Destructors do not run, by
            // design (they would issue requests); what code under check had allocated leaks, which its rules say.
            unsafe { self.coroutine.force_reset() };
        }
        self.coroutine.into_stack()
    }
}

/// Makes a stack for code under check.
pub(crate) fn new_stack() -> std::io::Result<DefaultStack> {
    DefaultStack::new(STACK_BYTES)
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic with a value that is not text".to_owned())
}

/// A panic of code under check is a finding, not noise on stderr.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CURRENT.get().is_none() && !CAUGHT.get() {
                previous(info);
            }
        }));
    });
}
