//! Operands of the instructions.

mod guest;
mod ipi;

use core::fmt;
use shootdown::flush::VirtAddr;
use shootdown::tags::OnInstall;

pub use guest::{
    EptLevels, Eptp, GuestAsid, InveptDescriptor, InveptType, InvvpidDescriptor, InvvpidType, TlbControl,
    VMCB_ASID, VMCB_NESTED_CR3, VMCB_TLB_CONTROL, VMCS_EPT_POINTER, VMCS_VPID, Vpid,
};
pub use ipi::x2apic_ipis;

/// A process-context identifier: 12 bits (SDM 4.10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pcid(u16);

impl Pcid {
    /// The PCID under which roots without a tag of their own are loaded. It is flushed at each load.
    pub const SHARED: Pcid = Pcid(0);
    /// The bit that tells the user half of a pair from the kernel half.
    const USER: u16 = 1 << 11;

    /// Wraps a number.
    ///
    /// # Errors
    /// It has more than 12 bits.
    pub const fn new(number: u16) -> Result<Self, EncodeError> {
        if number > 0xfff { Err(EncodeError::Pcid(number)) } else { Ok(Self(number)) }
    }

    /// Wraps the number of the kernel half of a pair.
    ///
    /// # Errors
    /// It has more than 11 bits.
    pub const fn paired(number: u16) -> Result<Self, EncodeError> {
        if number >= Self::USER { Err(EncodeError::Pcid(number)) } else { Ok(Self(number)) }
    }

    /// Returns the user half of the pair: kernel page-table isolation runs user code under a root and a PCID of its
    /// own.
    pub const fn user_half(self) -> Self {
        Self(self.0 | Self::USER)
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Physical address of a top-level page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(u64);

impl Root {
    /// Wraps an address.
    ///
    /// # Errors
    /// It is not a multiple of 4096, or has more than 52 bits.
    pub const fn new(address: u64) -> Result<Self, EncodeError> {
        if address & !CR3_ADDRESS != 0 { Err(EncodeError::Root(address)) } else { Ok(Self(address)) }
    }

    /// The address.
    pub const fn address(self) -> u64 {
        self.0
    }
}

/// Why an operand was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Too large for a PCID, or for the kernel half of a pair.
    Pcid(u16),
    /// Not the address of a page table.
    Root(u64),
    /// Not canonical.
    Address(VirtAddr),
    /// More pages than one instruction takes, or none.
    Count(u64),
    /// A VPID of 0, which is the host's.
    Vpid(u16),
    /// An ASID of 0, which is the host's, or one that this CPU lacks.
    GuestAsid(u32),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pcid(number) => {
                write!(f, "{number:#x} is no PCID here: they end at 0xfff, in pairs at 0x7ff")
            }
            Self::Root(address) => {
                write!(f, "{address:#x} is no root: it must be a multiple of 0x1000 below 1 << 52")
            }
            Self::Address(address) => write!(f, "{:#x} is not canonical", address.0),
            Self::Vpid(number) => write!(f, "{number:#x} is no guest's VPID: 0 is the host's"),
            Self::GuestAsid(number) => {
                write!(
                    f,
                    "{number:#x} is no guest's ASID here: 0 is the host's, and CPUID 8000_000A.EBX is the end"
                )
            }
            Self::Count(count) => write!(f, "{count} pages do not fit one instruction; split the range"),
        }
    }
}

impl core::error::Error for EncodeError {}

const CR3_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// With CR4.PCIDE, a CR3 write with this bit leaves the TLB alone (SDM 4.10.4.1).
const CR3_NOFLUSH: u64 = 1 << 63;

/// Computes CR3. Bit 63 is set for [`OnInstall::Keep`], which needs CR4.PCIDE.
pub const fn cr3(root: Root, pcid: Pcid, how: OnInstall) -> u64 {
    let keep = match how {
        OnInstall::Keep => CR3_NOFLUSH,
        OnInstall::Flush => 0,
    };
    root.0 | pcid.0 as u64 | keep
}

/// Returns the PCID in a value read from CR3.
pub const fn pcid_of(cr3: u64) -> Pcid {
    Pcid((cr3 & 0xfff) as u16)
}

/// Returns `cr3` such that writing it drops what is cached under its PCID.
pub const fn flushing(cr3: u64) -> u64 {
    cr3 & !CR3_NOFLUSH
}

/// Page-global enable, a bit of CR4: changing it drops everything, global translations and all PCIDs (SDM 4.10.4.1).
pub const CR4_PGE: u64 = 1 << 7;
/// PCID enable, a bit of CR4.
pub const CR4_PCIDE: u64 = 1 << 17;

/// Bits of a linear address that take part in translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearWidth {
    /// Four levels of tables.
    Bits48,
    /// Five levels: CR4.LA57 is set.
    Bits57,
}

impl LinearWidth {
    /// Whether the bits above are copies of the highest that takes part.
    pub const fn is_canonical(self, address: VirtAddr) -> bool {
        let unused = match self {
            Self::Bits48 => 16,
            Self::Bits57 => 7,
        };
        ((address.0 << unused) as i64 >> unused) as u64 == address.0
    }
}

