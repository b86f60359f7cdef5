//! Operands of the instructions.

mod ipi;

use core::fmt;
use shootdown::flush::{PageSize, VirtAddr};

pub use ipi::sgis;

/// Size of the smallest pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granule {
    /// 4 KiB.
    Size4K,
    /// 16 KiB.
    Size16K,
    /// 64 KiB.
    Size64K,
}

impl Granule {
    /// Base-2 logarithm of the size.
    pub const fn shift(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size16K => 14,
            Self::Size64K => 16,
        }
    }

    /// The TG field of range operands and the upper half of level hints (Arm C5.5, TLBI RVAE1).
    const fn code(self) -> u64 {
        match self {
            Self::Size4K => 0b01,
            Self::Size16K => 0b10,
            Self::Size64K => 0b11,
        }
    }

    /// Returns the page or block that pages of `size` are made of: itself, or for a run of contiguous entries one of
    /// the run, as each must be named (Arm D8.7). For other sizes it is unknown, and the granule is returned.
    pub const fn stride(self, size: PageSize) -> PageSize {
        match (self, size) {
            (Self::Size4K, PageSize::Size2M | PageSize::Size1G) => size,
            (Self::Size4K, PageSize::Size32M) => PageSize::Size2M,
            (Self::Size4K, _) => PageSize::Size4K,
            (Self::Size16K, PageSize::Size32M | PageSize::Size1G) => PageSize::Size32M,
            (Self::Size16K, _) => PageSize::Size16K,
            (Self::Size64K, PageSize::Size512M) => PageSize::Size512M,
            (Self::Size64K, _) => PageSize::Size64K,
        }
    }
}

/// Bits of ASIDs or VMIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8.
    Bits8,
    /// 16: for ASIDs TCR_EL1.AS is set, for VMIDs VTCR_EL2.VS.
    Bits16,
}

impl Width {
    const fn holds(self, number: u16) -> bool {
        matches!(self, Self::Bits16) || number < 1 << 8
    }
}

/// An address-space identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asid(u16);

impl Asid {
    /// The ASID under which roots without a tag of their own are loaded. It is flushed at each load.
    pub const SHARED: Asid = Asid(0);

