//! Names.

/// A policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// The shipped engine: bits stay in masks until a flush trims.
    Shootdown,
    /// The same, where a CPU leaves the mask of a space with the space.
    ShootdownExact,
    /// Linux 6.13 and later on x86.
    LinuxX86,
    /// Linux 6.1 on x86: the mask bit goes at the switch.
    LinuxX86Exact,
    /// Linux on powerpc (radix).
    LinuxPowerpc,
    /// Linux on sparc64, after bafb056ce279.
    LinuxSparc64,
    /// Linux on sparc64 before bafb056ce279: a flush that counts one user takes all other CPUs out of the mask.
    LinuxSparc64Racy,
    /// Linux on arm64.
    LinuxArm64,
    /// An IPI to every CPU for every flush.
    BroadcastAll,
    /// Redox.
    Redox,
    /// Asterinas.
    Asterinas,
    /// An oracle that knows every TLB.
    ExactSharers,
    /// No IPIs at all: wrong, and fast.
    None,
}

impl PolicyKind {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 13] = [
        Self::Shootdown,
        Self::ShootdownExact,
        Self::LinuxX86,
        Self::LinuxX86Exact,
        Self::LinuxPowerpc,
        Self::LinuxSparc64,
        Self::LinuxSparc64Racy,
        Self::LinuxArm64,
        Self::BroadcastAll,
        Self::Redox,
        Self::Asterinas,
        Self::ExactSharers,
        Self::None,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shootdown => "shootdown",
            Self::ShootdownExact => "shootdown-exact",
            Self::LinuxX86 => "linux-x86",
            Self::LinuxX86Exact => "linux-x86-6.1",
            Self::LinuxPowerpc => "linux-powerpc",
            Self::LinuxSparc64 => "linux-sparc64",
            Self::LinuxSparc64Racy => "linux-sparc64-5.8",
            Self::LinuxArm64 => "linux-arm64",
            Self::BroadcastAll => "broadcast-all",
            Self::Redox => "redox",
            Self::Asterinas => "asterinas",
            Self::ExactSharers => "exact-sharers",
            Self::None => "none",
        }
    }

    /// The policy of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a stale translation is never used under it.
    pub fn is_safe(self) -> bool {
        !matches!(self, Self::LinuxSparc64Racy | Self::None)
    }

    /// Whether a kernel could be built with it: not the two bounds, nor what races.
    pub fn is_real(self) -> bool {
        !matches!(self, Self::ExactSharers | Self::LinuxSparc64Racy | Self::None)
    }

    /// Whether it is the engine.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Shootdown | Self::ShootdownExact)
    }

    /// Whether hardware broadcasts take the place of IPIs.
    pub fn broadcasts(self) -> bool {
        matches!(self, Self::LinuxPowerpc | Self::LinuxArm64)
    }
}
