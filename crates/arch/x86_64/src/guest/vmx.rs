//! The part of a hypervisor's platform, on Intel.

use crate::encode::{InveptDescriptor, InveptType, InvvpidDescriptor, InvvpidType, Root};
use crate::exec;
use crate::guest::ept::{EptCpu, EptEntry, EptStep, EptStrategies, Own, OwnStep};
use shootdown::flush::LocalFlush;
use shootdown::tags::{OnInstall, Tag};

/// Bodies of the methods of a [`Platform`](shootdown::Platform) whose spaces are guests, in VMX root operation. Each
/// takes the memory of the calling CPU.
///
/// An IPI makes the target leave its guest, so its handler flushes before the next VM entry: `send_ipi` needs nothing
/// more. There is no remote flush; `flush_remote` answers `NeedsIpi`.
#[derive(Clone, Copy, Debug)]
pub struct Ept {
    strategies: EptStrategies,
}

impl Ept {
    /// Makes the part.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used in VMX root operation alone, in ring 0, on CPUs that have what the strategies were chosen
    ///    from;
    /// 2. each VM entry of a guest takes [`entry`](Self::entry) of its CPU, with interrupts off since it was asked for.
    pub const unsafe fn new(strategies: EptStrategies) -> Self {
        Self { strategies }
    }

    /// The hardware features in use.
    pub const fn strategies(&self) -> &EptStrategies {
        &self.strategies
    }

    /// Body of [`Platform::flush_local`](shootdown::Platform::flush_local).
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off, and `cpu` is this CPU's.
    pub unsafe fn flush_local(&self, cpu: &EptCpu, what: LocalFlush) {
        self.carry_out(self.strategies.local(what, cpu));
    }

    /// Body of [`Platform::install`](shootdown::Platform::install): prepares what the next VM entry takes.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off, and `cpu` is this CPU's;
    /// 2. the root's tables stay until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another guest or to an older state of this one.
    pub unsafe fn install(&self, cpu: &EptCpu, root: Option<Root>, tag: Tag, how: OnInstall) {
        cpu.note(root, tag);
        let Some(root) = root else { return };
        if let Some((ept, own)) = self.strategies.install(root, tag, how).before {
            self.carry_out(ept);
            self.carry_out_own(own);
        }
    }

    /// What the next VM entry on this CPU takes: nothing where no guest is loaded.
    pub fn entry(&self, cpu: &EptCpu) -> Option<EptEntry> {
        let (root, tag) = cpu.loaded()?;
        Some(self.strategies.install(root, tag, OnInstall::Keep).entry)
    }

    /// Drops what the loaded guest's own tables made on this CPU, under all its PCIDs: for a guest
    /// whose virtual CPUs take turns here, or whose tables the hypervisor changes.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off, and `cpu` is this CPU's.
    pub unsafe fn flush_own(&self, cpu: &EptCpu, what: Own) {
        if let Some((_, tag)) = cpu.loaded() {
            self.carry_out_own(self.strategies.own(self.strategies.vpid(tag), what));
        }
    }

    fn carry_out(&self, step: EptStep) {
        match step {
            EptStep::Root(eptp) => invept(InveptType::Single, InveptDescriptor::single(eptp)),
            EptStep::AllRoots => invept(InveptType::All, InveptDescriptor::all()),
            EptStep::Everything => {
                invept(InveptType::All, InveptDescriptor::all());
                if self.strategies.vpids() {
                    invvpid(InvvpidType::All, InvvpidDescriptor::all());
                }
            }
        }
    }

    fn carry_out_own(&self, step: OwnStep) {
        match step {
            OwnStep::Address(vpid, address) => {
                match InvvpidDescriptor::address(vpid, address, self.strategies.width()) {
                    Ok(descriptor) => invvpid(InvvpidType::Address, descriptor),
                    // Plans hold canonical addresses alone.
                    Err(_) => invvpid(InvvpidType::Single, InvvpidDescriptor::single(vpid)),
                }
            }
            OwnStep::Vpid(vpid) => invvpid(InvvpidType::Single, InvvpidDescriptor::single(vpid)),
            OwnStep::VpidRetainingGlobals(vpid) => {
                invvpid(InvvpidType::SingleRetainingGlobals, InvvpidDescriptor::single(vpid));
            }
            OwnStep::AllVpids => invvpid(InvvpidType::All, InvvpidDescriptor::all()),
            OwnStep::Nothing => {}
        }
    }
}

/// # Panics
/// Reports that the CPU refused, as it does for types that it lacks: to go on would free memory that a guest can still
/// reach.
fn invept(kind: InveptType, descriptor: InveptDescriptor) {
    // SAFETY: 1. the caller of `Ept::new` ensures it.
    let done = unsafe { exec::invept(kind, descriptor) };
    assert!(
        done,
        "INVEPT of type {} failed: not in VMX operation, or not this CPU's capabilities",
        kind as u64
    );
}

/// # Panics
/// As [`invept`].
fn invvpid(kind: InvvpidType, descriptor: InvvpidDescriptor) {
    // SAFETY: 1. the caller of `Ept::new` ensures it; VPIDs are used where INVVPID exists.
    let done = unsafe { exec::invvpid(kind, descriptor) };
    assert!(done, "INVVPID of type {} failed: not this CPU's capabilities", kind as u64);
}
