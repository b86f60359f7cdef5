//! Memory as a virtual CPU's guest code sees it: two TLBs, two kinds of page table, and the emulator's check.

use super::host::Leaf;
use super::host::shootdown::flush::VirtAddr;
use super::host::shootdown::tags::Tag;
use super::tlbs::{Filled, Tlbs};
use crate::fences::Held;
use crate::findings::{Access as Did, FenceBy, Finding, Mapped, Part, StaleFence, StaleFrame, Unfenced};
use crate::frames::FRAME;
use crate::hart::{Cause, Memory, Stop, Trap, View};
use crate::isa::Size;
use crate::shared::{End, Shared};
use crate::stage2::{Entry, Stage2};
use crate::sv39::{self, Kind, Mapping};

/// A virtual CPU's memory, between two polls.
pub struct Access<'a> {
    /// The CPU's number.
    pub cpu: u32,
    /// Its TLBs.
    pub tlbs: &'a mut Tlbs,
    /// The machine.
    pub shared: &'a Shared,
}

/// Where an access leads.
#[derive(Clone, Copy)]
struct Place {
    entry: Entry,
    /// Guest-physical.
    address: u64,
    /// Guest-virtual, and whether this is what is there or a page table on the way.
    from: (u64, Part),
}

impl Access<'_> {
    fn place(&mut self, view: View, address: u64, kind: Kind) -> Result<Place, Stop> {
        let physical = self.translate(view, address, kind)?;
        let entry = self.entry(physical, kind, address)?;
        Ok(Place { entry, address: physical, from: (address, Part::Itself) })
    }

    /// Guest-virtual to guest-physical.
    fn translate(&mut self, view: View, address: u64, kind: Kind) -> Result<u64, Stop> {
        if sv39::is_bare(view.satp) {
            return Ok(address);
        }
        let tag = Tag::new(sv39::asid(view.satp));
        if let Some(held) = self.tlbs.guest.get_tagged(tag, VirtAddr(address)) {
            if held.mapping.allows(view, kind) {
                self.check_guest(view, address, kind, held)?;
                return Ok(held.mapping.page + address % FRAME);
            }
        }
        let since = self.shared.fences.begun();
        let mapping = self.walk(view, address, kind)?.filter(|mapping| mapping.allows(view, kind));
        let mapping = mapping.ok_or(kind.page_fault(address))?;
        self.tlbs.fill(tag, address, mapping, since);
        Ok(mapping.page + address % FRAME)
    }

    fn walk(&mut self, view: View, address: u64, kind: Kind) -> Result<Option<Mapping>, Stop> {
        sv39::walk(view.satp, address, |at| {
            let entry = self.entry(at, Kind::Load, address).map_err(|stop| match stop {
                // The fault is that of the access for which the tables are walked.
                Stop::Trap(_) => kind.access_fault(address).into(),
                other => other,
            })?;
            let value = self.shared.frames.load(entry.frame, at, Size::Double);
            self.check(Place { entry, address: at, from: (address, Part::Walk) }, Did::Read, value)?;
            Ok(value)
        })
    }

    /// Guest-physical to a frame.
    fn entry(&mut self, physical: u64, kind: Kind, address: u64) -> Result<Entry, Stop> {
        let Some(page) = Stage2::page_of(physical) else { return Err(kind.access_fault(address).into()) };
        let held = self.tlbs.host.get(VirtAddr(physical));
        let fits = |entry: &Entry| kind != Kind::Store || entry.writable;
        if let Some(entry) = held.filter(fits) {
            return Ok(entry);
        }
        let entry = self.shared.stage2.read(page);
        self.tlbs.host.insert(VirtAddr(physical), Leaf::page(entry));
        if fits(&entry) { Ok(entry) } else { Err(Stop::Busy) }
    }

    /// Looks whether the frame that was used is still the guest's: what the engine is there for.
    fn check(&self, place: Place, access: Did, value: u64) -> Result<(), Stop> {
        let Entry { frame, epoch, .. } = place.entry;
        let owner = self.shared.frames.owner(frame);
        if owner.epoch == epoch && !(owner.sealed && access == Did::Write) {
            return Ok(());
        }
        self.shared.end(End::Found(Finding::StaleFrame(StaleFrame {
            cpu: self.cpu,
            access,
            virtual_address: place.from.0,
            on: place.from.1,
            physical_address: place.address,
            value,
            frame,
            holder: owner.holder,
            moved: self.shared.left(frame),
        })));
        Err(Stop::Found)
    }

    /// Compares a guest-virtual translation, and the right to this access, with the guest's page tables. What they no
    /// longer have is the guest's business until it fences, and the host's once a fence is complete.
    fn check_guest(&mut self, view: View, address: u64, kind: Kind, held: Filled) -> Result<(), Stop> {
        let mapping = self.walk(view, address, kind).or_else(|stop| match stop {
            Stop::Trap(_) => Ok(None),
            other => Err(other),
        })?;
        let page = held.mapping.page;
        let mapped = match mapping {
            None => Mapped::Nowhere,
            Some(mapping) if mapping.page != page => Mapped::To(mapping.page),
            Some(mapping) if !mapping.allows(view, kind) => Mapped::WithoutRight(kind),
            Some(_) => return Ok(()),
        };
        let (cpu, virtual_address, leaf) = (self.cpu, address, held.mapping.span(address));
        let asid = (!held.mapping.is_global()).then_some(sv39::asid(view.satp));
        let entry = Held { hart: cpu, asid, leaf };
        let remote = self.shared.fences.missed(held.since, entry).map(FenceBy::Remote);
        let fence = remote.or_else(|| self.tlbs.own.missed(held.since_own, entry).map(FenceBy::Itself));
        if let Some(fence) = fence {
            let stale = StaleFence { cpu, virtual_address, held: page, mapped, fence };
            self.shared.end(End::Found(Finding::StaleFence(stale)));
            return Err(Stop::Found);
        }
        self.tlbs.blame(Unfenced { cpu, virtual_address, held: page, mapped, leaf });
        Ok(())
    }
}

