//! Instructions that carry out a request about a guest on Intel: roots of EPT, and VPIDs.

use crate::encode::{EptLevels, Eptp, LinearWidth, Root, Vpid};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use shootdown::flush::{LocalFlush, VirtAddr};
use shootdown::tags::{OnInstall, SLOTS, Tag};

/// EPT and VPID features of a CPU, decoded from IA32_VMX_EPT_VPID_CAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EptVpidCap {
    /// Four levels of tables.
    pub four_levels: bool,
    /// Five.
    pub five_levels: bool,
    /// Tables in write-back memory.
    pub write_back: bool,
    /// Accessed and dirty flags.
    pub accessed_and_dirty: bool,
    /// INVEPT of one root.
    pub invept_single: bool,
    /// INVEPT of all.
    pub invept_all: bool,
    /// INVVPID of an address.
    pub invvpid_address: bool,
    /// INVVPID of a VPID.
    pub invvpid_single: bool,
    /// INVVPID of all.
    pub invvpid_all: bool,
    /// INVVPID of a VPID, global translations excepted.
    pub invvpid_single_retaining_globals: bool,
}

impl EptVpidCap {
    /// The MSR, IA32_VMX_EPT_VPID_CAP (SDM volume 3D, A.10), which `exec::read_msr` reads.
    pub const MSR: u32 = 0x48c;

    /// Decodes the MSR. A type counts where its instruction is there.
    pub const fn decode(msr: u64) -> Self {
        let (invept, invvpid) = (bit(msr, 20), bit(msr, 32));
        Self {
            four_levels: bit(msr, 6),
            five_levels: bit(msr, 7),
            write_back: bit(msr, 14),
            accessed_and_dirty: bit(msr, 21),
            invept_single: invept && bit(msr, 25),
            invept_all: invept && bit(msr, 26),
            invvpid_address: invvpid && bit(msr, 40),
            invvpid_single: invvpid && bit(msr, 41),
            invvpid_all: invvpid && bit(msr, 42),
            invvpid_single_retaining_globals: invvpid && bit(msr, 43),
        }
    }
}

const fn bit(value: u64, at: u32) -> bool {
    value >> at & 1 == 1
}

/// A required feature that the CPU lacks: without it guests cannot be kept coherent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// INVEPT of all roots, which stands in for what is not known.
    Invept,
    /// Tables with that many levels.
    Levels(EptLevels),
    /// Tables in write-back memory.
    WriteBack,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invept => write!(f, "this CPU has no INVEPT of all contexts: use shadow page tables"),
            Self::Levels(levels) => {
                write!(f, "this CPU has no EPT of {levels:?} levels: choose another depth")
            }
            Self::WriteBack => {
                write!(f, "this CPU keeps no EPT in write-back memory: use shadow page tables")
            }
        }
    }
}

impl core::error::Error for Unsupported {}

/// The parts of a CPU's [`EptVpidCap`] that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EptStrategies {
    cap: EptVpidCap,
    levels: EptLevels,
    width: LinearWidth,
    accessed_and_dirty: bool,
}

impl EptStrategies {
    /// Takes the best of `cap`, which every CPU has. `width` is that of guests' linear addresses.
    ///
    /// # Errors
    /// The CPU lacks what nothing stands in for.
    pub const fn choose(cap: EptVpidCap, levels: EptLevels, width: LinearWidth) -> Result<Self, Unsupported> {
        let deep_enough = match levels {
            EptLevels::Four => cap.four_levels,
            EptLevels::Five => cap.five_levels,
        };
        if !cap.invept_all {
            Err(Unsupported::Invept)
        } else if !deep_enough {
            Err(Unsupported::Levels(levels))
        } else if !cap.write_back {
            Err(Unsupported::WriteBack)
        } else {
            Ok(Self { cap, levels, width, accessed_and_dirty: false })
        }
    }

    /// Has the CPU set accessed and dirty flags, where it can. To clear one is a change of a table, and takes a flush.
    pub const fn with_accessed_and_dirty(mut self) -> Self {
        self.accessed_and_dirty = self.cap.accessed_and_dirty;
        self
    }

    /// Whether VPIDs are used. A CPU that cannot drop all does without: each VM entry and exit then drops guests'
    /// translations that are not EPT's alone.
    pub const fn vpids(&self) -> bool {
        self.cap.invvpid_all
    }

    /// Returns the VPID that stands for `tag`: [`Vpid::SHARED`], which is flushed at each load, for tags that are none.
    pub const fn vpid(&self, tag: Tag) -> Vpid {
        match Vpid::new(tag.number()) {
            Ok(vpid) => vpid,
            Err(_) => Vpid::SHARED,
        }
    }

