//! Tells of code under check whose stack overflows, where the process would only die of a signal.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes below a stack whose access is an overflow: at least a page of every machine.
const GUARD: usize = 64 * 1024;

thread_local! {
    /// Lowest address of the stack that is in use on this thread, and the CPU whose code runs on it.
    static RUNS: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Whose code runs: the case, in the words of whoever runs it.
static NAME: AtomicPtr<&'static str> = AtomicPtr::new(std::ptr::null_mut());
static BEFORE: OnceLock<[libc::sigaction; 2]> = OnceLock::new();
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Gives what is explored from now on a name, by which the process tells of a stack that overflows before it ends with exit
/// code 1. The name is kept for good.
pub fn name(name: &str) {
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    NAME.store(Box::leak(Box::new(name)), Relaxed);
}

/// Notes which stack is in use from now on; returns what was before.
pub(crate) fn on_stack(now: Option<(usize, usize)>) -> Option<(usize, usize)> {
    RUNS.replace(now)
}

/// Has overflows told from now on.
pub(crate) fn watch() {
    BEFORE.get_or_init(|| SIGNALS.map(install));
}

fn install(signal: libc::c_int) -> libc::sigaction {
    // SAFETY: all zeros is a value of this plain structure of integers.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = overflows as extern "C" fn(_, _, _) as usize;
    // The stack that overflows cannot hold the handler's frame; std gives every thread of its own an alternative one.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both structures are valid, and the handler does only what a handler may.
    unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
    before
}

extern "C" fn overflows(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid structure to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: these signals have an address.
    let address = unsafe { info.si_addr() }.addr();
    match RUNS.get() {
        Some((low, cpu)) if (low..low + GUARD).contains(&address) => end(cpu),
        _ => restore(signal),
    }
}

/// Says whose stack overflows, and ends the process.
fn end(cpu: usize) -> ! {
    let name = NAME.load(Relaxed);
    // SAFETY: `name` stores pointers to leaked strings alone.
    let name = unsafe { name.as_ref() }.copied().unwrap_or("a scenario");
    write("error: ");
    write(name);
    write(": the stack of CPU ");
    write("01234567".get(cpu..=cpu).unwrap_or("?"));
    write(
        "'s code overflows\n  it has 256 KiB: large arrays and deep recursion do not fit; keep what is large in the scenario\n",
    );
    // SAFETY: ends the process, which a handler may do.
    unsafe { libc::_exit(1) }
}

/// Leaves the signal to whoever handled it before: the access that raised it happens again.
fn restore(signal: libc::c_int) {
    let index = SIGNALS.iter().position(|&known| known == signal);
    if let Some(before) = BEFORE.get().zip(index).map(|(before, index)| &before[index]) {
        // SAFETY: the structure is what `sigaction` gave.
        unsafe { libc::sigaction(signal, std::ptr::from_ref(before), std::ptr::null_mut()) };
    }
}

fn write(text: &str) {
    // SAFETY: the bytes are valid. Where nobody reads them there is nobody to tell.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}
