use std::io;
use std::sync::Mutex;
use std::thread;

use crate::failure::Failure;

/// Finds out whether this host gives `count` threads at once, before work begins that would fail in the middle.
///
/// # Errors
/// It gives fewer; `option` is what the user may lower.
pub fn afford(count: usize, option: &str) -> Result<(), Failure> {
    given(count).map_err(|(given, error)| {
        Failure::bad_input(
            format!("this host gives {given} of {count} threads: {error}"),
            format!("give a smaller {option}, or raise the limit (`ulimit -u`, `ulimit -v`)"),
        )
    })
}

/// Starts a thread that nobody waits for.
///
/// # Errors
/// This host gives none.
#[cfg(feature = "full")]
pub fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new().spawn(work).map(drop).map_err(|error| {
        let what = format!("this host gives no thread: {error}");
        Failure::bad_input(what, "raise the limit (`ulimit -u`, `ulimit -v`)")
    })
}

/// Starts `count` threads at once, and ends them; if it cannot, returns how many could be started.
fn given(count: usize) -> Result<(), (usize, io::Error)> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // Threads that find it locked stay until all are there.
        let closed = gate.lock();
        for started in 0..count {
            let wait = || drop(gate.lock());
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, wait) {
                return Err((started, error));
            }
        }
        drop(closed);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::afford;

    #[test]
    fn a_host_has_some_threads() {
        afford(0, "--workers").and_then(|()| afford(8, "--workers")).expect("eight threads");
    }
}