    /// Returns the pointer to the tables under `root`.
    pub const fn eptp(&self, root: Root) -> Eptp {
        let eptp = Eptp::new(root, self.levels);
        if self.accessed_and_dirty { eptp.with_accessed_and_dirty() } else { eptp }
    }

    /// Chooses what goes for `what` on a CPU that remembers `cpu`.
    ///
    /// A change of an EPT entry, and freed tables, take INVEPT: it drops guest-physical and combined translations of a
    /// root under all VPIDs, tables too, and there is none for an address (SDM volume 3C, "Guidelines for Use of the
    /// INVEPT Instruction").
    pub fn local(&self, what: LocalFlush, cpu: &EptCpu) -> EptStep {
        // A hypervisor's own memory is not EPT's; a request about it drops everything there is.
        let Some(tag) = what.tag else { return EptStep::Everything };
        match cpu.root_of(tag) {
            Some(root) => self.root(root),
            None => EptStep::AllRoots,
        }
    }

    const fn root(&self, root: Root) -> EptStep {
        if self.cap.invept_single { EptStep::Root(self.eptp(root)) } else { EptStep::AllRoots }
    }

    /// Chooses how to load a guest.
    ///
    /// With a flush its root goes too: the page may have been the root of a guest that is gone, whose translations stay
    /// under the root's address until INVEPT.
    pub const fn install(&self, root: Root, tag: Tag, how: OnInstall) -> EptInstall {
        let (eptp, vpid) = (self.eptp(root), self.vpid(tag));
        let shared = vpid.number() == Vpid::SHARED.number();
        let flush = matches!(how, OnInstall::Flush) || shared;
        EptInstall {
            before: if flush { Some((self.root(root), self.own(vpid, Own::All))) } else { None },
            entry: EptEntry { eptp, vpid: if self.vpids() { Some(vpid) } else { None } },
        }
    }

    /// Chooses what goes for a change of a guest's own tables.
    pub const fn own(&self, vpid: Vpid, what: Own) -> OwnStep {
        if !self.vpids() {
            return OwnStep::Nothing;
        }
        match what {
            Own::Address(address) if self.cap.invvpid_address && self.width.is_canonical(address) => {
                OwnStep::Address(vpid, address)
            }
            Own::AllButGlobals if self.cap.invvpid_single_retaining_globals => {
                OwnStep::VpidRetainingGlobals(vpid)
            }
            _ if self.cap.invvpid_single => OwnStep::Vpid(vpid),
            _ => OwnStep::AllVpids,
        }
    }

    /// Width of guests' linear addresses.
    pub const fn width(&self) -> LinearWidth {
        self.width
    }
}

/// What a guest's own tables made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The translations of an address, global ones included.
    Address(VirtAddr),
    /// Those of all addresses.
    All,
    /// Those of all addresses but global ones.
    AllButGlobals,
}

/// What to flush of EPT's translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EptStep {
    /// Those of a root, alone and combined: INVEPT, single context.
    Root(Eptp),
    /// Those of all roots: INVEPT, all contexts.
    AllRoots,
    /// As [`AllRoots`](Self::AllRoots), and all VPIDs: INVVPID, all contexts.
    Everything,
}

/// What to flush of guests' own translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnStep {
    /// Those of an address: INVVPID, individual address.
    Address(Vpid, VirtAddr),
    /// Those of a VPID: INVVPID, single context.
    Vpid(Vpid),
    /// Those of a VPID but global ones: INVVPID, single context retaining globals.
    VpidRetainingGlobals(Vpid),
    /// Those of all VPIDs: INVVPID, all contexts.
    AllVpids,
    /// Nothing: without VPIDs VM entries and exits do it.
    Nothing,
}

/// How a guest is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EptInstall {
    /// What to flush first, if anything: of EPT, and of the guest's own translations.
    pub before: Option<(EptStep, OwnStep)>,
    /// What the next VM entry takes.
    pub entry: EptEntry,
}

/// Values for the next VM entry, to write to the VMCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EptEntry {
    /// For [`VMCS_EPT_POINTER`](crate::encode::VMCS_EPT_POINTER).
    pub eptp: Eptp,
    /// For [`VMCS_VPID`](crate::encode::VMCS_VPID), with "enable VPID" set; nothing where it is clear.
    pub vpid: Option<Vpid>,
}

/// A CPU's record of its guests. Used only by that CPU, with interrupts off.
#[derive(Debug)]
pub struct EptCpu {
    /// Root that a tag stands for here, and [`PRESENT`]; 0 for none.
    roots: [AtomicU64; SLOTS + 1],
    /// Root of the loaded guest, and [`PRESENT`]; 0 for none.
    loaded: AtomicU64,
    /// Its tag.
    tag: AtomicU64,
}

