//! Operands of the instructions.

use core::fmt;
use shootdown::flush::{PageSize, VirtAddr};

/// An address-space identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Asid(u16);

impl Asid {
    /// The ASID under which roots without a tag of their own are loaded, and all roots on a machine without ASIDs. It
    /// is flushed at each load.
    pub const SHARED: Asid = Asid(0);

    /// Wraps a number that has at most `bits` bits, which is what [`asid_bits`] found.
    ///
    /// # Errors
    /// It has more, or more than the 10 that INVTLB takes.
    pub const fn new(number: u16, bits: u32) -> Result<Self, EncodeError> {
        let bits = if bits > ASID_BITS { ASID_BITS } else { bits };
        if (number as u32) >> bits == 0 { Ok(Self(number)) } else { Err(EncodeError::Asid(number)) }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Bits of the ASID field of CSR.ASID, and of INVTLB's operand (LA, ASID and INVTLB).
const ASID_BITS: u32 = 10;

/// Returns how many bits ASIDs have: ASIDBITS, bits 23 to 16 of CSR.ASID.
pub const fn asid_bits(csr: u64) -> u32 {
    (csr >> 16 & 0xff) as u32
}

/// Physical address of a top-level page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(u64);

impl Root {
    /// Wraps an address.
    ///
    /// # Errors
    /// It is not a multiple of 4096, or has more than 60 bits.
    pub const fn new(address: u64) -> Result<Self, EncodeError> {
        if address & 0xfff == 0 && address >> 60 == 0 {
            Ok(Self(address))
        } else {
            Err(EncodeError::Root(address))
        }
    }

    /// The address, which CSR.PGDL holds as it is.
    pub const fn address(self) -> u64 {
        self.0
    }
}

/// Why an operand was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// More bits than this machine's ASIDs have.
    Asid(u16),
    /// Not the address of a page table.
    Root(u64),
    /// Not the number of a core.
    Core(u32),
    /// Not the number of an IPI.
    Ipi(u32),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asid(number) => write!(f, "{number:#x} has more bits than this machine's ASIDs"),
            Self::Root(address) => {
                write!(f, "{address:#x} is no root: it must be a multiple of 0x1000 below 1 << 60")
            }
            Self::Core(number) => write!(f, "{number} is no core: IPIs reach 0 to 1023"),
            Self::Ipi(number) => write!(f, "{number} is no IPI: there are 0 to 31"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Size of the smallest pages: what CSR.STLBPS and the tables are set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasePage {
    /// 4 KiB.
    Size4K,
    /// 16 KiB, as Linux uses.
    Size16K,
    /// 64 KiB.
    Size64K,
}

impl BasePage {
    /// Base-2 logarithm of the size.
    pub const fn shift(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size16K => 14,
            Self::Size64K => 16,
        }
    }

    /// Returns how much of a page of `size` one INVTLB drops, as a base-2 logarithm. A TLB entry is a pair of pages
    /// (LA, TLB Entry): two of the smallest, or the halves of a large one. For other sizes it is unknown, and the
    /// smallest is assumed.
    pub const fn stride_shift(self, size: PageSize) -> u32 {
        match (self, size) {
            (Self::Size4K, PageSize::Size2M | PageSize::Size1G)
            | (Self::Size16K, PageSize::Size32M)
            | (Self::Size64K, PageSize::Size512M) => size.shift(),
            _ => self.shift() + 1,
        }
    }
}

/// How many bits of virtual addresses take part in translation: VALEN, from CPUCFG word 1, bits 19 to 12.
pub const fn virtual_bits(cpucfg1: u32) -> u32 {
    (cpucfg1 >> 12 & 0xff) + 1
}

/// Whether the core has a page-table walker: HPTW, bit 24 of CPUCFG word 2.
pub const fn has_walker(cpucfg2: u32) -> bool {
    cpucfg2 >> 24 & 1 == 1
}

/// Whether the bits that take no part in translation are copies of the highest that does.
pub const fn is_valid(address: VirtAddr, bits: u32) -> bool {
    let unused = 64 - bits;
    ((address.0 << unused) as i64 >> unused) as u64 == address.0
}

/// Interrupt enable, a bit of CSR.CRMD.
pub const CRMD_IE: u64 = 1 << 2;
/// The line of IPIs in CSR.ECFG, which enables it, and CSR.ESTAT.
pub const ECFG_IPI: u64 = 1 << 12;

/// IOCSR registers of a core's IPIs (3A, "Accessing by Configuration Register Instructions").
pub mod iocsr {
    /// The pending IPIs, one bit each.
    pub const IPI_STATUS: u32 = 0x1000;
    /// The enabled IPIs, one bit each.
    pub const IPI_ENABLE: u32 = 0x1004;
    /// Takes bits out of the status.
    pub const IPI_CLEAR: u32 = 0x100c;
    /// Sends an IPI to a core.
    pub const IPI_SEND: u32 = 0x1040;
}

/// Builds what is written to [`iocsr::IPI_SEND`]: IPI from bit 0, core from bit 16, and bit 31, which waits until the
/// IPI has come into effect.
///
/// # Errors
/// There is no such core or IPI.
pub const fn ipi_send(core: u32, ipi: u32) -> Result<u32, EncodeError> {
    if core >= 1 << 10 {
        Err(EncodeError::Core(core))
    } else if ipi >= 32 {
        Err(EncodeError::Ipi(ipi))
    } else {
        Ok(1 << 31 | core << 16 | ipi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_fit_are_refused_with_their_value() {
        extern crate std;
        use std::string::ToString;
        assert_eq!(Asid::new(0x3ff, 10).map(Asid::number), Ok(0x3ff));
        assert_eq!(Asid::new(0x400, 16), Err(EncodeError::Asid(0x400)), "INVTLB takes 10 bits");
        assert_eq!(Asid::new(0x100, 8), Err(EncodeError::Asid(0x100)));
        assert_eq!(Asid::new(0, 0), Ok(Asid::SHARED));
        assert_eq!(Root::new(0x9000_0000_1000 & !0xfff).map(Root::address), Ok(0x9000_0000_1000));
        for address in [0x800, 1 << 60, u64::MAX] {
            assert_eq!(Root::new(address), Err(EncodeError::Root(address)));
        }
        assert_eq!(EncodeError::Asid(0x400).to_string(), "0x400 has more bits than this machine's ASIDs");
        assert_eq!(
            EncodeError::Root(0x10).to_string(),
            "0x10 is no root: it must be a multiple of 0x1000 below 1 << 60"
        );
        assert_eq!(EncodeError::Core(1024).to_string(), "1024 is no core: IPIs reach 0 to 1023");
        assert_eq!(EncodeError::Ipi(32).to_string(), "32 is no IPI: there are 0 to 31");
    }

    #[test]
    fn features_are_fields_of_csr_asid_and_of_cpucfg() {
        assert_eq!(asid_bits(0x000a_0123), 10);
        assert_eq!(asid_bits(0), 0);
        // As QEMU's LA464 answers: PALEN and VALEN of 48 bits.
        assert_eq!(virtual_bits(0x03f2_f2fe), 48);
        assert!(has_walker(1 << 24) && !has_walker(!(1 << 24)));
    }

    #[test]
    fn valid_addresses_repeat_their_highest_bit() {
        for (address, of_48, of_40) in [
            (0x7f_ffff_ffff, true, true),
            (0x80_0000_0000, true, false),
            (0x8000_0000_0000, false, false),
            (0xffff_8000_0000_0000, true, false),
            (0xffff_ff80_0000_0000, true, true),
        ] {
            let said = [48, 40].map(|bits| is_valid(VirtAddr(address), bits));
            assert_eq!(said, [of_48, of_40], "{address:#x}");
        }
    }

    #[test]
    fn one_invtlb_drops_a_pair_or_a_large_page() {
        let table = [
            (BasePage::Size4K, PageSize::Size4K, 13),
            (BasePage::Size4K, PageSize::Size2M, 21),
            (BasePage::Size4K, PageSize::Size64K, 13),
            (BasePage::Size16K, PageSize::Size16K, 15),
            (BasePage::Size16K, PageSize::Size2M, 15),
            (BasePage::Size16K, PageSize::Size32M, 25),
            (BasePage::Size64K, PageSize::Size64K, 17),
            (BasePage::Size64K, PageSize::Size512M, 29),
        ];
        for (base, size, shift) in table {
            assert_eq!(base.stride_shift(size), shift, "{base:?}, {size:?}");
        }
    }

    #[test]
    fn an_ipi_names_its_number_and_its_core() {
        assert_eq!(ipi_send(0, 0), Ok(0x8000_0000));
        assert_eq!(ipi_send(0x3ff, 31), Ok(0x83ff_001f));
        assert_eq!(ipi_send(1024, 0), Err(EncodeError::Core(1024)));
        assert_eq!(ipi_send(0, 32), Err(EncodeError::Ipi(32)));
        assert_eq!((CRMD_IE, ECFG_IPI), (4, 0x1000));
        let registers = [iocsr::IPI_STATUS, iocsr::IPI_ENABLE, iocsr::IPI_CLEAR, iocsr::IPI_SEND];
        assert_eq!(registers, [0x1000, 0x1004, 0x100c, 0x1040]);
    }
}