    /// Wraps a number.
    ///
    /// # Errors
    /// It does not fit the width.
    pub const fn new(number: u16, width: Width) -> Result<Self, EncodeError> {
        if width.holds(number) { Ok(Self(number)) } else { Err(EncodeError::Tag(number)) }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// A virtual-machine identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vmid(u16);

impl Vmid {
    /// The VMID under which guests without a tag of their own are loaded, and no guest. It is flushed at each load.
    pub const SHARED: Vmid = Vmid(0);

    /// Wraps a number.
    ///
    /// # Errors
    /// It does not fit the width.
    pub const fn new(number: u16, width: Width) -> Result<Self, EncodeError> {
        if width.holds(number) { Ok(Self(number)) } else { Err(EncodeError::Tag(number)) }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Physical address of a top-level table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(u64);

impl Root {
    /// Wraps an address.
    ///
    /// # Errors
    /// It is not a multiple of 4096, or has more than 48 bits.
    pub const fn new(address: u64) -> Result<Self, EncodeError> {
        if address & !TTBR_ADDRESS == 0 { Ok(Self(address)) } else { Err(EncodeError::Root(address)) }
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
    /// Too large for an ASID or VMID.
    Tag(u16),
    /// Not the address of a table.
    Root(u64),
    /// Blocks of this size do not exist with this granule.
    Level(Granule, PageSize),
    /// Not the page of an address that the range form can name.
    Address(VirtAddr),
    /// No pages, or more than the range forms take.
    Count(u64),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(number) => write!(f, "{number:#x} has more bits than this machine's ASIDs or VMIDs"),
            Self::Root(address) => {
                write!(f, "{address:#x} is no root: it must be a multiple of 0x1000 below 1 << 48")
            }
            Self::Level(granule, size) => {
                write!(
                    f,
                    "{:#x} bytes are no block with granules of {:#x}; give no hint",
                    size.bytes(),
                    1 << granule.shift()
                )
            }
            Self::Address(address) => write!(f, "{:#x} has bits that the range form drops", address.0),
            Self::Count(count) => write!(f, "{count} pages do not fit the range form; drop the whole ASID"),
        }
    }
}

impl core::error::Error for EncodeError {}

const TTBR_ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const TAG_SHIFT: u32 = 48;

/// Computes TTBR0_EL1 or TTBR1_EL1 (Arm D19.2): base, and the ASID for the register that TCR_EL1.A1 names.
pub const fn ttbr(root: Root, asid: Asid) -> u64 {
    (asid.0 as u64) << TAG_SHIFT | root.0
}

/// Returns the ASID in a value read from a TTBR.
pub const fn asid_of(ttbr: u64) -> Asid {
    Asid((ttbr >> TAG_SHIFT) as u16)
}

/// Computes VTTBR_EL2 (Arm D19.2).
pub const fn vttbr(root: Root, vmid: Vmid) -> u64 {
    (vmid.0 as u64) << TAG_SHIFT | root.0
}

/// Which level of tables holds the leaf: a hint for TLBI (FEAT_TTL). A wrong one drops nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(u64);

impl Ttl {
    /// No hint: any level.
    pub const ANY: Ttl = Ttl(0);

    /// Says that every leaf in question maps `size`.
    ///
    /// # Errors
    /// No leaf of that size exists.
    pub const fn leaf(granule: Granule, size: PageSize) -> Result<Self, EncodeError> {
        let level = match (granule, size) {
            (Granule::Size4K, PageSize::Size4K)
            | (Granule::Size16K, PageSize::Size16K)
            | (Granule::Size64K, PageSize::Size64K) => 3,
            (Granule::Size4K, PageSize::Size2M)
            | (Granule::Size16K, PageSize::Size32M)
            | (Granule::Size64K, PageSize::Size512M) => 2,
            (Granule::Size4K, PageSize::Size1G) => 1,
            _ => return Err(EncodeError::Level(granule, size)),
        };
        Ok(Self(granule.code() << 2 | level))
    }
}

/// Builds the operand of TLBI by address and ASID (VAE1, VALE1), or by address (VAAE1, VAALE1: the ASID is ignored).
///
/// Bits 55 to 12 of the address count (Arm C5.5, TLBI VAE1): a tag in the top byte does not.
#[inline]
pub const fn by_address(address: VirtAddr, asid: Asid, level: Ttl) -> u64 {
    (asid.0 as u64) << TAG_SHIFT | level.0 << 44 | address.0 >> 12 & ((1 << 44) - 1)
}

/// Builds the operand of TLBI by ASID (ASIDE1).
#[inline]
pub const fn by_asid(asid: Asid) -> u64 {
    (asid.0 as u64) << TAG_SHIFT
}

/// Builds the operand of TLBI by intermediate physical address (IPAS2E1, IPAS2LE1): bits 51 to 12 count.
#[inline]
pub const fn by_ipa(address: u64, level: Ttl) -> u64 {
    level.0 << 44 | address >> 12 & ((1 << 40) - 1)
}

/// Most pages that the range forms take one after the other: 32 of the largest scale.
pub const RANGE_PAGES_MAX: u64 = 32 << 16;

/// One operand of a range form, or a single page that is left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Operand of RVAE1 and its kin.
    Range(u64),
    /// Address for VAE1 and its kin.
    Page(VirtAddr),
}

/// Pages split into operands of the range forms (FEAT_TLBIRANGE). One form covers an even number of pages:
/// (NUM + 1) << (5 * SCALE + 1), with NUM to 31 and SCALE to 3 (Arm C5.5, TLBI RVAE1). Together they cover the pages
/// exactly.
///
/// # Invariants
/// `pages` is at most [`RANGE_PAGES_MAX`].
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    address: u64,
    pages: u64,
    granule: Granule,
    asid: Asid,
    level: Ttl,
}

impl Chunks {
    /// Splits `pages` granules from `first`.
    ///
    /// # Errors
    /// The address does not fit the field, which has 37 bits above the granule and repeats the highest; no pages, or
    /// more than [`RANGE_PAGES_MAX`]. (Exactly as many is the case that Linux commit e3ba51ab24fd mends.)
    pub const fn new(
        first: VirtAddr,
        pages: u64,
        granule: Granule,
        asid: Asid,
        level: Ttl,
    ) -> Result<Self, EncodeError> {
        // Bits 63 to 56 may be a tag, which TLBI does not look at.
        let shift = granule.shift();
        let unused = 64 - 37 - shift;
        let plain = ((first.0 << 8) as i64 >> 8) as u64;
        let fits = ((plain << unused) as i64 >> unused) as u64 == plain;
        if !fits || first.0 & ((1 << shift) - 1) != 0 {
            return Err(EncodeError::Address(first));
        }
        if pages == 0 || pages > RANGE_PAGES_MAX {
            return Err(EncodeError::Count(pages));
        }
        // INVARIANT: just looked at.
        Ok(Self { address: first.0, pages, granule, asid, level })
    }
}

impl Iterator for Chunks {
    type Item = Chunk;

    #[inline]
    fn next(&mut self) -> Option<Chunk> {
        let first = self.address;
        match self.pages {
            0 => return None,
            1 => {
                self.pages = 0;
                return Some(Chunk::Page(VirtAddr(first)));
            }
            _ => {}
        }
        // The largest scale of which one unit fits; by the invariant at most 32 units of it do.
        let scale = (self.pages.ilog2() as u64 - 1) / 5;
        let scale = if scale > 3 { 3 } else { scale };
        let unit = 5 * scale + 1;
        let units = self.pages >> unit;
        let covered = units << unit;
        self.pages -= covered;
        self.address = first.wrapping_add(covered << self.granule.shift());
        let base = first >> self.granule.shift() & ((1 << 37) - 1);
        let operand = (self.asid.0 as u64) << TAG_SHIFT
            | self.granule.code() << 46
            | scale << 44
            | (units - 1) << 39
            | (self.level.0 & 0b11) << 37
            | base;
        Some(Chunk::Range(operand))
    }
}

/// Interrupt mask, a bit of DAIF (Arm C5.2).
pub const DAIF_I: u64 = 1 << 7;

#[cfg(test)]
mod tests;
