//! The part of a hypervisor's platform.

use crate::encode::{Asid, GuestRoot, Harts, Span, Vmid, page_operand, remote_guest_fence, vmid_bits};
use crate::exec;
use crate::guest::{GuestFence, GuestStep, Guests, Handover};
use crate::mmu::pipelined;
use shootdown::Platform;
use shootdown::flush::{LocalFlush, Remote, RemoteFlush};
use shootdown::tags::{OnInstall, Tag};

/// Bodies of the methods of a [`Platform`] whose spaces are guests, in HS-mode. A flush reaches this hart alone: others
/// take an IPI, or the firmware's remote fence.
///
/// The engine keeps G-stage translations coherent: `hfence.gvma` after a change of the hypervisor's tables. A guest
/// keeps its own: where it asks its SBI for remote fences, [`guest_fence`](Self::guest_fence) and
/// [`remote_guest_fence`](Self::remote_guest_fence) carry them out. A virtual CPU that moves to another hart shares
/// VMID and ASIDs with those of its guest that have run there: call `guest_fence` for all of it before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Stage2 {
    guests: Guests,
    empty: GuestRoot,
}

impl Stage2 {
    /// Makes the part. `empty` is a G-stage table that maps nothing.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used in HS-mode alone, with mstatus.TVM 0, on harts that have what `guests` says;
    /// 2. the empty table stays allocated.
    pub const unsafe fn new(guests: Guests, empty: GuestRoot) -> Self {
        Self { guests, empty }
    }

    /// How guests are run.
    pub const fn guests(&self) -> &Guests {
        &self.guests
    }

