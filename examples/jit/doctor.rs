//! How `shootdown doctor` makes the machine that ships. `shootdown_host` is then one whose virtual CPUs are a simulated
//! machine's.

#[path = "src/platform.rs"]
pub mod platform;

use platform::State;
use shootdown_host::sync::Ordering::Relaxed;
use shootdown_host::{Embedder, Examined, Leaves, MachineBuilder, simulated_cpu as running_hart};
use std::sync::Arc;

/// The translator's machine.
pub struct Translator;

impl Embedder for Translator {
    type Root = ();

    fn machine() -> (MachineBuilder<()>, Leaves) {
        let states: Arc<[State; platform::HARTS]> = Arc::default();
        let code = Arc::clone(&states);
        // What translated code compares with 0 between two blocks.
        let leaves = move |hart: shootdown::CpuId| code[hart.index()].exit.load(Relaxed) != 0;
        (platform::machine(&states), Box::new(leaves))
    }
}

/// The platform that the doctor examines.
pub type PlatformUnderTest = Examined<Translator>;
