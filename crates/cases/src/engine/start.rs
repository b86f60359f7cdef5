//! What a CPU does at the start, as data.

/// What a CPU does at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Runs a thread of this space, which owns a user reference.
    User(usize),
    /// Runs a kernel thread, lazy on this space; nothing is owned.
    Lazy(usize),
    /// Runs a kernel thread on the kernel's own root.
    Kernel,
    /// Off line.
    Offline,
    /// Is no CPU, but an IOMMU that shares the page tables of this space.
    Iommu(usize),
    /// Is no CPU, but a device that gets its translations of this space (second) from an IOMMU (first), and keeps them.
    Device(usize, usize),
}