    /// Finds how many bits VMIDs have on this hart.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    pub unsafe fn probe_vmid_bits(&self) -> u32 {
        let parked = self.guests.parked(Vmid::SHARED, self.empty);
        // SAFETY: 1. the caller does, and the caller of `new`; 2. the latter does.
        vmid_bits(unsafe { exec::probe_vmid(parked) })
    }

    /// Body of [`Platform::flush_local`].
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    pub unsafe fn flush_local(&self, what: LocalFlush) {
        match self.guests.local(what) {
            GuestStep::Pages(pages, vmid) if self.guests.svinval() => pipelined(pages, |page| {
                // SAFETY: 1. the caller of `new` ensures it; Svinval is used where it exists.
                unsafe { exec::hinval_gvma_page(page_operand(page), vmid) };
            }),
            GuestStep::Pages(pages, vmid) => pages.for_each(|page| {
                // SAFETY: 1. the caller of `new` ensures it.
                unsafe { exec::hfence_gvma_page(page_operand(page), vmid) };
            }),
            GuestStep::Guest(vmid) => fence_guest(vmid),
            GuestStep::All => self.fence_all(),
        }
    }

    /// Body of [`Platform::install`]. Tags that are no VMID, and no root, share VMID 0, which is flushed at each load.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. the root's tables stay until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another guest or to an older state of this one.
    pub unsafe fn install(&self, root: Option<GuestRoot>, tag: Tag, how: OnInstall) {
        let tag = if root.is_some() { tag } else { Tag::NONE };
        let plan = self.guests.install(root.unwrap_or(self.empty), tag, how);
        if let Some(Handover { vmid, split }) = plan.before {
            if split {
                self.fence_own(vmid);
            }
            self.park(Vmid::SHARED);
            fence_guest(vmid);
        }
        write_hgatp(plan.hgatp);
        if let Some(vmid) = plan.after {
            fence_guest(vmid);
        }
    }

    /// Body of [`Platform::flush_remote`]: the firmware's remote fences, where they are used. If the firmware refuses,
    /// IPIs are used instead, so tags must not rest on broadcasts here.
    pub fn flush_remote<P: Platform>(&self, what: &RemoteFlush<'_, P>) -> Remote {
        // No memory but a guest's is translated by the G-stage, and the firmware does not know that TLBs are split.
        let Some(call) = what.space.and_then(|_| self.guests.remote(what.tag, what.request)) else {
            return Remote::NeedsIpi;
        };
        // SAFETY: 1. the caller of `new` ensures it; 2. a fence changes no memory.
        if unsafe { exec::sbi_call(call) } == 0 { Remote::Done } else { Remote::NeedsIpi }
    }

    /// Body of [`Platform::publish_tables`]. Nothing is needed: the engine's fence orders this hart's stores before its
    /// IPI, and each hart fences its own walks.
    pub fn publish_tables(&self) {}

    /// Drops what the loaded guest has made of `span` on this hart, under `asid`, or under all ASIDs with global
    /// translations: after a change of the guest's own tables.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    pub unsafe fn guest_fence(&self, span: Span, asid: Option<Asid>) {
        match self.guests.guest_fence(span, asid) {
            GuestFence::Pages(pages, asid) if self.guests.svinval() => pipelined(pages, |page| match asid {
                // SAFETY: 1. the caller of `new` ensures it; Svinval is used where it exists.
                Some(asid) => unsafe { exec::hinval_vvma_address_asid(page, asid) },
                // SAFETY: 1. as above.
                None => unsafe { exec::hinval_vvma_address(page) },
            }),
            GuestFence::Pages(pages, asid) => pages.for_each(|page| match asid {
                // SAFETY: 1. the caller of `new` ensures it.
                Some(asid) => unsafe { exec::hfence_vvma_address_asid(page, asid) },
                // SAFETY: 1. as above.
                None => unsafe { exec::hfence_vvma_address(page) },
            }),
            // SAFETY: 1. the caller of `new` ensures it.
            GuestFence::All(Some(asid)) => unsafe { exec::hfence_vvma_asid(asid) },
            // SAFETY: 1. as above.
            GuestFence::All(None) => unsafe { exec::hfence_vvma_all() },
        }
    }

    /// As [`guest_fence`](Self::guest_fence), for the guest that is loaded here, on `harts`, by the firmware.
    /// [`Remote::NeedsIpi`] says that the firmware is not used or refused: send IPIs whose handlers call `guest_fence`.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. all harts run the guest under one VMID.
    pub unsafe fn remote_guest_fence(&self, harts: Harts, span: Span, asid: Option<Asid>) -> Remote {
        if !self.guests.sbi_fences() {
            return Remote::NeedsIpi;
        }
        // The firmware takes the VMID from hgatp of the hart that calls.
        let call = remote_guest_fence(harts, span, asid);
        // SAFETY: 1. the caller of `new` ensures it; 2. a fence changes no memory.
        if unsafe { exec::sbi_call(call) } == 0 { Remote::Done } else { Remote::NeedsIpi }
    }

    /// Drops both stages of all guests on this hart.
    fn fence_all(&self) {
        // SAFETY: 1. the caller of `new` ensures it.
        let loaded = unsafe { exec::read_hgatp() };
        self.guests.split_vmids().for_each(|vmid| self.fence_own(vmid));
        write_hgatp(loaded);
        // SAFETY: 1. the caller of `new` ensures it.
        unsafe { exec::hfence_gvma_all() };
    }

    /// Drops a guest's own translations on this hart, and leaves its VMID parked. Its G-stage translations must go
    /// later: harts may cache the invalid entries of the table that maps nothing.
    fn fence_own(&self, vmid: Vmid) {
        self.park(vmid);
        // SAFETY: 1. the caller of `new` ensures it.
        unsafe { exec::hfence_vvma_all() };
    }

    /// Loads the table that maps nothing under `vmid`.
    fn park(&self, vmid: Vmid) {
        write_hgatp(self.guests.parked(vmid, self.empty));
    }
}

fn write_hgatp(value: u64) {
    // SAFETY: 1. the caller of `Stage2::new` ensures it; 2. it and the caller of `Stage2::install` do.
    unsafe { exec::write_hgatp(value) };
}

fn fence_guest(vmid: Vmid) {
    // SAFETY: 1. the caller of `Stage2::new` ensures it.
    unsafe { exec::hfence_gvma_vmid(vmid) };
}
