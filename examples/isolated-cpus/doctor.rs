//! How `shootdown doctor` makes the platform that ships.

#[path = "src/platform.rs"]
pub mod platform;

use core::sync::atomic::Ordering::Relaxed;
use platform::Hardware;
use shootdown::CpuLocal;
use shootdown::ports::{Embedded, PortableCoherence, Ports};

/// The platform that the doctor examines.
pub type PlatformUnderTest<H> = Embedded<Hardware<H>, H>;

impl<H: Ports + 'static> PortableCoherence<H> for Hardware<H> {
    type Room = [CpuLocal; 4];
    const PREEMPTS: bool = true;

    fn pins() -> u32 {
        platform::PREEMPTION.load(Relaxed)
    }
    fn room() -> Self::Room {
        [const { CpuLocal::new() }; 4]
    }
    fn new(ports: H, cpus: &'static Self::Room) -> Self {
        Self { ports, cpus }
    }
}
