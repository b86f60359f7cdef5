//! The state of CPUs before an exploration begins. It decides what their TLBs may hold then.

use crate::size::{PAGES, TAGS};
use shootdown::ports::Entries;
use shootdown_machine::Builder;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

const RUNNING: usize = usize::MAX;

/// CPUs while a world is being built.
#[derive(Debug)]
pub(crate) struct Boot {
    cpus: Mutex<Vec<Booted>>,
    /// CPU for which the world is being built; [`RUNNING`] afterwards.
    building: AtomicUsize,
}

/// What a CPU has loaded, and which spaces it may hold entries of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Booted {
    pub(crate) space: Option<usize>,
    pub(crate) tag: u8,
    /// Spaces, a bit each, per tag.
    held: [u8; TAGS],
}

impl Boot {
    pub(crate) fn new(cpus: usize) -> Self {
        Self { cpus: Mutex::new(vec![Booted::default(); cpus]), building: AtomicUsize::new(0) }
    }

    /// Has the platform believe that the caller runs on `cpu`.
    pub(crate) fn go_on(&self, cpu: usize) {
        self.building.store(cpu, Ordering::Relaxed);
    }

    /// From now on the explorer says who runs.
    pub(crate) fn finish(&self) {
        self.building.store(RUNNING, Ordering::Relaxed);
    }

    /// The CPU for which the world is being built.
    pub(crate) fn cpu(&self) -> Option<usize> {
        Some(self.building.load(Ordering::Relaxed)).filter(|&cpu| cpu != RUNNING)
    }

    pub(crate) fn write_root(&self, cpu: usize, space: Option<usize>, tag: u8, entries: Entries) {
        self.with(|cpus| {
            let (booted, tag_index) = (&mut cpus[cpu], usize::from(tag));
            (booted.space, booted.tag) = (space, tag);
            if entries == Entries::Dropped {
                booted.held[tag_index] = 0;
            }
            if let Some(space) = space {
                booted.held[tag_index] |= 1 << space;
            }
        });
    }

    pub(crate) fn drop_tag(&self, cpu: usize, tag: u8) {
        self.with(|cpus| {
            let booted = &mut cpus[cpu];
            booted.held[usize::from(tag)] = 0;
            // The walker of a root that is loaded fills at once.
            if let Some(space) = booted.space {
                booted.held[usize::from(booted.tag)] |= 1 << space;
            }
        });
    }

    pub(crate) fn drop_all(&self, cpu: usize) {
        (0..TAGS).for_each(|tag| self.drop_tag(cpu, tag as u8));
    }

    pub(crate) fn drop_everywhere(&self) {
        let cpus = self.with(|cpus| cpus.len());
        (0..cpus).for_each(|cpu| self.drop_all(cpu));
    }

    pub(crate) fn booted(&self, cpu: usize) -> Booted {
        self.with(|cpus| cpus[cpu])
    }

    /// Has the machine begin with what CPUs may hold; `value` is what a space maps a page to.
    pub(crate) fn fill(&self, mut builder: Builder, value: impl Fn(usize, usize) -> u64) -> Builder {
        let cpus = self.with(|cpus| cpus.clone());
        for (cpu, booted) in cpus.iter().enumerate() {
            for (tag, held) in booted.held.iter().enumerate() {
                for space in (0..8).filter(|space| held >> space & 1 != 0) {
                    for page in 0..PAGES as usize {
                        builder = builder.cached(cpu, tag as u8, page, value(space, page));
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
