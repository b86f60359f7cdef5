//! How large a machine may be.

/// CPUs of a machine at most.
pub const MAX_CPUS: usize = 8;
pub(crate) const MAX_SPACES: usize = 6;
pub(crate) const MAX_TABLES: usize = 8;
pub(crate) const MAX_ENTRIES: usize = 2;
pub(crate) const SLOTS: usize = 2;
/// Pages of a space at most.
pub const MAX_PAGES: usize = MAX_ENTRIES * SLOTS;
/// Tags of a machine at most.
pub const MAX_TAGS: usize = 6;
pub(crate) const MAX_KERNEL: usize = 2;
pub(crate) const MAX_CODE: usize = 2;
pub(crate) const MAX_GUEST_PAGES: usize = 2;
pub(crate) const MAX_FRAMES: usize = 16;
pub(crate) const MAX_VALUES: usize = 16;
