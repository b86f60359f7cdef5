//! Instructions that carry out a request about a guest on AMD: ASIDs of the CPU, and TLB_CONTROL.

use crate::cpuid::Leaf;
use crate::encode::{GuestAsid, Root, TlbControl};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::flush::LocalFlush;
use shootdown::tags::{OnInstall, SLOTS, Tag};

/// Virtualisation features of a CPU, decoded from CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Svm {
    /// Number of ASIDs, the host's 0 included.
    pub asids: u32,
    /// Nested paging.
    pub nested_paging: bool,
    /// TLB_CONTROL can drop one ASID.
    pub flush_by_asid: bool,
}

impl Svm {
    /// Decodes leaf 8000_000A (APM volume 3, appendix E.4.9).
    pub const fn decode(leaf: Leaf) -> Self {
        Self { asids: leaf.ebx, nested_paging: leaf.edx & 1 == 1, flush_by_asid: leaf.edx >> 6 & 1 == 1 }
    }
}

/// Why a CPU runs no guests under nested paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NptError {
    /// It has no nested paging.
    NestedPaging,
    /// No ASID is left from this one on; the CPU has so many.
    Asids(u32, u32),
}

impl fmt::Display for NptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NestedPaging => write!(f, "this CPU has no nested paging: use shadow page tables"),
            Self::Asids(first, count) => {
                write!(f, "no ASID from {first} on: this CPU has {count}, and 0 is the host's; begin at 1")
            }
        }
    }
}

impl core::error::Error for NptError {}

/// Bodies of the methods of a [`Platform`](shootdown::Platform) whose spaces are guests. Each takes the memory of the
/// calling CPU, with interrupts off.
///
/// No instruction drops what nested tables made: VMRUN does. Translations under a guest's ASID are used while the guest
/// runs and at no other time, so a request that came before VMRUN is done when it begins. A flush is noted here, and
/// [`entry`](Self::entry) says what to write to the VMCB.
///
/// With FlushByAsid VMRUN drops the guest's ASID. On CPUs that lack it, the guest gets one that was not used since
/// everything was last dropped; when they run out, the next VMRUN drops everything. So ASIDs are the CPU's own, a
/// generation of them after the other, and a tag stands for another one in each. (Linux: `new_asid`, `pre_svm_run`,
/// arch/x86/kvm/svm/svm.c.)
///
/// # Examples
/// ```
/// use shootdown::flush::{FlushRequest, LocalFlush};
/// use shootdown::tags::{OnInstall, Tag};
/// use shootdown_x86_64::encode::{Root, TlbControl};
/// use shootdown_x86_64::guest::{Npt, NptCpu, Svm};
///
/// let npt = Npt::new(Svm { asids: 16, nested_paging: true, flush_by_asid: true }, 1).expect("nested paging");
/// let cpu = NptCpu::new();
/// npt.install(&cpu, Root::new(0x7000).ok(), Tag::new(3), OnInstall::Flush);
/// let entry = npt.entry(&cpu).expect("a guest is loaded");
/// assert_eq!(entry.tlb_control, TlbControl::All); // nobody knows what the CPU held before its first guest
/// npt.flush_local(&cpu, LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::all() });
/// assert_eq!(npt.entry(&cpu).map(|entry| entry.tlb_control), Some(TlbControl::Guest));
/// assert_eq!(npt.entry(&cpu).map(|entry| entry.tlb_control), Some(TlbControl::Nothing));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Npt {
    first: u32,
    count: u32,
    flush_by_asid: bool,
}

impl Npt {
    /// Makes the part, with ASIDs from `first` on: 1, or the first that encrypted guests do not have.
    ///
    /// # Errors
    /// There is no nested paging, or no such ASID.
    pub const fn new(svm: Svm, first: u32) -> Result<Self, NptError> {
        if !svm.nested_paging {
            Err(NptError::NestedPaging)
        } else if GuestAsid::new(first, svm.asids).is_err() {
            Err(NptError::Asids(first, svm.asids))
        } else {
            Ok(Self { first, count: svm.asids, flush_by_asid: svm.flush_by_asid })
        }
    }

    /// Body of [`Platform::flush_local`](shootdown::Platform::flush_local). INVLPGA takes a guest's virtual address, so
    /// pages of a guest go with the guest.
    pub fn flush_local(&self, cpu: &NptCpu, what: LocalFlush) {
        match what.tag {
            Some(tag) => self.flush(cpu, tag),
            // A hypervisor's own memory is not a guest's; a request about it drops everything there is.
            None => cpu.flush_all(),
        }
    }

