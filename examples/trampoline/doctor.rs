//! How `shootdown doctor` makes the platform that ships. `shootdown_riscv64::exec` is then a simulated machine's.

#[path = "src/platform.rs"]
pub mod platform;

use platform::Machine;
use shootdown::ports::{Embedded, PortableCoherence, Ports};

/// Harts of the machine.
const HARTS: usize = 4;

/// What the kernel reads from tp.
fn hart() -> u32 {
    shootdown_riscv64::simulated_hart()
}

/// The platform that the doctor examines.
pub type PlatformUnderTest<H> = Embedded<Machine, H>;

impl<H: Ports> PortableCoherence<H> for Machine {
    type Room = ();
    /// Stores reach walkers and harts in the order in which `sfence.vma` and the call of the firmware take them.
    const NEEDS_BARRIERS: bool = false;

    fn room() {}
    fn new(_: H, (): &'static ()) -> Self {
        Self::new()
    }
}
