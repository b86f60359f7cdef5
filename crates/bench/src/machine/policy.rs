//! What a machine runs.

use super::tlb::{PageTables, Pages};

/// What the memory management of a kernel does, on the current CPU of the machine that runs on this thread.
pub trait Policy {
    /// Brings the machine's CPUs on line. Nothing is counted yet.
    fn boot(&self, cpus: u32);
    /// Makes a space.
    fn create(&self, space: u32);
    /// Runs a program in a space.
    fn switch(&self, space: u32);
    /// Runs a kernel thread on whatever is loaded.
    fn enter_lazy(&self);
    /// A kernel thread borrows a space.
    fn borrow(&self, space: u32) {
        self.switch(space);
    }
    /// It gives it back.
    fn unborrow(&self) {
        self.enter_lazy();
    }
    /// Flushes after a change of page tables; on return no CPU uses what went.
    fn flush(&self, request: &Request<'_>);
    /// The last program of a space has ended; the flush of its teardown follows, then [`end`](Self::end).
    fn last_user(&self, space: u32) {
        let _ = space;
    }
    /// Nothing is mapped any more: the root may go.
    fn end(&self, space: u32);
    /// Handles the current CPU's IPI. Must not wait.
    fn handle_ipi(&self);
    /// Adds what only the policy has counted.
    fn finish(&self) {}
}

/// A request to flush.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The space.
    pub space: u32,
    /// The pages.
    pub pages: Pages,
    /// Whether tables go as well.
    pub tables: PageTables,
    /// Numbers of the translations that went: known to the oracle alone.
    pub retired: &'a [u32],
}