    /// Body of [`Platform::install`](shootdown::Platform::install): prepares what the next VMRUN takes. Tags beyond the
    /// slots, and no tag, share an ASID, which is flushed at each load.
    pub fn install(&self, cpu: &NptCpu, root: Option<Root>, tag: Tag, how: OnInstall) {
        let slot = cpu.slot_of(tag);
        if root.is_some() && (how == OnInstall::Flush || slot == SHARED) {
            self.flush_slot(cpu, slot);
        }
        cpu.load(root, slot);
    }

    /// What the next VMRUN on this CPU takes: nothing where no guest is loaded. Interrupts stay off until VMRUN (CLGI).
    /// If the guest does not begin, say so by [`not_entered`](Self::not_entered).
    pub fn entry(&self, cpu: &NptCpu) -> Option<NptEntry> {
        let (root, slot) = cpu.loaded()?;
        let held = cpu.slots[slot].load(Ordering::Relaxed);
        let number = if held == NO_ASID { self.next_asid(cpu) } else { (held & !PENDING) as u32 };
        cpu.slots[slot].store(u64::from(number), Ordering::Relaxed);
        let all = cpu.everything.swap(0, Ordering::Relaxed) != 0;
        let tlb_control = if all {
            TlbControl::All
        } else if held & PENDING != 0 {
            TlbControl::Guest
        } else {
            TlbControl::Nothing
        };
        let asid = GuestAsid::new(number, self.count).ok()?;
        Some(NptEntry { nested_cr3: root.address(), asid, tlb_control })
    }

    /// Says that VMRUN did not begin after [`entry`](Self::entry) (VMEXIT_INVALID), or may not have begun: entries that
    /// it should have dropped may still be there.
    pub fn not_entered(&self, cpu: &NptCpu) {
        cpu.flush_all();
    }

    /// Drops what the loaded guest's own tables made on this CPU: for a guest whose virtual CPUs take turns here. Of
    /// one address `exec::invlpga` drops it at once, under the ASID of the latest [`entry`](Self::entry).
    pub fn flush_own(&self, cpu: &NptCpu) {
        if let Some((_, slot)) = cpu.loaded() {
            self.flush_slot(cpu, slot);
        }
    }

    fn flush(&self, cpu: &NptCpu, tag: Tag) {
        match cpu.slot_of(tag) {
            // Of the guests that share it none is remembered, and the request may be about one that has left.
            SHARED if tag != Tag::NONE => cpu.flush_all(),
            slot => self.flush_slot(cpu, slot),
        }
    }

    fn flush_slot(&self, cpu: &NptCpu, slot: usize) {
        let held = cpu.slots[slot].load(Ordering::Relaxed);
        let after = if held == NO_ASID || !self.flush_by_asid { NO_ASID } else { held | PENDING };
        cpu.slots[slot].store(after, Ordering::Relaxed);
    }

    /// Takes an ASID that was not used since everything was dropped; if there is none left, everything is to be
    /// dropped.
    fn next_asid(&self, cpu: &NptCpu) -> u32 {
        let used = cpu.used.load(Ordering::Relaxed);
        if used >= u64::from(self.count - self.first) {
            cpu.flush_all();
            return self.next_asid(cpu);
        }
        cpu.used.store(used + 1, Ordering::Relaxed);
        self.first + used as u32
    }
}

/// What the next VMRUN takes, to be written to the VMCB, with the clean bits for ASID and nested paging clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NptEntry {
    /// For [`VMCB_NESTED_CR3`](crate::encode::VMCB_NESTED_CR3).
    pub nested_cr3: u64,
    /// For [`VMCB_ASID`](crate::encode::VMCB_ASID).
    pub asid: GuestAsid,
    /// For [`VMCB_TLB_CONTROL`](crate::encode::VMCB_TLB_CONTROL).
    pub tlb_control: TlbControl,
}

/// Slot of tags that have none of their own.
const SHARED: usize = 0;
/// A slot that takes a fresh ASID when its guest next runs.
const NO_ASID: u64 = 0;
/// The slot's ASID is flushed when its guest next runs.
const PENDING: u64 = 1 << 32;

/// A CPU's record of its guests. Used only by that CPU, with interrupts off.
#[derive(Debug)]
pub struct NptCpu {
    /// ASID that a tag stands for, and [`PENDING`]; or [`NO_ASID`].
    slots: [AtomicU64; SLOTS + 1],
    /// ASIDs that were given out since everything was last dropped, or is to be.
    used: AtomicU64,
    /// Whether the next VMRUN drops everything.
    everything: AtomicU64,
    /// Root of the loaded guest, and its slot in the low bits; [`NOBODY`] for none.
    loaded: AtomicU64,
}

