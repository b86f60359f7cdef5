//! What a user gave and must change.

use std::fmt;

/// Input that cannot be used; the exit code is 2.
#[derive(Debug)]
pub struct BadInput {
    /// The fault.
    pub what: String,
    /// What to do instead.
    pub remedy: String,
}

impl BadInput {
    /// The exit code.
    pub const CODE: u8 = 2;
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for BadInput {}
