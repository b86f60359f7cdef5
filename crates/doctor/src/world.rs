//! The platform on a machine with spaces: what scenario code works on.

use crate::sim::{Sim, Wires};
use crate::size::PAGES;
use shootdown::ports::Portable;
use shootdown::{AddressSpace, Shootdown};
use shootdown_explore::sync;
use shootdown_machine::Machine;

/// A platform that the doctor can examine: one over the simulated machine's ports.
///
/// You do not implement it: every [`Portable`] platform whose parts borrow nothing has it.
pub trait PlatformUnderTest: Portable<Sim, Mask: Default, Pin: Sized> + Sync + 'static {}

impl<P> PlatformUnderTest for P where P: Portable<Sim, Mask: Default> + Sync + 'static {}

/// The engine with the platform on its machine, and its spaces.
pub(crate) struct World<P: PlatformUnderTest> {
    pub(crate) engine: &'static Shootdown<P>,
    pub(crate) wires: &'static Wires,
    pub(crate) spaces: Vec<&'static AddressSpace<P>>,
}

impl<P: PlatformUnderTest> World<P> {
    pub(crate) fn machine(&self) -> &'static Machine {
        self.wires.machine.get().expect("set when the world was built")
    }
}

/// The root of a space, as the platform has roots.
pub(crate) fn root<P: PlatformUnderTest>(space: usize) -> P::Root {
    let root = P::Root::try_from(Sim::root_of(space)).ok();
    root.expect("roots of the machine are multiples of 4096 below 1 << 16")
}

/// Frame (and translation value) of a page of a space.
pub(crate) fn frame(space: usize, page: usize) -> usize {
    1 + space * PAGES as usize + page
}

/// Frame of a kernel page; the machine has frames for two spaces.
pub(crate) fn kernel_frame(page: usize) -> usize {
    frame(2, page)
}

/// Heads a part of the drawing.
pub(crate) fn note(text: &'static str) {
    sync::note(text);
}
