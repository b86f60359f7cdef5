//! A CPU that comes back on line runs under another tag than its own records say.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-72c0098d-resume-pcid",
    id: "F8",
    source: "72c0098d92ce",
    year: 2017,
    title: "x86/mm: Reinitialize TLB state on hotplug and resume",
    arch: "x86",
    rules: &[12, 13],
    about: "Bring-up loads the kernel's root under tag 0; the CPU's records still say that tag 0 is a process's, \
            which is then switched to under that tag without a flush.",
    ends: "CPU 0, in space A, can use page 0 -> frame 2 of space B (SD-12)",
    engine: "first-boot",
    ..Bug::race(Memory::Tso, Resume::model)
};

const PROCESS: usize = 0;
const INIT: usize = 1;
const TAGS: usize = 2;
const NOBODY: u64 = 0;

/// What the CPU keeps about itself: which space each tag belongs to (plus one), and the tag that is loaded.
#[derive(Debug)]
struct State {
    owner: [Word; TAGS],
    loaded: Word,
}

/// CPU 0 has run a process under tag 0 and is in the kernel's own space, under tag 1. It goes off line, comes back, and
/// runs the process again.
#[derive(Debug)]
pub(crate) struct Resume {
    variant: Variant,
    state: State,
}

impl Resume {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .spaces(2, 1)
            .tags(TAGS)
            .own_page(PROCESS, 0, 1)
            .own_page(INIT, 0, 2)
            .start(0, INIT, 1, false)
            .cached(0, 0, 0, 1);
        let owner =
            [Word::new("tlbstate.owner0", PROCESS as u64 + 1), Word::new("tlbstate.owner1", INIT as u64 + 1)];
        machine.runs(|_| Self { variant, state: State { owner, loaded: Word::new("tlbstate.loaded", 1) } })
    }

    fn go_off_and_on(&self) {
        sync::note("go off line");
        hw::offline();
        sync::note("come back: flush, load the kernel's root under tag 0");
        hw::online();
        hw::flush_all();
        hw::install(Some(INIT), 0, Install::Keep);
        if self.variant == Variant::Fixed {
            self.reset();
        }
    }

    /// Makes the records say what hardware has loaded.
    fn reset(&self) {
        self.state.owner[0].store(INIT as u64 + 1, Relaxed);
        self.state.owner[1].store(NOBODY, Relaxed);
        self.state.loaded.store(0, Relaxed);
    }

    fn switch_to_process(&self) {
        sync::note("switch to the process");
        let wanted = PROCESS as u64 + 1;
        let found = (0..TAGS).find(|&tag| self.state.owner[tag].load(Relaxed) == wanted);
        // A tag that it does not own yet is taken: the one that is not loaded.
        let tag = found.unwrap_or_else(|| TAGS - 1 - self.state.loaded.load(Relaxed) as usize);
        self.state.owner[tag].store(wanted, Relaxed);
        self.state.loaded.store(tag as u64, Relaxed);
        let how = if found.is_some() { Install::Keep } else { Install::FlushTag };
        hw::install(Some(PROCESS), tag as u8, how);
        hw::user(true);
    }
}

impl Program for Resume {
    fn main(&self, _: usize) {
        self.go_off_and_on();
        self.switch_to_process();
    }
}
