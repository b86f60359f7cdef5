//! Where nothing is known of signals a stack that overflows ends the process without words.

/// Gives what is explored from now on a name, for words that are missing here.
pub fn name(_: &str) {}

pub(crate) fn on_stack(_: Option<(usize, usize)>) -> Option<(usize, usize)> {
    None
}

pub(crate) fn watch() {}
