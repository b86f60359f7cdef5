//! Verbs of those who write code that other CPUs run.

use super::cpu::Cpu;
use super::sim::TestMachine;
use shootdown::flush::FlushRequest;
use shootdown_explore::sync;
use shootdown_machine::hw;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Version of the code at the start.
pub(super) const OLD: u64 = 1;
const NEW: u64 = 2;

impl<S: TestMachine> Cpu<'_, S> {
    /// Writes code of a space, has CPUs synchronise, and says where the code is.
    pub fn compile(&self, space: usize) {
        sync::note("write code");
        self.world.machine.tables.code(0).store(NEW, Relaxed);
        self.engine().flush(self.space(space), FlushRequest::contexts());
        self.engine().platform().requests[0].store(1, Release);
    }

    /// Runs the code if its place was announced.
    pub fn run_code(&self) {
        sync::note("run what was published");
        if self.engine().platform().requests[0].load(Acquire) == 1 {
            hw::execute(0, NEW);
        }
    }

    /// Patches the kernel's code, has CPUs synchronise, and relies on nobody running the old.
    pub fn patch_kernel_code(&self) {
        sync::note("patch the kernel");
        self.world.machine.tables.code(0).store(NEW, Relaxed);
        self.engine().flush_kernel(FlushRequest::contexts());
        hw::obsolete(0, OLD);
    }
}
