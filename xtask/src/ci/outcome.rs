//! What steps are told, and what they answer.

/// How a step ended, if it did not fail.
#[derive(Debug)]
pub enum Done {
    /// It passed: with which totals.
    Passed(String),
    /// It could not run here: why.
    Skipped(String),
}

/// Which steps run, and how much of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// What finds most in a few minutes.
    Quick,
    /// All.
    Whole,
}
