//! What CPUs have done before an exploration begins: from it follows what their TLBs may hold then.

use super::sim::{Handle, Sim, TestMachine};
use super::world::{Oracles, Start};
use crate::config::{Builder, MAX_CPUS, MAX_TAGS};
use shootdown::flush::LocalFlush;
use shootdown::refs::UserHandle;
use shootdown::tags::{OnInstall, Tag};
use shootdown::{AddressSpace, Shootdown};
use shootdown_judge::{Panics, Sanitizer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

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
        self.with(|cpus| match what {
            LocalFlush::Tag(tag) => cpus[cpu].held[usize::from(tag.number())] = 0,
            LocalFlush::Everything => cpus[cpu].held = [0; MAX_TAGS],
            LocalFlush::Pages { .. } | LocalFlush::KernelPages { .. } => {}
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

/// Brings the CPU for which the engine is being built to its start.
pub(crate) fn start<S: TestMachine>(
    engine: &Shootdown<Sim<S>>,
    spaces: &[&'static AddressSpace<Sim<S>>],
    start: Start,
) {
    if start == Start::Offline {
        return;
    }
    engine.online_cpu().expect("a mask holds eight CPUs");
    if let Start::User(space) | Start::Lazy(space) = start {
        // SAFETY: 1. the thread's reference is counted; it is taken apart again below.
        let user = unsafe { UserHandle::from_inner(Handle(spaces[space])) };
        let user = engine.user_from_handle(user);
        engine.switch_to(&user);
        let _ = user.into_handle();
    }
    if let Start::Lazy(_) = start {
        engine.enter_lazy();
    }
}

/// A world before its exploration begins, for [`TestMachine::before`].
pub struct History<'w, S: TestMachine> {
    pub(crate) engine: &'static Shootdown<Sim<S>>,
    pub(crate) spaces: &'w [&'static AddressSpace<Sim<S>>],
}

impl<S: TestMachine> History<'_, S> {
    /// Has `cpu` run a thread of the space, of which there is one at the start.
    pub fn run(&self, cpu: usize, space: usize) {
        let engine = self.on(cpu);
        // SAFETY: 1. the plan counted a thread of each space; the reference is taken apart again below.
        let user = unsafe { UserHandle::from_inner(Handle(self.spaces[space])) };
        let user = engine.user_from_handle(user);
        engine.switch_to(&user);
        let _ = user.into_handle();
    }

    /// The engine, as `cpu` calls it.
    pub fn on(&self, cpu: usize) -> &'static Shootdown<Sim<S>> {
        self.engine.platform().boot.go_on(cpu);
        self.engine
    }

    /// A space.
    pub fn space(&self, space: usize) -> &'static AddressSpace<Sim<S>> {
        self.spaces[space]
    }
}