const NOBODY: u64 = u64::MAX;
const _: () = assert!(SLOTS < 0xfff, "a slot fits below a root");

// ORDER: relaxed throughout; only one CPU uses its memory.
impl NptCpu {
    /// Makes the memory of a CPU whose TLB may hold anything.
    pub const fn new() -> Self {
        Self {
            slots: [const { AtomicU64::new(NO_ASID) }; SLOTS + 1],
            used: AtomicU64::new(0),
            everything: AtomicU64::new(1),
            loaded: AtomicU64::new(NOBODY),
        }
    }

    fn flush_all(&self) {
        self.slots.iter().for_each(|slot| slot.store(NO_ASID, Ordering::Relaxed));
        self.used.store(0, Ordering::Relaxed);
        self.everything.store(1, Ordering::Relaxed);
    }

    fn slot_of(&self, tag: Tag) -> usize {
        let slot = usize::from(tag.number());
        if slot < self.slots.len() { slot } else { SHARED }
    }

    fn load(&self, root: Option<Root>, slot: usize) {
        let word = root.map_or(NOBODY, |root| root.address() | slot as u64);
        self.loaded.store(word, Ordering::Relaxed);
    }

    fn loaded(&self) -> Option<(Root, usize)> {
        let word = self.loaded.load(Ordering::Relaxed);
        let root = if word == NOBODY { None } else { Root::new(word & !0xfff).ok() };
        root.map(|root| (root, (word & 0xfff) as usize))
    }
}

impl Default for NptCpu {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shootdown::flush::{FlushRequest, PageRange, VirtAddr};

    fn npt(asids: u32, flush_by_asid: bool) -> Npt {
        Npt::new(Svm { asids, nested_paging: true, flush_by_asid }, 1).expect("nested paging")
    }

    fn load(npt: &Npt, cpu: &NptCpu, guest: u16, how: OnInstall) {
        npt.install(cpu, Root::new(u64::from(guest) << 12).ok(), Tag::new(guest), how);
    }

    fn run(npt: &Npt, cpu: &NptCpu) -> (u32, TlbControl) {
        let entry = npt.entry(cpu).expect("a guest is loaded");
        (entry.asid.number(), entry.tlb_control)
    }

    #[test]
    fn cpuid_tells_asids_and_what_vmrun_can_drop() {
        let decode = |ebx, edx| Svm::decode(Leaf { ebx, edx, ..Leaf::default() });
        let all = Svm { asids: 0x8000, nested_paging: true, flush_by_asid: true };
        assert_eq!(decode(0x8000, 1 << 6 | 1), all);
        assert_eq!(decode(16, 1), Svm { asids: 16, flush_by_asid: false, ..all });
        assert!(!decode(16, 1 << 6).nested_paging);
        assert_eq!(Npt::new(decode(16, 1 << 6), 1), Err(NptError::NestedPaging));
        for first in [0, 16, 17] {
            assert_eq!(Npt::new(decode(16, 1), first), Err(NptError::Asids(first, 16)));
        }
        extern crate std;
        use std::string::ToString;
        let said = "no ASID from 16 on: this CPU has 16, and 0 is the host's; begin at 1";
        assert_eq!(NptError::Asids(16, 16).to_string(), said);
    }

