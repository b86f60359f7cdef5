//! What CPUs have done before an exploration begins: from it follows what their TLBs may hold then.

use shootdown::flush::LocalFlush;
use shootdown::sanitizer::{Panics, Sanitizer};
use shootdown::tags::{OnInstall, Tag};
use shootdown_machine::{Builder, MAX_CPUS, MAX_TAGS};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which oracles check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracles {
    /// The machine, which knows what TLBs hold.
    Machine,
    /// The TLB sanitizer for real kernels (`shootdown::sanitizer`), which knows what the platform is told.
    Watch,
    /// Both.
    Both,
}

/// CPUs while a scenario is being built.
pub struct Boot {
    cpus: Mutex<Vec<Booted>>,
    /// CPU for which the scenario is being built; [`RUNNING`] afterwards.
    building: AtomicUsize,
    /// The TLB sanitizer for real kernels, where it watches too.
    pub(crate) watch: Option<Watch>,
}

/// The TLB sanitizer for real kernels. What it finds ends an execution.
pub(crate) type Watch = Sanitizer<Panics, MAX_CPUS, 4>;

const RUNNING: usize = usize::MAX;

/// What a CPU has loaded, and which spaces it may hold entries of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Booted {
    root: Option<usize>,
    tag: usize,
    /// Spaces, a bit each, per tag.
    held: [u8; MAX_TAGS],
}

impl Boot {
    pub(crate) fn new(cpus: usize, oracles: Oracles) -> Self {
        assert!(cpus <= MAX_CPUS, "1 to {MAX_CPUS} CPUs");
        Self {
            cpus: Mutex::new(vec![Booted::default(); cpus]),
            building: AtomicUsize::new(0),
            watch: (oracles != Oracles::Machine).then(|| Watch::new(Panics)),
        }
    }

    /// Has the engine believe that the caller runs on `cpu`.
    pub(crate) fn go_on(&self, cpu: usize) {
        self.building.store(cpu, Ordering::Relaxed);
    }

    /// From now on the explorer says who runs.
    pub(crate) fn finish(&self) {
        self.building.store(RUNNING, Ordering::Relaxed);
    }

    /// The CPU for which the scenario is being built.
    pub(crate) fn cpu(&self) -> Option<usize> {
        Some(self.building.load(Ordering::Relaxed)).filter(|&cpu| cpu != RUNNING)
    }

    pub(crate) fn install(&self, cpu: usize, root: Option<usize>, tag: Tag, how: OnInstall) {
        let tag = usize::from(tag.number());
        self.with(|cpus| {
            let booted = &mut cpus[cpu];
            (booted.root, booted.tag) = (root, tag);
            // Nothing is kept without a tag.
            if how == OnInstall::Flush || tag == 0 {
                booted.held[tag] = 0;
            }
            if let Some(space) = root {
                booted.held[tag] |= 1 << space;
            }
        });
    }

    pub(crate) fn flush(&self, cpu: usize, what: LocalFlush) {
        self.with(|cpus| match (what.tag, what.request.range()) {
            (Some(tag), None) => cpus[cpu].held[usize::from(tag.number())] = 0,
            (None, None) => cpus[cpu].held = [0; MAX_TAGS],
            (_, Some(_)) => {}
        });
    }

    /// All CPUs lose what they hold.
    pub(crate) fn flush_everywhere(&self) {
        self.with(|cpus| cpus.iter_mut().for_each(|booted| booted.held = [0; MAX_TAGS]));
    }

    /// The tag under which `cpu` runs.
    pub(crate) fn tag(&self, cpu: usize) -> u8 {
        self.with(|cpus| cpus[cpu].tag as u8)
    }

    /// Has the machine begin with what CPUs may hold; `values` are those that a space maps, page by page.
    pub(crate) fn fill(&self, mut builder: Builder, values: impl Fn(usize) -> [Option<u64>; 2]) -> Builder {
        let cpus = self.with(|cpus| cpus.clone());
        for (cpu, booted) in cpus.iter().enumerate() {
            for (tag, held) in booted.held.iter().enumerate() {
                for space in (0..8).filter(|space| held >> space & 1 != 0) {
                    for (page, value) in values(space).into_iter().enumerate() {
                        if let Some(value) = value {
                            builder = builder.cached(cpu, tag as u8, page, value);
                        }
                    }
                }
            }
        }
        builder
    }

    fn with<T>(&self, then: impl FnOnce(&mut Vec<Booted>) -> T) -> T {
        then(&mut self.cpus.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
