//! Ends the process when the code of a case does not come back from a step: nothing else can stop a loop without steps.
//! Also when a thread that a model started panics, of which its result would say nothing.
//!
//! The exit code is 1, that of a case that does not come out as expected: the results before it are printed by then,
//! and there is nothing wrong with what was asked for. After Ctrl-C it is what the caller says.

use shootdown_explore::{Hung, Named, WORKER, Watchdog, exit, named, what_runs};
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

/// Time between two looks. A process that is held up as a whole is not looked at meanwhile.
const BETWEEN: Duration = Duration::from_millis(100);
/// Exit code of a case that does not come out as expected.
const NOT_AS_EXPECTED: u8 = 1;
/// Bytes by which the process may grow while one step runs, where this system says how large it is.
const GROWTH: u64 = 1 << 30;
/// Looks after which a step does not come back: 10 s, where a step takes well below a millisecond.
const PATIENCE: u32 = 100;
/// The same once the user has asked to stop.
const PATIENCE_AFTER_CTRL_C: u32 = 5;

/// Exit code after Ctrl-C, once that came.
static ASKED_TO_STOP: AtomicU8 = AtomicU8::new(0);

/// Takes that the case of this name runs until the result is dropped; see [`named`].
pub fn begin(case: &str) -> Named {
    static ONCE: Once = Once::new();
    // Where the host has no thread for it a step that hangs is left to Ctrl-C.
    ONCE.call_once(|| drop(thread::Builder::new().name("watchdog".to_owned()).spawn(watch)));
    named(case)
}

/// Ends the process from now on when a thread panics while a case runs that is neither the caller's nor the explorer's.
/// To be called by a `main`: the threads of a test harness are others, too.
pub fn tell_of_threads() {
    let (main, before) = (thread::current().id(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        before(info);
        let this = thread::current();
        if let Some(case) = what_runs().filter(|_| this.id() != main && this.name() != Some(WORKER)) {
            let _ = writeln!(
                io::stderr(),
                "error: {case}: a thread of the model's own panics\n  what a thread does the explorer does not see: CPUs and \
                 interrupt handlers are what runs side by side in a model\n  the run ends here; cases that come later were not run"
            );
            exit(NOT_AS_EXPECTED.into());
        }
    }));
}

/// Takes that the user has asked to stop, after which the process ends with `code`.
pub fn asked_to_stop(code: u8) {
    ASKED_TO_STOP.store(code, Ordering::Relaxed);
}

fn watch() {
    let mut watchdog = Watchdog::default();
    let mut before = resident();
    loop {
        thread::sleep(BETWEEN);
        let asked = ASKED_TO_STOP.load(Ordering::Relaxed);
        let (patience, code) = match asked {
            0 => (PATIENCE, NOT_AS_EXPECTED),
            code => (PATIENCE_AFTER_CTRL_C, code),
        };
        let seen = watchdog.look();
        if seen.is_none_or(|hung| hung.looks <= 1) {
            before = resident();
        }
        let grows = resident().saturating_sub(before) > GROWTH;
        if let Some(hung) = seen.filter(|hung| grows || hung.looks >= patience) {
            // Where nobody reads it any more the exit code says the rest.
            let _ = writeln!(io::stderr(), "{}", Told { case: what_runs().unwrap_or("a scenario"), hung });
            exit(code.into());
        }
    }
}

/// Bytes of memory of this process; 0 where the system does not say. The second number of Linux' `statm` counts pages.
fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .map_or(0, |pages| pages * PAGE)
}

/// The error about a step that does not come back.
struct Told<'a> {
    case: &'a str,
    hung: Hung,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hung { cpu, line, after, .. } = self.hung;
        write!(f, "error: {}: ", self.case)?;
        match (cpu, line) {
            (None, _) => write!(f, "the code that builds the model")?,
            (Some(cpu), None) => write!(f, "CPU {cpu}'s main code")?,
            (Some(cpu), Some(line)) => write!(f, "CPU {cpu}'s handler of interrupt {line}")?,
        }
        match after {
            None if cpu.is_none() => write!(f, " does not come to its end")?,
            None => write!(f, " does not come to its first step")?,
            Some(place) => write!(f, " does not come back after its step at {place}")?,
        }
        write!(
            f,
            "\n  a loop without steps cannot be explored: a loop that waits for a word to change is \
             `sync::wait_until(|| ...)`, one that tries again until it succeeds is `sync::retry(|| ...)`; a lock, a channel \
             or a sleep of the standard library holds the explorer up: take words, and `kit::Lock`\n  \
             the run ends here; cases that come later were not run"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Told;
    use shootdown_explore::Hung;
    use std::panic::Location;

    #[test]
    fn a_step_that_hangs_is_told_with_case_cpu_place_and_remedy() {
        let after = Location::caller();
        let told = |cpu, line, after| {
            Told { case: "toy-x/broken", hung: Hung { cpu, line, after, looks: 100 } }.to_string()
        };
        let main = told(Some(1), None, Some(after));
        for part in ["toy-x/broken: CPU 1's main code", &after.to_string(), "sync::wait_until", "sync::retry"]
        {
            assert!(main.contains(part), "{part}: {main}");
        }
        let build = told(None, None, None);
        assert!(build.contains("toy-x/broken: the code that builds the model does not come"), "{build}");
        let handler = told(Some(1), Some(0), None);
        assert!(handler.contains("handler of interrupt 0 does not come to its first step"), "{handler}");
    }
}
