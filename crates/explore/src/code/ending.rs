//! Tells of code under check that ends the process: by a stack that overflows, an abort or an exit. The process would
//! only die of a signal, or pass for one that has found nothing.
//!
//! Nothing tells of `_exit` and of a signal that cannot be handled.

use std::cell::Cell;
use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};

/// Bytes below a stack whose access is an overflow: at least a page of every machine.
const GUARD: usize = 64 * 1024;

/// The code that runs on a stack.
#[derive(Clone, Copy)]
pub(crate) struct OnStack {
    /// Lowest address of the stack.
    pub(crate) low: usize,
    /// The CPU that runs the code.
    pub(crate) cpu: usize,
    /// Where it made its last step.
    pub(crate) after: Option<&'static Location<'static>>,
}

thread_local! {
    /// The code that runs on this thread.
    static RUNS: Cell<Option<OnStack>> = const { Cell::new(None) };
}

/// The name of what is explored: the case, as its runner calls it.
static NAME: AtomicPtr<&'static str> = AtomicPtr::new(std::ptr::null_mut());
/// How many [`Named`] there are: threads of tests end theirs in any order, and the last leaves no name behind.
static NAMES: AtomicUsize = AtomicUsize::new(0);
/// The process ends on purpose.
static LEAVES: AtomicBool = AtomicBool::new(false);
static BEFORE: OnceLock<[libc::sigaction; 3]> = OnceLock::new();
const SIGNALS: [libc::c_int; 3] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT];

/// A name of what is explored, which it has as long as this lives.
#[derive(Debug)]
#[must_use = "what is explored has the name as long as this lives"]
pub struct Named(*mut &'static str);

/// Gives what is explored from now on a name, until the result is dropped. Meanwhile the process ends by [`exit`]
/// alone: if anything else ends it, it says so by this name, and the exit code is 1. The name is leaked.
pub fn named(name: &str) -> Named {
    watch();
    NAMES.fetch_add(1, Relaxed);
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    Named(NAME.swap(Box::leak(Box::new(name)), Relaxed))
}

impl Drop for Named {
    fn drop(&mut self) {
        NAME.store(self.0, Relaxed);
        NAMES.fetch_sub(1, Relaxed);
    }
}

/// Returns the name of what is explored.
pub fn what_runs() -> Option<&'static str> {
    if NAMES.load(Relaxed) == 0 {
        return None;
    }
    // SAFETY: `named` stores pointers to leaked strings alone.
    unsafe { NAME.load(Relaxed).as_ref() }.copied()
}

/// Ends the process on purpose, though something may be explored.
pub fn exit(code: i32) -> ! {
    LEAVES.store(true, Relaxed);
    std::process::exit(code)
}

/// Notes what runs on this thread from now on; returns what did before.
pub(crate) fn on_stack(now: Option<OnStack>) -> Option<OnStack> {
    RUNS.replace(now)
}

/// Has such ends told from now on.
pub(crate) fn watch() {
    BEFORE.get_or_init(|| {
        // SAFETY: the function may run at any end of the process. If it is refused, there is no room to tell of exits.
        let _ = unsafe { libc::atexit(exits) };
        SIGNALS.map(install)
    });
}

fn install(signal: libc::c_int) -> libc::sigaction {
    // SAFETY: all zeros is a value of this plain structure of integers.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = dies as extern "C" fn(_, _, _) as usize;
    // The stack that overflows cannot hold the handler's frame; std gives every thread of its own an alternative one.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both structures are valid, and the handler does only what a handler may.
    unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
    before
}

extern "C" fn dies(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    if signal == libc::SIGABRT {
        if what_runs().is_some() {
            tell(
                "aborts the process",
                "a panic in a destructor that a panic runs, an allocation that is too large, or `process::abort`",
            );
        }
        return restore(signal);
    }
    // SAFETY: the kernel hands a valid structure to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: these signals have an address.
    let address = unsafe { info.si_addr() }.addr();
    match RUNS.get() {
        Some(OnStack { low, .. }) if (low..low + GUARD).contains(&address) => tell(
            "overflows its stack",
            "it has 256 KiB: large arrays and deep recursion do not fit; keep what is large in the scenario",
        ),
        _ => restore(signal),
    }
}

extern "C" fn exits() {
    if what_runs().is_some() && !LEAVES.load(Relaxed) {
        tell("ends the process", "a model runs many times, and returns each time: it has no `process::exit`");
    }
}

/// Says whose code ends the process and how, and ends it.
fn tell(what: &str, remedy: &str) -> ! {
    write("error: ");
    write(what_runs().unwrap_or("a scenario"));
    match RUNS.get() {
        Some(OnStack { cpu, after, .. }) => {
            write(": CPU ");
            write_number(cpu as u32);
            write("'s code ");
            write(what);
            write(if after.is_some() { " after its step at " } else { " before its first step" });
            after.into_iter().for_each(write_place);
        }
        None => {
            write(": code that no CPU runs, of the model or of a thread of its own, ");
            write(what);
        }
    }
    write("\n  ");
    write(remedy);
    write("\n  the run ends here; cases that come later were not run\n");
    // SAFETY: ends the process, which a handler may do.
    unsafe { libc::_exit(1) }
}

/// Restores the handler that was installed before. The fault happens again, and that handler takes it.
fn restore(signal: libc::c_int) {
    let index = SIGNALS.iter().position(|&known| known == signal);
    if let Some(before) = BEFORE.get().zip(index).map(|(before, index)| &before[index]) {
        // SAFETY: the structure is what `sigaction` gave.
        unsafe { libc::sigaction(signal, std::ptr::from_ref(before), std::ptr::null_mut()) };
    }
}

fn write_place(place: &Location<'static>) {
    write(place.file());
    write(":");
    write_number(place.line());
}

/// Writes a number without memory of the heap, which a handler may not ask for.
fn write_number(number: u32) {
    if number >= 10 {
        write_number(number / 10);
    }
    write("0123456789".get((number % 10) as usize..).and_then(|digits| digits.get(..1)).unwrap_or("?"));
}

fn write(text: &str) {
    // SAFETY: the bytes are valid. Where nobody reads them there is nobody to tell.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}
