//! How `shootdown doctor` makes the platform that ships.

#[path = "src/platform.rs"]
pub mod platform;

use platform::Guest;
use shootdown::CpuLocal;
use shootdown::coherence::Hypercalls;
use shootdown::ports::{Embedded, FlushCalls, PortableCoherence};

/// The platform that the doctor examines.
pub type PlatformUnderTest<H> = Embedded<Guest<H>, H, Hypercalls>;

impl<H: FlushCalls + 'static> PortableCoherence<H> for Guest<H> {
    type Room = [CpuLocal; 4];

    fn room() -> Self::Room {
        [const { CpuLocal::new() }; 4]
    }
    fn new(ports: H, cpus: &'static Self::Room) -> Self {
        Self { ports, cpus }
    }
}
