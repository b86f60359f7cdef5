//! Barriers between accesses and hardware that the engine expects of a platform, where an architecture needs them; a
//! switch removes each.

use shootdown_explore::sync;
use shootdown_machine::hw;

/// Where [`shootdown_explore::Scenario::context`] has the number of the barrier that is removed, from 1: apart from the
/// engine's fault, so that one of each can go at once.
const PLACE: u32 = 32;

/// Names barriers.
macro_rules! barriers {
    ($($(#[$meta:meta])* $barrier:ident = $name:literal,)*) => {
        /// A barrier of the platform, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Barrier { $($(#[$meta])* $barrier,)* }

        impl Barrier {
            /// All barriers.
            pub const ALL: &'static [Self] = &[$(Self::$barrier,)*];

            /// Name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$barrier => $name,)* }
            }
        }
    };
}

barriers! {
    /// Page-table stores before other CPUs' walks (aarch64: `dsb ishst` in `Platform::publish_tables`).
    PublishTables = "publish-tables",
    /// The request before the interrupt (GICv3: `dsb ishst`; x2APIC: MFENCE and LFENCE; riscv64: `fence w, o`). The
    /// engine does not notice that it is missing, see CAVEATS.md.
    BeforeIpi = "ipi-barrier",
    /// Loads of the generation before walks of the root that is loaded (aarch64: `dsb ishld`).
    BeforeWalk = "walk-barrier",
    /// Loads of the generation before the TLBI that answers it (aarch64: the first DSB of `Platform::flush_local`).
    BeforeFlush = "flush-barrier",
    /// The TLBI before the acknowledgement (aarch64: the DSB behind it).
    FlushComplete = "flush-complete",
    /// A write of the root register before walks that count (riscv64: `sfence.vma` after `csrw satp`).
    RootFence = "root-fence",
}

impl Barrier {
    /// Runs [`hw::dsb`], unless the barrier is removed.
    #[track_caller]
    pub(crate) fn issue(self) {
        if self.is_there() {
            hw::dsb();
        }
    }

    /// Whether the barrier is not removed in this run.
    pub(crate) fn is_there(self) -> bool {
        sync::context() >> PLACE != self.number()
    }

    /// Number that removes it.
    pub(crate) fn fault(self) -> u64 {
        self.number() << PLACE
    }

    fn number(self) -> u64 {
        1 + self as u64
    }
}