/// The four types of INVPCID (SDM volume 2A, INVPCID; 4.10.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum InvpcidType {
    /// One address under one PCID, global translations excepted.
    Address = 0,
    /// One PCID, global translations excepted.
    Context = 1,
    /// All PCIDs and global translations.
    AllWithGlobals = 2,
    /// All PCIDs, global translations excepted.
    All = 3,
}

/// The memory operand of INVPCID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct InvpcidDescriptor([u64; 2]);

impl InvpcidDescriptor {
    /// Builds the operand of [`InvpcidType::Address`].
    ///
    /// # Errors
    /// The address is not canonical: the instruction would fault.
    pub const fn address(pcid: Pcid, address: VirtAddr, width: LinearWidth) -> Result<Self, EncodeError> {
        if width.is_canonical(address) {
            Ok(Self([pcid.0 as u64, address.0]))
        } else {
            Err(EncodeError::Address(address))
        }
    }

    /// Builds the operand of [`InvpcidType::Context`].
    pub const fn context(pcid: Pcid) -> Self {
        Self([pcid.0 as u64, 0])
    }

    /// Builds the operand of the other two types, which read none of it.
    pub const fn all() -> Self {
        Self([0, 0])
    }

    /// The two words.
    pub const fn words(&self) -> [u64; 2] {
        self.0
    }
}

/// The three register operands of INVLPGB (APM volume 3, INVLPGB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invlpgb {
    /// RAX: address and which parts of the request count.
    pub rax: u64,
    /// ECX: pages after the first, and the distance between them.
    pub ecx: u32,
    /// EDX: ASID and PCID.
    pub edx: u32,
}

/// Distance between the pages of one INVLPGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// 4 KiB.
    Small = 0,
    /// 2 MiB.
    Large = 1,
}

/// The translations of a page that INVLPGB drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The translation alone: no table was freed.
    Final,
    /// Cached entries of the tables above, too.
    PageTables,
}

/// Under which PCIDs INVLPGB drops translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// All of them.
    All,
    /// One, which stands for the same space on all CPUs.
    One(Pcid),
}

/// Whether INVLPGB drops global translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Globals {
    /// It does not: user memory has none.
    Excepted,
    /// It does.
    Included,
}

impl Invlpgb {
    const VALID_ADDRESS: u64 = 1 << 0;
    const VALID_PCID: u64 = 1 << 1;
    /// Always with ASID 0: a host must not reach its guests' translations, and for a guest hardware fills in its own.
    const VALID_ASID: u64 = 1 << 2;
    const INCLUDE_GLOBALS: u64 = 1 << 3;
    const FINAL_ONLY: u64 = 1 << 4;

    /// Builds the request for `count` pages of this host or guest. `limits` are the number of pages that one
    /// instruction takes, and the width of addresses.
    ///
    /// # Errors
    /// More pages than one instruction takes or none; the address is not canonical.
    pub const fn pages(
        (first, count, stride): (VirtAddr, u64, Stride),
        depth: Depth,
        globals: Globals,
        under: Under,
        (most, width): (u32, LinearWidth),
    ) -> Result<Self, EncodeError> {
        if count == 0 || count > most as u64 || count > 1 << 16 {
            return Err(EncodeError::Count(count));
        }
        if !width.is_canonical(first) {
            return Err(EncodeError::Address(first));
        }
        let depth = match depth {
            Depth::Final => Self::FINAL_ONLY,
            Depth::PageTables => 0,
        };
        let all = Self::all(globals, under);
        let rax = first.0 & !0xfff | Self::VALID_ADDRESS | depth | all.rax;
        Ok(Self { rax, ecx: (count - 1) as u32 | (stride as u32) << 31, edx: all.edx })
    }

    /// Builds the request for everything of this host or guest.
    pub const fn all(globals: Globals, under: Under) -> Self {
        let (valid, pcid) = match under {
            Under::All => (0, 0),
            Under::One(pcid) => (Self::VALID_PCID, pcid.0 as u32),
        };
        Self { rax: Self::VALID_ASID | valid | Self::globals(globals), ecx: 0, edx: pcid << 16 }
    }

