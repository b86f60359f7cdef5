//! The CPU that runs the caller: the simulated machine's, with its interrupt flag and its TLB.

use crate::fence::Fence;
use shootdown::CpuId;
use shootdown::flush::LocalFlush;
use shootdown::ports::Ports as _;
use shootdown::tags::{OnInstall, Tag};
use shootdown_doctor::Sim;

/// The virtual CPU that runs the caller: what an embedder's identity callback answers.
pub fn simulated_cpu() -> Option<CpuId> {
    Some(CpuId::new(Sim::running().this_cpu()))
}

/// A CPU, as its own thread sees it.
#[derive(Debug)]
pub(crate) struct ThisCpu {
    pub(crate) cpu: CpuId,
}

pub(crate) type Here = ThisCpu;
pub(crate) type Identity = dyn Fn() -> Option<CpuId> + Send + Sync;

/// The callback's answer, where it is wrong.
pub(crate) struct NoCpu(Option<CpuId>);

impl NoCpu {
    #[track_caller]
    pub(crate) fn refuse(self) -> ! {
        panic!("MachineBuilder::identity answers {:?} on {:?}", self.0, simulated_cpu())
    }
}

pub(crate) fn find(_machine: u64, identity: Option<&Identity>) -> Result<Here, NoCpu> {
    let cpu = CpuId::new(Sim::running().this_cpu());
    match identity.map(|identity| identity()) {
        Some(named) if named != Some(cpu) => Err(NoCpu(named)),
        _ => Ok(ThisCpu { cpu }),
    }
}

/// While this lives, the calling thread runs one CPU for certain. The simulated machine knows which anyway.
pub(crate) struct Acting;

pub(crate) fn act_as(_: &Here) -> Acting {
    Acting
}

/// The TLB of a virtual CPU, which is the machine's.
pub(crate) trait Tlb {
    fn fence(&mut self, fence: Fence);
}

impl Tlb for Sim {
    fn fence(&mut self, _: Fence) {
        unreachable!("the doctor's guests do not fence");
    }
}

impl ThisCpu {
    /// Sets whether interrupts are on, and says whether they were.
    #[track_caller]
    pub(crate) fn set_irqs(&self, on: bool) -> bool {
        let sim = Sim::running();
        let were_on = sim.interrupts_off();
        if on {
            sim.interrupts_on();
        }
        were_on
    }

    /// That an embedder calls nothing from inside `run` that changes the space is its own duty, and the doctor does
    /// none of it.
    pub(crate) fn set_in_guest(&self, _: bool) {}

    pub(crate) fn refuse_in_guest(&self) {}

    /// Drops translations, as a TLB does that keeps the promises of `Tlb`.
    #[track_caller]
    pub(crate) fn flush(&self, what: LocalFlush) {
        let (sim, levels) = (Sim::running(), what.request.levels());
        match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                range.pages().for_each(|page| sim.drop_page(tag.number(), page.0, levels));
            }
            (Some(tag), None) => sim.drop_tag(tag.number()),
            (None, Some(range)) => range.pages().for_each(|page| sim.drop_kernel_page(page.0, levels)),
            (None, None) => sim.drop_all(),
        }
    }

    /// Changes the tag under which the TLB is used.
    #[track_caller]
    pub(crate) fn load(&self, tag: Tag, how: OnInstall) {
        Sim::running().load_walk_root(tag.number(), how == OnInstall::Flush);
    }

    pub(crate) fn tlb_is_free(&self) -> bool {
        true
    }

    pub(crate) fn with_tlb(&self, body: impl FnOnce(&mut dyn Tlb)) {
        body(&mut Sim::running());
    }
}