/// Refuses addresses that are no multiple of the size.
fn aligned(address: u64, size: Size, cause: Cause) -> Result<(), Stop> {
    if address % size.bytes() == 0 { Ok(()) } else { Err(Trap { cause, value: address }.into()) }
}

impl Memory for Access<'_> {
    fn fetch(&mut self, view: View, address: u64) -> Result<u32, Stop> {
        let place = self.place(view, address, Kind::Fetch)?;
        let word = self.shared.frames.load(place.entry.frame, place.address, Size::Word);
        self.check(place, Did::Read, word)?;
        Ok(word as u32)
    }

    fn load(&mut self, view: View, address: u64, size: Size) -> Result<u64, Stop> {
        aligned(address, size, Cause::LoadMisaligned)?;
        let place = self.place(view, address, Kind::Load)?;
        let value = self.shared.frames.load(place.entry.frame, place.address, size);
        self.check(place, Did::Read, value)?;
        Ok(value)
    }

    fn store(&mut self, view: View, address: u64, size: Size, value: u64) -> Result<(), Stop> {
        aligned(address, size, Cause::StoreMisaligned)?;
        let place = self.place(view, address, Kind::Store)?;
        self.shared.frames.store(place.entry.frame, place.address, size, value);
        self.check(place, Did::Write, value)
    }

    fn update(
        &mut self,
        view: View,
        address: u64,
        size: Size,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, Stop> {
        aligned(address, size, Cause::StoreMisaligned)?;
        let place = self.place(view, address, Kind::Store)?;
        let old = self.shared.frames.update(place.entry.frame, place.address, size, change);
        self.check(place, Did::Write, old)?;
        Ok(old)
    }

    fn fence(&mut self, address: Option<u64>, asid: Option<u16>) {
        self.tlbs.fence_here(address, asid);
    }
}
