//! What `shootdown doctor` puts in place of `shootdown-host`, so that the machine an embedder builds is examined as it
//! ships: its hooks, its poll words, and the host's own platform around them. The host's source is compiled from where
//! it lies, but for what belongs to threads: the CPUs, their TLBs and their sleep are the simulated machine's.
//!
//! A file that the doctor reads implements [`Embedder`] and names [`Examined`] as its platform.

macro_rules! source {
    ($($(#[$meta:meta])* $name:ident = $path:literal;)+) => {
        $(
            #[path = $path]
            $(#[$meta])*
            mod $name;
        )+
    };
}

source! {
    builder = "../../crates/host/src/builder.rs";
    #[allow(dead_code, reason = "what a machine of threads uses besides")]
    error = "../../crates/host/src/error.rs";
    fence = "../../crates/host/src/fence.rs";
    #[allow(dead_code, reason = "the doctor's guests do not fence")]
    fence_box = "../../crates/host/src/fence_box.rs";
    guest_code = "../../crates/host/src/guest_code.rs";
    #[allow(dead_code, reason = "what a machine of threads uses besides")]
    host = "../../crates/host/src/host.rs";
    #[allow(dead_code, reason = "what a machine of threads uses besides")]
    ipi = "../../crates/host/src/ipi.rs";
    poll_word = "../../crates/host/src/poll_word.rs";
    #[allow(dead_code, reason = "what a machine of threads uses besides")]
    space = "../../crates/host/src/space.rs";
}

mod sleeper;
pub mod sync;
mod this_cpu;
mod under_test;

pub use builder::MachineBuilder;
pub use error::BuildError;
pub use fence::Fence;
pub use host::Host;
pub use poll_word::PollWord;
pub use shootdown;
pub use this_cpu::simulated_cpu;
pub use under_test::{Embedder, Examined, Leaves};

/// Most CPUs of a machine, virtual ones and helpers together.
pub const MAX_CPUS: usize = 64;

/// Spaces of which a CPU keeps translations while it runs another.
pub const TAGS: usize = 2;
