//! What a collection says of the bug that `@FILE@.rs` models.

use super::@FILE@::SKETCH;
use shootdown_cases::bugs::Bug;

/// The bug; every field is explained at `Bug`, and `shootdown check` says what is wrong with one.
pub const BUG: Bug = Bug {
    id: "G99",
    source: "the commit or advisory that fixed it",
    title: "its title",
    kernel: "@KERNEL@",
    arch: "generic",
    rules: &[8],
    about: "One sentence: a page is unmapped and its frame freed, and nobody tells the other CPU.",
    story: include_str!("@FILE@.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    ..Bug::of(SKETCH)
};