/// Roots are multiples of 4096.
const PRESENT: u64 = 1;

// ORDER: relaxed throughout; only one CPU uses its memory.
impl EptCpu {
    /// Makes the memory of a CPU that has run no guest.
    pub const fn new() -> Self {
        let roots = [const { AtomicU64::new(0) }; SLOTS + 1];
        Self { roots, loaded: AtomicU64::new(0), tag: AtomicU64::new(0) }
    }

    /// The root that `tag` stands for on this CPU, if it is remembered.
    pub fn root_of(&self, tag: Tag) -> Option<Root> {
        root_in(self.roots.get(usize::from(tag.number()))?)
    }

    /// Notes that `root` is loaded under `tag`, or nothing. A tag beyond the slots is not remembered, so that flushes
    /// of it drop all roots.
    pub fn note(&self, root: Option<Root>, tag: Tag) {
        let word = root.map_or(0, |root| root.address() | PRESENT);
        if let (Some(slot), Some(_)) = (self.roots.get(usize::from(tag.number())), root) {
            slot.store(word, Ordering::Relaxed);
        }
        self.tag.store(u64::from(tag.number()), Ordering::Relaxed);
        self.loaded.store(word, Ordering::Relaxed);
    }

    /// Root and tag of the loaded guest.
    pub fn loaded(&self) -> Option<(Root, Tag)> {
        let tag = Tag::new(self.tag.load(Ordering::Relaxed) as u16);
        root_in(&self.loaded).map(|root| (root, tag))
    }
}

fn root_in(word: &AtomicU64) -> Option<Root> {
    let word = word.load(Ordering::Relaxed);
    if word & PRESENT == 0 { None } else { Root::new(word & !PRESENT).ok() }
}

impl Default for EptCpu {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shootdown::flush::{FlushRequest, PageRange};

    /// All bits that are decoded.
    const ALL: u64 = 1 << 6
        | 1 << 7
        | 1 << 14
        | 1 << 20
        | 1 << 21
        | 1 << 25
        | 1 << 26
        | 1 << 32
        | 1 << 40
        | 1 << 41
        | 1 << 42
        | 1 << 43;

    fn choose(msr: u64) -> Result<EptStrategies, Unsupported> {
        EptStrategies::choose(EptVpidCap::decode(msr), EptLevels::Four, LinearWidth::Bits48)
    }

    fn strategies(without: u64) -> EptStrategies {
        choose(ALL & !without).expect("EPT")
    }

    fn root() -> Root {
        Root::new(0x7000).expect("a root")
    }

    #[test]
    fn each_capability_is_a_bit_of_the_msr() {
        let decoded = |msr| {
            let cap = EptVpidCap::decode(msr);
            [
                cap.four_levels,
                cap.five_levels,
                cap.write_back,
                cap.accessed_and_dirty,
                cap.invept_single,
                cap.invept_all,
                cap.invvpid_address,
                cap.invvpid_single,
                cap.invvpid_all,
                cap.invvpid_single_retaining_globals,
            ]
        };
        assert_eq!(decoded(ALL), [true; 10]);
        for (at, bit) in [6, 7, 14, 21, 25, 26, 40, 41, 42, 43].into_iter().enumerate() {
            let mut all_but_one = [true; 10];
            all_but_one[at] = false;
            assert_eq!(decoded(ALL & !(1 << bit)), all_but_one, "bit {bit}");
        }
        // Types without their instruction do not count.
        assert_eq!(decoded(ALL & !(1 << 20))[4..6], [false; 2]);
        assert_eq!(decoded(ALL & !(1 << 32))[6..], [false; 4]);
        assert_eq!(EptVpidCap::MSR, 0x48c);
    }

    #[test]
    fn a_cpu_without_invept_is_refused() {
        extern crate std;
        use std::string::ToString;
        assert_eq!(choose(ALL & !(1 << 20)), Err(Unsupported::Invept));
        assert_eq!(choose(ALL & !(1 << 26)), Err(Unsupported::Invept));
        assert_eq!(choose(ALL & !(1 << 6)), Err(Unsupported::Levels(EptLevels::Four)));
        assert_eq!(choose(ALL & !(1 << 14)), Err(Unsupported::WriteBack));
        let said = Unsupported::Levels(EptLevels::Five).to_string();
        assert_eq!(said, "this CPU has no EPT of Five levels: choose another depth");
    }