    const fn globals(globals: Globals) -> u64 {
        match globals {
            Globals::Excepted => 0,
            Globals::Included => Self::INCLUDE_GLOBALS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cr3_is_root_pcid_and_bit_63() {
        let root = Root::new(0x1234_5000).expect("a root");
        let pcid = Pcid::new(0xabc).expect("a PCID");
        assert_eq!(cr3(root, pcid, OnInstall::Flush), 0x1234_5abc);
        assert_eq!(cr3(root, pcid, OnInstall::Keep), 0x8000_0000_1234_5abc);
        assert_eq!(cr3(root, Pcid::SHARED, OnInstall::Flush), root.address());
        assert_eq!(pcid_of(0x1234_5abc), pcid);
        assert_eq!(flushing(0x8000_0000_1234_5abc), 0x1234_5abc);
        assert_eq!((CR4_PGE, CR4_PCIDE), (0x80, 0x2_0000));
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused_with_their_value() {
        assert_eq!(Pcid::new(0xfff).map(Pcid::number), Ok(0xfff));
        assert_eq!(Pcid::new(0x1000), Err(EncodeError::Pcid(0x1000)));
        assert_eq!(Pcid::paired(0x7ff).map(|pcid| pcid.user_half().number()), Ok(0xfff));
        assert_eq!(Pcid::paired(0x800), Err(EncodeError::Pcid(0x800)));
        for address in [0x800, 1 << 52, u64::MAX] {
            assert_eq!(Root::new(address), Err(EncodeError::Root(address)));
        }
    }

    #[test]
    fn canonical_addresses_repeat_their_highest_bit() {
        let table = [
            (0x0000_7fff_ffff_ffff, true, true),
            (0x0000_8000_0000_0000, false, true),
            (0xffff_8000_0000_0000, true, true),
            (0x00ff_ffff_ffff_ffff, false, true),
            (0xff00_0000_0000_0000, false, true),
            (0x0100_0000_0000_0000, false, false),
        ];
        for (address, bits48, bits57) in table {
            assert_eq!(LinearWidth::Bits48.is_canonical(VirtAddr(address)), bits48, "{address:#x}");
            assert_eq!(LinearWidth::Bits57.is_canonical(VirtAddr(address)), bits57, "{address:#x}");
        }
    }

    #[test]
    fn invpcid_descriptors_hold_the_pcid_low_and_the_address_high() {
        let pcid = Pcid::new(5).expect("a PCID");
        let one = InvpcidDescriptor::address(pcid, VirtAddr(0x7000), LinearWidth::Bits48);
        assert_eq!(one.map(|one| one.words()), Ok([5, 0x7000]));
        let bad = VirtAddr(1 << 47);
        assert_eq!(
            InvpcidDescriptor::address(pcid, bad, LinearWidth::Bits48),
            Err(EncodeError::Address(bad))
        );
        assert_eq!(InvpcidDescriptor::context(pcid).words(), [5, 0]);
        assert_eq!(InvpcidDescriptor::all().words(), [0, 0]);
        assert_eq!(core::mem::align_of::<InvpcidDescriptor>(), 16);
        let types =
            [InvpcidType::Address, InvpcidType::Context, InvpcidType::AllWithGlobals, InvpcidType::All];
        assert_eq!(types.map(|kind| kind as u64), [0, 1, 2, 3]);
    }

    #[test]
    fn invlpgb_counts_the_pages_after_the_first() {
        let limits = (8, LinearWidth::Bits48);
        let first = VirtAddr(0x40_0000);
        let user = |count| {
            Invlpgb::pages((first, count, Stride::Small), Depth::Final, Globals::Excepted, Under::All, limits)
        };
        assert_eq!(user(1), Ok(Invlpgb { rax: 0x40_0015, ecx: 0, edx: 0 }));
        assert_eq!(user(9), Err(EncodeError::Count(9)));
        assert_eq!(user(0), Err(EncodeError::Count(0)));
        let kernel = |first, count, most| {
            let pages = (first, count, Stride::Large);
            Invlpgb::pages(
                pages,
                Depth::PageTables,
                Globals::Included,
                Under::All,
                (most, LinearWidth::Bits48),
            )
        };
        assert_eq!(kernel(first, 8, 8), Ok(Invlpgb { rax: 0x40_000d, ecx: 0x8000_0007, edx: 0 }));
        let bad = VirtAddr(1 << 47);
        assert_eq!(kernel(bad, 1, 8), Err(EncodeError::Address(bad)));
        assert_eq!(
            kernel(first, 0x1_0001, u32::MAX),
            Err(EncodeError::Count(0x1_0001)),
            "the field has 16 bits"
        );
        let one = Under::One(Pcid::new(0xabc).expect("a PCID"));
        let tagged =
            Invlpgb::pages((first, 2, Stride::Small), Depth::PageTables, Globals::Excepted, one, limits);
        assert_eq!(tagged, Ok(Invlpgb { rax: 0x40_0007, ecx: 1, edx: 0x0abc_0000 }));
        assert_eq!(Invlpgb::all(Globals::Included, Under::All), Invlpgb { rax: 0xc, ecx: 0, edx: 0 });
        assert_eq!(Invlpgb::all(Globals::Excepted, Under::All), Invlpgb { rax: 0x4, ecx: 0, edx: 0 });
        assert_eq!(Invlpgb::all(Globals::Excepted, one), Invlpgb { rax: 0x6, ecx: 0, edx: 0x0abc_0000 });
    }

    #[test]
    fn refusals_say_what_would_do() {
        extern crate std;
        use std::string::ToString;
        let said = [
            (EncodeError::Pcid(0x1000), "0x1000 is no PCID here: they end at 0xfff, in pairs at 0x7ff"),
            (EncodeError::Root(0x10), "0x10 is no root: it must be a multiple of 0x1000 below 1 << 52"),
            (EncodeError::Address(VirtAddr(1 << 60)), "0x1000000000000000 is not canonical"),
            (EncodeError::Count(9), "9 pages do not fit one instruction; split the range"),
        ];
        for (refused, text) in said {
            assert_eq!(refused.to_string(), text);
        }
    }
}
