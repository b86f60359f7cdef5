//! How a world begins, as data.

use crate::cpu::Cpu;
use crate::sim::Profile;
use crate::world::PlatformUnderTest;

/// What a CPU does at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Runs a thread of this space, which owns a user reference.
    User(usize),
    /// Runs a kernel thread, lazy on this space; nothing is owned.
    Lazy(usize),
    /// Runs a kernel thread on the kernel's own root.
    Kernel,
    /// Is no CPU, but an IOMMU that walks the page tables of this space.
    Iommu(usize),
}

/// Which code handles the IPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    /// The platform's handler.
    Own,
    /// The same, and it notes that it was called.
    Notes,
}

/// What a CPU runs.
pub(crate) type Code<P> = fn(&Cpu<'_, P>);

/// How a world begins.
pub(crate) struct Plan<P: PlatformUnderTest> {
    /// Start and code of each CPU.
    pub(crate) cpus: Vec<(Start, Code<P>)>,
    /// Number of spaces.
    pub(crate) spaces: usize,
    /// Per space: user references owned by threads that sleep for ever.
    pub(crate) sleepers: [u64; 2],
    /// Per space: struct references owned by code.
    pub(crate) pins: [u64; 2],
    /// Spaces whose root must be freed by the end.
    pub(crate) die: &'static [usize],
    /// Kernel pages.
    pub(crate) kernel_pages: usize,
    /// Whether they lie in a table that can be freed.
    pub(crate) kernel_table: bool,
    /// CPUs that the hypervisor takes off once, at any time.
    pub(crate) preempted: &'static [usize],
    pub(crate) handler: Handler,
    pub(crate) profile: Profile,
    /// The questions to the engine's checks, besides.
    pub(crate) context: u64,
    /// Whether the engine's masks are checked, which takes an engine that loads the roots.
    pub(crate) masks: bool,
}

impl<P: PlatformUnderTest> Plan<P> {
    pub(crate) fn new(cpus: Vec<(Start, Code<P>)>) -> Self {
        Self {
            cpus,
            spaces: 1,
            sleepers: [0; 2],
            pins: [0; 2],
            die: &[],
            kernel_pages: 0,
            kernel_table: false,
            preempted: &[],
            handler: Handler::Own,
            profile: Profile::PLAIN,
            context: 0,
            masks: true,
        }
    }
}
