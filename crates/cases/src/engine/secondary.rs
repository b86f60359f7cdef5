//! An IOMMU that walks the page tables of a space, perhaps with a device behind it.
//!
//! Both are CPUs of the machine that the engine does not know: each may fill and use what it holds at any moment.

use super::cpu::Cpu;
use super::queue::LEAVE;
use super::sim::TestMachine;
use super::world::World;
use shootdown::flush::FlushRequest;
use shootdown_explore::sync;

impl<S: TestMachine> World<S> {
    /// The IOMMU works off its commands.
    pub(super) fn work_off_commands(&self, cpu: usize) {
        let queue = self.engine.platform().queue.as_ref().expect("somebody has posted");
        assert_eq!(cpu, queue.iommu, "the IOMMU alone is told");
        queue.work_off();
    }
}

impl<S: TestMachine> Cpu<'_, S> {
    /// Ends the last thread of a space that the IOMMU shares: the IOMMU leaves it before it is torn down.
    pub fn exit_and_detach(&self, space: usize) {
        self.run_kernel_thread();
        sync::note("detach the IOMMU");
        let queue = self.engine().platform().queue.as_ref().expect("there is an IOMMU");
        queue.post(LEAVE);
        self.engine().flush(self.space(space), FlushRequest::all().tables_freed());
        self.put(space, self.user(space));
    }
}
