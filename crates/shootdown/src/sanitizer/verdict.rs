//! Violations, and where they are reported.

use crate::types::{CpuId, SpaceId, Tag, VirtAddr};
use core::fmt;

/// A translation that outlives what it leads to: who holds it, what it leads to, and the flush that was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What happened.
    pub kind: Kind,
    /// The CPU that may still use it.
    pub cpu: CpuId,
    /// The tag under which it holds it; [`Tag::NONE`] for kernel memory and where there are no tags.
    pub tag: Tag,
    /// The space that it belongs to; `None` for kernel memory.
    pub space: Option<SpaceId>,
    /// First and last address of what was unmapped; `None` for the whole space.
    pub pages: Option<(VirtAddr, VirtAddr)>,
    /// Whether page tables are given back too.
    pub frees_tables: bool,
    /// The CPU that unmapped it, or frees the root, or loads the space.
    pub by: CpuId,
    /// When it was unmapped: the number of the removal, counted over the machine from 1. 0 where nothing was unmapped.
    pub number: u64,
    /// The flush that was missing.
    pub missing: Missing,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A frame is freed while a CPU may still use it.
    GivenBack,
    /// A CPU begins to use a space again, and has not flushed what was given back meanwhile.
    CameBack,
    /// A root is freed that a CPU has loaded.
    RootFreed,
    /// A CPU loads a space under a tag under which it may hold entries of this other one.
    TagTaken(SpaceId),
}

/// The flush that was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// Of the pages, or of all that the CPU holds of the space.
    Pages,
    /// The same, with what the walker caches of tables.
    PagesAndTables,
    /// Of the pages of kernel memory, or of everything.
    Kernel,
    /// Of the tag, before it changed hands.
    Tag,
    /// None: the CPU had to load another root.
    Eviction,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::Pages => "a flush of these pages",
            Missing::PagesAndTables => "a flush of these pages with the walk caches",
            Missing::Kernel => "a flush of these pages under all tags",
            Missing::Tag => "a flush of the tag",
            Missing::Eviction => "the load of another root",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cpu, by, number) = (self.cpu, self.by, self.number);
        let own = Owner(self);
        match self.kind {
            Kind::GivenBack => write!(
                f,
                "{} of {own} are given back while {cpu} may still use them: {by} unmapped them (removal {number})",
                Pages(self)
            )?,
            Kind::CameBack => write!(
                f,
                "{cpu} comes back to {own} and may still use {}, which {by} unmapped (removal {number}) and gave back",
                Pages(self)
            )?,
            Kind::RootFreed => write!(f, "{by} frees the root of {own} while {cpu} has it loaded")?,
            Kind::TagTaken(other) => write!(
                f,
                "{cpu} loads {own} while it may still use entries of space {} under that tag",
                other.number()
            )?,
        }
        write!(f, "; missing on {cpu}: {}", self.missing)
    }
}

/// Writes whose the translation is, with its tag.
struct Owner<'a>(&'a Violation);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(space) = self.0.space else { return f.write_str("kernel memory") };
        write!(f, "space {}", space.number())?;
        if self.0.tag == Tag::NONE { Ok(()) } else { write!(f, " (tag {})", self.0.tag.number()) }
    }
}

/// Writes what was unmapped.
struct Pages<'a>(&'a Violation);

impl fmt::Display for Pages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.pages {
            Some((first, last)) => write!(f, "pages {:#x} to {:#x}", first.0, last.0)?,
            None => f.write_str("all pages")?,
        }
        f.write_str(if self.0.frees_tables { " and their tables" } else { "" })
    }
}

/// The response to a violation. Called on the CPU that notices, in any context, interrupts on or off, perhaps with
/// locks held: it should write a line or stop the machine.
pub trait Verdict: Sync {
    /// A violation was noticed. It has been counted.
    fn violated(&self, violation: &Violation);
}

/// Stops with a panic that says what was wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Panics;

impl Verdict for Panics {
    fn violated(&self, violation: &Violation) {
        panic!("{violation}");
    }
}

/// Only counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts;

impl Verdict for Counts {
    fn violated(&self, _: &Violation) {}
}

impl<F: Fn(&Violation) + Sync> Verdict for F {
    fn violated(&self, violation: &Violation) {
        self(violation);
    }
}

/// What a sanitizer has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Removals that were noted.
    pub removals: u64,
    /// Violations.
    pub violations: u64,
    /// Checks that could not be made, because the sanitizer has forgotten too much: more removals were under way than
    /// it remembers, or a CPU has flushed more ranges since. Such a check reports no violation.
    pub unchecked: u64,
}