    #[test]
    fn a_changed_table_takes_invept_of_its_root_or_of_all() {
        let cpu = EptCpu::new();
        cpu.note(Some(root()), Tag::new(3));
        let page = |tag| LocalFlush {
            tag: Some(tag),
            request: FlushRequest::pages(PageRange::page(VirtAddr(0x5000))).tables_freed(),
        };
        for what in [page(Tag::new(3)), LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::all() }] {
            let with = |strategies: EptStrategies| strategies.local(what, &cpu);
            let exact = strategies(0);
            assert_eq!(with(exact), EptStep::Root(exact.eptp(root())));
            assert_eq!(with(strategies(1 << 25)), EptStep::AllRoots, "no single context");
        }
        // What nobody remembers goes with all roots.
        let exact = strategies(0);
        for tag in [Tag::new(2), Tag::new(9), Tag::new(0xffff)] {
            assert_eq!(exact.local(page(tag), &cpu), EptStep::AllRoots, "{tag:?}");
        }
        assert_eq!(exact.local(LocalFlush::EVERYTHING, &cpu), EptStep::Everything);
        let range = PageRange::page(VirtAddr(0));
        let kernel = LocalFlush { tag: None, request: FlushRequest::pages(range) };
        assert_eq!(exact.local(kernel, &cpu), EptStep::Everything);
    }

    #[test]
    fn a_load_with_a_flush_drops_the_root_and_the_vpid() {
        let exact = strategies(0);
        let (eptp, vpid) = (exact.eptp(root()), exact.vpid(Tag::new(3)));
        let plan = exact.install(root(), Tag::new(3), OnInstall::Flush);
        assert_eq!(plan.before, Some((EptStep::Root(eptp), OwnStep::Vpid(vpid))));
        assert_eq!(plan.entry, EptEntry { eptp, vpid: Some(vpid) });
        assert_eq!(exact.install(root(), Tag::new(3), OnInstall::Keep).before, None);
        // Tags that are no VPID share one, which goes at each load.
        for tag in [Tag::NONE, Tag::new(0xffff)] {
            let shared = exact.install(root(), tag, OnInstall::Keep);
            assert_eq!(shared.before, Some((EptStep::Root(eptp), OwnStep::Vpid(Vpid::SHARED))));
        }
        let few = strategies(1 << 25 | 1 << 41).install(root(), Tag::new(3), OnInstall::Flush);
        assert_eq!(few.before, Some((EptStep::AllRoots, OwnStep::AllVpids)));
    }

    #[test]
    fn types_of_invvpid_that_are_missing_are_widened() {
        let vpid = Vpid::new(3).expect("a VPID");
        let page = Own::Address(VirtAddr(0x5000));
        let exact = strategies(0);
        assert_eq!(exact.own(vpid, page), OwnStep::Address(vpid, VirtAddr(0x5000)));
        let bad = Own::Address(VirtAddr(1 << 47));
        assert_eq!(exact.own(vpid, bad), OwnStep::Vpid(vpid), "not canonical");
        assert_eq!(exact.own(vpid, Own::AllButGlobals), OwnStep::VpidRetainingGlobals(vpid));
        assert_eq!(strategies(1 << 40).own(vpid, page), OwnStep::Vpid(vpid));
        assert_eq!(strategies(1 << 43).own(vpid, Own::AllButGlobals), OwnStep::Vpid(vpid));
        assert_eq!(strategies(1 << 41).own(vpid, Own::All), OwnStep::AllVpids);
        // Not of all: VPIDs are not used, whatever else is there.
        let none = strategies(1 << 42);
        assert_eq!((none.vpids(), none.own(vpid, page)), (false, OwnStep::Nothing));
        assert_eq!(none.install(root(), Tag::new(3), OnInstall::Flush).entry.vpid, None);
    }

    #[test]
    fn accessed_and_dirty_flags_are_used_where_they_exist() {
        assert_eq!(strategies(0).with_accessed_and_dirty().eptp(root()).value(), 0x705e);
        assert_eq!(strategies(1 << 21).with_accessed_and_dirty().eptp(root()).value(), 0x701e);
    }

    #[test]
    fn a_cpu_remembers_what_it_has_loaded() {
        let cpu = EptCpu::default();
        let tag = Tag::new(3);
        assert_eq!(cpu.loaded(), None);
        cpu.note(Some(root()), tag);
        assert_eq!((cpu.loaded(), cpu.root_of(tag)), (Some((root(), tag)), Some(root())));
        let other = Root::new(0).expect("a root");
        cpu.note(Some(other), Tag::new(9));
        assert_eq!((cpu.loaded(), cpu.root_of(Tag::new(9))), (Some((other, Tag::new(9))), None));
        cpu.note(None, Tag::NONE);
        assert_eq!((cpu.loaded(), cpu.root_of(Tag::NONE)), (None, None));
        assert_eq!(cpu.root_of(tag), Some(root()), "entries stay, and so does the root");
    }
}
