//! How a scenario begins, as data.

use super::cpu::Cpu;
use super::sim::TestMachine;
use super::start::Start;

/// What a CPU runs.
pub type Code<S> = fn(&Cpu<'_, S>);

/// How a world begins.
pub struct Plan<S: TestMachine> {
    /// Start and code of each CPU.
    pub cpus: Vec<(Start, Code<S>)>,
    /// Number of spaces (1 to 5).
    pub spaces: usize,
    /// Per space: user references owned by threads that sleep for ever; 1 for the third space and on.
    pub sleepers: [u64; 2],
    /// Struct references to the first space that code owns (`Cpu::pinned`).
    pub pins: u64,
    /// Whether the first space's root, table and frames must be freed by the end.
    pub dies: bool,
    /// Whether no space is registered: their owners count references themselves, and retire them.
    pub owned: bool,
    /// Leaf tables of each space: 1, or 2 where there is one space.
    pub tables: usize,
    /// Kernel pages.
    pub kernel_pages: usize,
    /// Whether they are in a table of their own, which can be freed.
    pub kernel_table: bool,
    /// Whether the machine tells user mode from the kernel. CPUs begin in the kernel.
    pub modes: bool,
    /// Whether CPUs that come on line are checked by what they acknowledge, and not only once they have flushed.
    pub acknowledged: bool,
    /// Whether a CPU that comes on line was reset, so that the IPIs that it had not handled are lost. Else it finds
    /// them.
    pub resets: bool,
    /// Whether two CPUs may clear the same entry: entries are then cleared by an atomic exchange.
    pub contested: bool,
    /// Context bits besides the fault.
    pub context: u64,
    /// CPUs that the hypervisor takes off once, at any time.
    pub preempted: &'static [usize],
    /// Whether page 1 of the first space is not mapped at the start; its frame is there for [`Cpu::resolve`].
    pub missing: bool,
}

impl<S: TestMachine> Default for Plan<S> {
    /// One space with one table, and no CPU.
    fn default() -> Self {
        Self {
            cpus: Vec::new(),
            spaces: 1,
            sleepers: [0; 2],
            pins: 0,
            dies: false,
            owned: false,
            tables: 1,
            kernel_pages: 0,
            kernel_table: false,
            modes: false,
            acknowledged: false,
            resets: false,
            contested: false,
            context: 0,
            preempted: &[],
            missing: false,
        }
    }
}
