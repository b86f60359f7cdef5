//! Waking a CPU: one that is called looks some time later, as translated code does between blocks.

use shootdown::CpuId;
use shootdown::ports::Ports as _;
use shootdown_doctor::Sim;

#[derive(Debug, Default)]
pub(crate) struct Sleeper;

impl Sleeper {
    #[track_caller]
    pub(crate) fn wake(&self, cpu: CpuId) {
        // A CPU that the machine does not have is a helper that nobody is.
        if cpu.number() < Sim::running().cpus() {
            Sim::running().send_interrupt(cpu.number());
        }
    }
}
