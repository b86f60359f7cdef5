//! The guests that are built in. Their sources are in `guests`; `build.rs` assembles them.

/// A guest that is built in.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub what: &'static str,
    /// How it ends.
    pub ends: &'static str,
    /// The file.
    pub elf: &'static [u8],
}

macro_rules! guests {
    ($($name:literal: $what:literal, $ends:literal;)*) => {
        /// All of them.
        pub const ALL: &[Guest] = &[$(Guest {
            name: $name,
            what: $what,
            ends: $ends,
            elf: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".elf")),
        },)*];
    };
}

guests! {
    "hello": "each hart prints a line, in turn", "exit 0";
    "counter": "harts add to two counters, by AMOs and by LR/SC", "exit 0";
    "spinlock": "harts add to a plain counter under a lock", "exit 0";
    "remap": "hart 0 maps a page elsewhere and overwrites the old one, after remote fences", "exit 0";
    "stale": "the same without fences: the guest's own mistake", "exit 3";
    "leaf-local": "harts make large leaves read-only, and each fences one address in them", "exit 0";
    "leaf-remote": "the same with remote fences", "exit 0";
    "migrate": "harts read and write while the host moves their memory", "exit 0";
    "user": "user programs under an ASID each, with a supervisor beneath", "exit 0";
    "ipi": "harts wake one another by interrupts", "exit 0";
    "fault": "handles an illegal instruction and a bad load, then jumps nowhere without a handler", "exit 3";
    "loop": "never ends: stopped by --steps or --seconds", "exit 3";
    "liar": "asks the firmware for nonsense, then sets a satp that leads nowhere", "exit 3";
}

/// The guest of that name.
pub fn named(name: &str) -> Option<&'static Guest> {
    ALL.iter().find(|guest| guest.name == name)
}
