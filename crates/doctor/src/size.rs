//! How large the simulated machine is.

/// Tags of the machine, 0 counted.
pub(crate) const TAGS: usize = 6;
/// Pages of a space, and of kernel memory.
pub(crate) const PAGES: u64 = 2;
