//! What the TLB sanitizer reports.

use super::host::shootdown::sanitizer::{Verdict, Violation};
use crate::frames::lock;
use std::sync::{Arc, Mutex};

/// Keeps what was noticed first: a frame that is given back while a CPU may still use it. The guest goes on, so that it
/// can be seen what comes of it.
#[derive(Clone, Default)]
pub struct Watch {
    first: Arc<Mutex<Option<String>>>,
}

impl Watch {
    /// What was noticed first.
    pub fn first(&self) -> Option<String> {
        lock(&self.first).clone()
    }
}

impl Verdict for Watch {
    fn violated(&self, violation: &Violation) {
        lock(&self.first).get_or_insert_with(|| violation.to_string());
    }
}
