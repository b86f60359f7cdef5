//! Stacks as the host gives them, where it keeps books on each.

use crate::code::image;
use corosensei::stack::{DefaultStack, Stack, StackPointer, StackTebFields};

pub(crate) struct CodeStack(DefaultStack);

impl CodeStack {
    pub(crate) fn new() -> std::io::Result<Self> {
        image::clear_of_small(|| DefaultStack::new(256 * 1024).map(Self))
    }
}

// SAFETY: it is the one inside, in all respects.
unsafe impl Stack for CodeStack {
    fn base(&self) -> StackPointer {
        self.0.base()
    }
    fn limit(&self) -> StackPointer {
        self.0.limit()
    }
    fn teb_fields(&self) -> StackTebFields {
        self.0.teb_fields()
    }
    fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
        self.0.update_teb_fields(stack_limit, guaranteed_stack_bytes);
    }
}
