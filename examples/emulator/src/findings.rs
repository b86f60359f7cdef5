//! What must not happen, and what only the guest is to blame for.

use crate::frames::{Holder, Trampled};
use crate::sv39::Kind;
use std::fmt;

/// Something that coherent TLBs do not let happen: the host's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A virtual CPU used a frame that is no longer the guest's, or wrote to one that is being copied.
    StaleFrame(StaleFrame),
    /// A virtual CPU used a guest-virtual translation, or a right that it gave, after a fence for it was complete.
    StaleFence(StaleFence),
    /// The neighbour found its memory overwritten.
    Trampled(Trampled),
}

/// See [`Finding::StaleFrame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleFrame {
    /// The virtual CPU.
    pub cpu: u32,
    /// What it did.
    pub access: Access,
    /// The address that the guest used.
    pub virtual_address: u64,
    /// Whether the memory is what it used, or a page table on the way there.
    pub on: Part,
    /// Where the memory is.
    pub physical_address: u64,
    /// What was read or written there.
    pub value: u64,
    /// The frame that the stale translation leads to.
    pub frame: u32,
    /// Its holder now.
    pub holder: Holder,
    /// The move whose flush should have dropped the translation.
    pub moved: Move,
}

/// A move of a page by the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// Its number, from 1.
    pub number: u32,
    /// Generation of the flush that went before the frame's new owner.
    pub generation: u32,
}

/// What was done to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It was read.
    Read,
    /// It was written.
    Write,
}

/// What part of a guest's access touched memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The access itself.
    Itself,
    /// The walk of the guest's page tables that it took.
    Walk,
}

/// See [`Finding::StaleFence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleFence {
    /// The virtual CPU.
    pub cpu: u32,
    /// The address that the guest used.
    pub virtual_address: u64,
    /// The guest-physical page that its TLB leads to.
    pub held: u64,
    /// What the guest's page tables say.
    pub mapped: Mapped,
    /// The fence that should have dropped it.
    pub fence: FenceBy,
}

/// A fence of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceBy {
    /// The remote fence of this number.
    Remote(u64),
    /// The CPU's own `sfence.vma`, the one of this number.
    Itself(u64),
}

/// What the guest's page tables say of an address that a TLB translated for an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// They map nothing there.
    Nowhere,
    /// They lead to another page.
    To(u64),
    /// They lead to the same page, and do not allow this.
    WithoutRight(Kind),
}

/// A use of a guest-virtual translation that the guest's page tables no longer have, and that no fence has dropped: the
/// guest's own business, which it is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfenced {
    /// The virtual CPU.
    pub cpu: u32,
    /// The address.
    pub virtual_address: u64,
    /// The guest-physical page that its TLB leads to.
    pub held: u64,
    /// What the guest's page tables say.
    pub mapped: Mapped,
    /// The first and the last address of the leaf that its TLB holds: a fence for any of them is enough.
    pub leaf: (u64, u64),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaleFrame(stale) => stale.fmt(f),
            Self::StaleFence(stale) => stale.fmt(f),
            Self::Trampled(Trampled { frame, found }) => write!(
                f,
                "frame {frame} is the host's neighbour's and holds {found:#018x}, which the neighbour did not write: a \
                 virtual CPU wrote through a translation that a flush should have dropped"
            ),
        }
    }
}

impl fmt::Display for StaleFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (did, value) = match self.access {
            Access::Read => ("read a stale page", "got"),
            Access::Write => ("wrote to a stale page", "put"),
        };
        write!(f, "CPU {} {did}: ", self.cpu)?;
        match self.on {
            Part::Itself => write!(f, "guest-virtual {:#x}, ", self.virtual_address)?,
            Part::Walk => write!(f, "in the walk for guest-virtual {:#x}, ", self.virtual_address)?,
        }
        let (frame, value_read) = (self.frame, self.value);
        write!(
            f,
            "guest-physical {:#x}, {value} {value_read:#018x} in frame {frame}, ",
            self.physical_address
        )?;
        match self.holder {
            Holder::Free => f.write_str("which is free now")?,
            Holder::Neighbour => f.write_str("which is the host's neighbour's now")?,
            Holder::Guest(page) => {
                write!(f, "which is the guest's page {page} now, or its copy is being taken")?
            }
        }
        write!(
            f,
            ". The flush of that page for move {} (generation {}) ended without CPU {}.",
            self.moved.number, self.moved.generation, self.cpu
        )
    }
}

impl fmt::Display for StaleFence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CPU {} used guest-virtual {:#x} as guest-physical page {:#x}, {}; ",
            self.cpu, self.virtual_address, self.held, self.mapped
        )?;
        match self.fence {
            FenceBy::Remote(number) => {
                write!(f, "remote fence {number} for it had ended before, without CPU {}.", self.cpu)
            }
            FenceBy::Itself(number) => {
                write!(f, "it had fenced that itself before, by its sfence.vma number {number}.")
            }
        }
    }
}

impl fmt::Display for Unfenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CPU {} used guest-virtual {:#x} as guest-physical page {:#x}, {}; the guest has fenced neither there nor from \
             elsewhere",
            self.cpu, self.virtual_address, self.held, self.mapped
        )
    }
}

impl fmt::Display for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("which its page tables do not map"),
            Self::To(page) => write!(f, "which its page tables map to {page:#x}"),
            Self::WithoutRight(Kind::Fetch) => f.write_str("which its page tables do not let it run"),
            Self::WithoutRight(Kind::Load) => f.write_str("which its page tables do not let it read"),
            Self::WithoutRight(Kind::Store) => f.write_str("which its page tables do not let it write"),
        }
    }
}