    #[test]
    fn guests_keep_their_asid_and_a_flush_drops_that_alone() {
        let (npt, cpu) = (npt(16, true), NptCpu::default());
        assert_eq!(npt.entry(&cpu), None);
        load(&npt, &cpu, 3, OnInstall::Flush);
        assert_eq!(run(&npt, &cpu), (1, TlbControl::All), "anything may be there at first");
        load(&npt, &cpu, 4, OnInstall::Flush);
        assert_eq!(run(&npt, &cpu), (2, TlbControl::Nothing), "a fresh ASID");
        load(&npt, &cpu, 3, OnInstall::Keep);
        assert_eq!(run(&npt, &cpu), (1, TlbControl::Nothing));
        load(&npt, &cpu, 4, OnInstall::Flush);
        assert_eq!(run(&npt, &cpu), (2, TlbControl::Guest), "handed to another guest");
        // A request about a guest that is not loaded waits for it.
        let range = PageRange::page(VirtAddr(0x5000));
        npt.flush_local(&cpu, LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::pages(range) });
        assert_eq!(run(&npt, &cpu), (2, TlbControl::Nothing));
        load(&npt, &cpu, 3, OnInstall::Keep);
        assert_eq!(run(&npt, &cpu), (1, TlbControl::Guest));
        assert_eq!(run(&npt, &cpu), (1, TlbControl::Nothing), "once");
        npt.flush_own(&cpu);
        assert_eq!(run(&npt, &cpu), (1, TlbControl::Guest));
        npt.install(&cpu, None, Tag::NONE, OnInstall::Flush);
        assert_eq!(npt.entry(&cpu), None);
    }

    #[test]
    fn without_flush_by_asid_a_flush_is_a_fresh_asid_until_they_run_out() {
        let (npt, cpu) = (npt(4, false), NptCpu::new());
        load(&npt, &cpu, 3, OnInstall::Flush);
        assert_eq!(run(&npt, &cpu), (1, TlbControl::All));
        for asid in [2, 3] {
            npt.flush_local(&cpu, LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::all() });
            assert_eq!(run(&npt, &cpu), (asid, TlbControl::Nothing));
            assert_eq!(run(&npt, &cpu), (asid, TlbControl::Nothing));
        }
        npt.flush_local(&cpu, LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::all() });
        assert_eq!(run(&npt, &cpu), (1, TlbControl::All), "a new generation");
        load(&npt, &cpu, 4, OnInstall::Keep);
        assert_eq!(run(&npt, &cpu), (2, TlbControl::Nothing));
    }

    #[test]
    fn no_guest_runs_under_an_asid_that_another_one_used_since_all_were_dropped() {
        let (npt, cpu) = (npt(3, false), NptCpu::new());
        for guest in [3, 4, 5, 3, 5, 4] {
            load(&npt, &cpu, guest, OnInstall::Flush);
            run(&npt, &cpu);
        }
        // Two ASIDs, three guests: the third begins a generation, and the first two have none left.
        load(&npt, &cpu, 3, OnInstall::Keep);
        let (first, _) = run(&npt, &cpu);
        load(&npt, &cpu, 5, OnInstall::Keep);
        let (second, _) = run(&npt, &cpu);
        assert_ne!(first, second);
    }

    #[test]
    fn everything_goes_at_the_next_vmrun_and_all_asids_are_fresh_after() {
        let range = PageRange::page(VirtAddr(0));
        let kernel = LocalFlush { tag: None, request: FlushRequest::pages(range) };
        let unknown = LocalFlush { tag: Some(Tag::new(9)), request: FlushRequest::all() };
        for what in [LocalFlush::EVERYTHING, kernel, unknown] {
            let (npt, cpu) = (npt(16, true), NptCpu::new());
            load(&npt, &cpu, 3, OnInstall::Flush);
            run(&npt, &cpu);
            npt.flush_local(&cpu, what);
            load(&npt, &cpu, 4, OnInstall::Keep);
            assert_eq!(run(&npt, &cpu), (1, TlbControl::All), "{what:?}");
            load(&npt, &cpu, 3, OnInstall::Keep);
            assert_eq!(run(&npt, &cpu), (2, TlbControl::Nothing));
        }
        let (npt, cpu) = (npt(16, true), NptCpu::new());
        load(&npt, &cpu, 3, OnInstall::Flush);
        run(&npt, &cpu);
        npt.not_entered(&cpu);
        assert_eq!(run(&npt, &cpu), (1, TlbControl::All), "the VMRUN before did not begin");
    }

    #[test]
    fn guests_without_a_tag_of_their_own_share_an_asid_that_is_flushed_at_each_load() {
        let (npt, cpu) = (npt(16, true), NptCpu::new());
        load(&npt, &cpu, 3, OnInstall::Flush);
        run(&npt, &cpu);
        for tag in [Tag::NONE, Tag::new(9), Tag::new(u16::MAX)] {
            npt.install(&cpu, Root::new(0x7000).ok(), tag, OnInstall::Keep);
            let first = run(&npt, &cpu);
            assert_eq!(first.0, 2);
            npt.install(&cpu, Root::new(0x8000).ok(), tag, OnInstall::Keep);
            assert_eq!(run(&npt, &cpu), (2, TlbControl::Guest), "{tag:?}");
        }
        npt.flush_local(&cpu, LocalFlush { tag: Some(Tag::NONE), request: FlushRequest::all() });
        assert_eq!(run(&npt, &cpu), (2, TlbControl::Guest));
        assert_eq!(npt.entry(&cpu).map(|entry| entry.nested_cr3), Some(0x8000));
    }
}
