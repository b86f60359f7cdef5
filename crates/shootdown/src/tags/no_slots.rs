//! The memory of a CPU's tags where no policy hands any out.

use crate::sync::const_fn;

/// A CPU's memory of what its tags stand for: nothing, without the feature `per-cpu-tags`.
#[derive(Debug)]
pub struct TagSlots(());

impl TagSlots {
    const_fn! {
        /// Makes the memory of a CPU that has run nothing yet.
        pub fn new() -> Self {
            Self(())
        }
    }
}

impl Default for TagSlots {
    fn default() -> Self {
        Self::new()
    }
}
