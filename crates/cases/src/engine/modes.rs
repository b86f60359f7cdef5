//! Whether each CPU runs user code.

use shootdown_explore::sync::Word;
use std::sync::atomic::Ordering::Relaxed;

/// For each CPU, whether what comes now comes from user code. Only its own CPU looks at it.
#[derive(Debug)]
pub(super) struct Modes(Vec<Word>);

impl Modes {
    pub(super) fn new(cpus: usize) -> Self {
        Self((0..cpus).map(|_| Word::new("user_mode", 0)).collect())
    }

    pub(super) fn set(&self, cpu: usize, user: bool) {
        // ORDER: relaxed; only this CPU reads it.
        self.0[cpu].store(u64::from(user), Relaxed);
    }

    pub(super) fn is_user(&self, cpu: usize) -> bool {
        // ORDER: relaxed; only this CPU writes it.
        self.0[cpu].load(Relaxed) == 1
    }
}
