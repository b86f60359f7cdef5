//! Stacks whose addresses differ in their upper bits alone.
//!
//! Code leaves pointers to its stack behind in places that nothing will read, and puts smaller values over parts of
//! them. The rest tells two runs apart that go on alike, unless stacks lie so that those parts are equal, or can be
//! recognized ([`crate::code::image`]).

use crate::code::image;
use corosensei::stack::{DefaultStack, Stack, StackPointer};

/// What a stack has room for, at least; all of them end at a multiple of it.
const ROOM: usize = 256 * 1024;

/// Pages of which a part ends where a stack may begin.
pub(crate) struct CodeStack(DefaultStack);

impl CodeStack {
    pub(crate) fn new() -> std::io::Result<Self> {
        image::clear_of_small(|| DefaultStack::new(2 * ROOM).map(Self))
    }
}

// SAFETY: a part of a stack that ends at a multiple of its alignment, with the guard page of the whole at its lower end; more
// than half of the whole, since that has room for two.
unsafe impl Stack for CodeStack {
    fn base(&self) -> StackPointer {
        let end = self.0.base().get() & !(ROOM - 1);
        StackPointer::new(end).unwrap_or_else(|| self.0.base())
    }
    fn limit(&self) -> StackPointer {
        self.0.limit()
    }
}
