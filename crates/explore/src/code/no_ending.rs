//! Where nothing is known of signals, code under check that ends the process ends it without words.

use std::panic::Location;

/// A name of what is explored, for words that are missing here.
#[derive(Debug)]
pub struct Named(());

/// Gives what is explored from now on a name.
pub fn named(_: &str) -> Named {
    Named(())
}

/// The name of what is explored.
pub fn what_runs() -> Option<&'static str> {
    None
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    std::process::exit(code)
}

/// The code that runs on a stack.
#[derive(Clone, Copy)]
#[expect(dead_code, reason = "nothing that happens here is told")]
pub(crate) struct OnStack {
    pub(crate) low: usize,
    pub(crate) cpu: usize,
    pub(crate) after: Option<&'static Location<'static>>,
}

pub(crate) fn on_stack(_: Option<OnStack>) -> Option<OnStack> {
    None
}

pub(crate) fn watch() {}
