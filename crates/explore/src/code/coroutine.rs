//! Runs the code under check on a stack of its own, up to its next request.

use crate::code::ending::{self, OnStack};
use crate::code::image::{self, Fingerprint, Image};
use crate::code::request::{Act, Request};
use crate::code::stack::CodeStack;
use crate::code::watch::{Runner, watched};
use corosensei::stack::Stack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::Cell;
use std::hint::black_box;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, Location};
use std::sync::Once;

/// What code under check finds of its run: it lies at the beginning of the run's stack.
struct Current {
    yielder: *const Yielder<u64, Request>,
    runner: Runner,
    image: Cell<Image>,
    /// How its last panic ends the run, also if the code catches it: it is no less wrong for that.
    panicked: Cell<Option<Ending>>,
}

thread_local! {
    /// The run that owns this thread at the moment; null outside.
    static CURRENT: Cell<*const Current> = const { Cell::new(core::ptr::null()) };
    /// What runs here is caught, and what its panic says is a result.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// The run that owns this thread at the moment. Not inlined: code under check that knew where this thread's variables
/// are would look different on each thread.
#[inline(never)]
fn run<'a>() -> Option<&'a Current> {
    // SAFETY: `CURRENT` is set only while the coroutine on whose stack it points runs on this thread (`Run::switch` clears
    // it whenever control is outside), and only code of that coroutine asks.
    unsafe { CURRENT.get().as_ref() }
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
    run().map(|run| run.runner)
}

/// Whether the caller is a destructor that runs because code under check panicked. That run is over: its
/// requests are answered with 0 and go nowhere.
pub(crate) fn unwinding() -> bool {
    std::thread::panicking()
}

/// Hands a request to the explorer and returns its answer; `None` outside an exploration.
#[inline(never)]
pub(crate) fn ask(act: Act, place: &'static Location<'static>) -> Option<u64> {
    let run = run()?;
    if unwinding() {
        return Some(0);
    }
    sweep();
    let here = 0_u8;
    run.image.set(Image { bottom: address_of(&here) - image::SUSPENDING, ..run.image.get() });
    // SAFETY: the yielder lives on the coroutine's stack as long as its body.
    let yielder = unsafe { &*run.yielder };
    Some(yielder.suspend(Request { act, place }))
}

/// Clears what calls that have returned left below the caller's frame, where `ask` is about to suspend.
#[inline(never)]
fn sweep() {
    black_box(&mut [0_u8; 2 * image::SUSPENDING]);
}

/// Runs `code` in frames that lie below the address that it notes, whatever is inlined.
#[inline(never)]
fn enter(current: &Current, code: &dyn Fn()) {
    let here = 0_u8;
    current.image.set(Image { bottom: 0, top: address_of(&here) });
    // These fill the registers that the code must save: values of the explorer's would tell equal runs apart.
    let [a, b, c, d, e, f, g, h, i, j, k, l] = black_box([0_usize; 12]);
    black_box(code)();
    black_box([a, b, c, d, e, f, g, h, i, j, k, l]);
}

#[inline(always)]
fn address_of<T>(variable: &T) -> usize {
    black_box(&raw const *variable).addr()
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
    coroutine: Coroutine<u64, Request, Ending, CodeStack>,
    current: *const Current,
    runner: Runner,
    /// Where it made its last request.
    after: Option<&'static Location<'static>>,
    stack: Range<usize>,
    /// The highest address of this thread's stack that a `resume` has begun at.
    floor: usize,
}

impl Run {
    /// Prepares `code` on `stack`; the first `resume` starts it.
    ///
    /// # Safety
    /// 1. The run is dropped (by `finish`) before what `code` borrows ends.
    pub(crate) unsafe fn start(stack: CodeStack, runner: Runner, code: impl Fn()) -> Self {
        silence_panics();
        ending::watch();
        let range = stack.limit().get()..stack.base().get();
        // SAFETY: 1. nothing runs on it before the run that is made here.
        unsafe { image::clear(&range) };
        let body = move |yielder: &Yielder<u64, Request>, _: u64| {
            let current = Current {
                yielder,
                runner,
                image: Cell::new(Image { bottom: 0, top: 0 }),
                panicked: Cell::new(None),
            };
            CURRENT.set(&raw const current);
            match std::panic::catch_unwind(AssertUnwindSafe(|| enter(&current, &code))) {
                Ok(()) => current.panicked.take().unwrap_or(Ending::Returned),
                Err(payload) => ending_of(&*payload),
            }
        };
        // SAFETY: the closure borrows only what `code` does, which outlives the run (obligation 1).
        let coroutine = unsafe { Coroutine::with_stack_unchecked(stack, body) };
        Self { coroutine, current: core::ptr::null(), runner, after: None, stack: range, floor: 0 }
    }

    /// Goes on with `answer` until the next request or the end.
    pub(crate) fn resume(&mut self, answer: u64) -> Event {
        let here = 0_u8;
        self.floor = self.floor.max(address_of(&here));
        self.switch(answer)
    }

    /// In a frame of its own, so that all that the coroutine learns of this stack is below the caller's.
    #[inline(never)]
    fn switch(&mut self, answer: u64) -> Event {
        let outer = CURRENT.replace(self.current);
        let runs = OnStack { low: self.stack.start, cpu: self.runner.cpu, after: self.after };
        let below = ending::on_stack(Some(runs));
        let result = watched(Some(self.runner), self.after, || self.coroutine.resume(answer));
        ending::on_stack(below);
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

    /// Adds what the suspended code can still look at, the heap apart, to `print`; whether that is all.
    pub(crate) fn add_to(&self, print: &mut Fingerprint) -> bool {
        // SAFETY: it lies on this run's stack, and its frame ends only with the run.
        let Some(current) = (unsafe { self.current.as_ref() }) else { return false };
        // SAFETY: 1. both ends are addresses of variables on this run's stack, which is suspended.
        unsafe { current.image.get().add_to(print, &self.stack, self.floor) }
    }

    /// Whether `address` is on the stack of the code under check.
    pub(crate) fn owns(&self, address: usize) -> bool {
        self.stack.contains(&address)
    }

    /// Abandons the run where it stands and gives its stack back.
    pub(crate) fn finish(mut self) -> CodeStack {
        if !self.coroutine.done() {
            // SAFETY: nothing outside points into the stack: requests are plain copies. Destructors do not run, by
            // design (they would issue requests); what code under check had allocated leaks, which its rules say.
            unsafe { self.coroutine.force_reset() };
        }
        self.coroutine.into_stack()
    }
}

/// How a panic ends a run.
fn ending_of(payload: &(dyn std::any::Any + Send)) -> Ending {
    match payload.downcast_ref::<Demand>() {
        Some(Demand(words)) => Ending::Demanded(words.clone()),
        None => Ending::Panicked(text_of(payload)),
    }
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
        std::panic::set_hook(Box::new(move |info| match run() {
            Some(run) => run.panicked.set(Some(ending_of(info.payload()))),
            None if CAUGHT.get() => {}
            None => previous(info),
        }));
    });
}
