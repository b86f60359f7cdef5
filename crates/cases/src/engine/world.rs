//! The engine on a machine with spaces: what scenario code works on.

use super::modes::Modes;
use super::nmi::Marks;
use super::sim::{Sim, TestMachine};
use shootdown::{AddressSpace, Shootdown};
use shootdown_explore::sync::Word;
use shootdown_machine::{Machine, hw};

/// The engine, its machine, and its spaces.
pub struct World<S: TestMachine> {
    pub(super) engine: &'static Shootdown<Sim<S>>,
    pub(super) machine: Machine,
    pub(super) spaces: Vec<&'static AddressSpace<Sim<S>>>,
    pub(super) contested: bool,
    pub(super) resets: bool,
    pub(super) nmi: Marks,
    /// Whether the machine tells user mode from the kernel.
    pub(super) has_modes: bool,
    pub(super) modes: Modes,
    /// A bit for each identity that a space has been given.
    pub(super) identities: Box<Word>,
}

/// An unmapped frame or table; given back when dropped.
pub enum Page {
    /// A frame.
    Frame(usize),
    /// A leaf table.
    Table(u64),
}

impl Drop for Page {
    fn drop(&mut self) {
        match *self {
            Page::Frame(frame) => hw::free_frame(frame),
            Page::Table(table) => hw::free_table(table),
        }
    }
}

/// The page that is not mapped at the start where a plan says that one is missing.
pub(super) const MISSING: (usize, usize) = (0, 1);

/// Frame (and translation value) of a page of a space.
pub(super) fn frame(space: usize, page: usize) -> usize {
    1 + space * 2 + page
}

/// Spaces whose frames a machine of so many spaces has.
pub(super) fn spaces_with_frames(spaces: usize) -> usize {
    spaces.max(2)
}

/// Frame of a kernel page.
pub(super) fn kernel_frame(spaces: usize, page: usize) -> usize {
    1 + spaces_with_frames(spaces) * 2 + page
}
