//! Operands of the instructions.

mod guest;

use core::fmt;
use shootdown::flush::VirtAddr;

pub use guest::{
    GuestMode, GuestRoot, VMID_FIELD, Vmid, hgatp, page_operand, remote_guest_fence, remote_guest_page_fence,
    vmid_bits, vmid_of,
};

/// How many levels of page tables there are: the mode field of satp (Priv, satp).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Mode {
    /// Three levels, addresses of 39 bits.
    Sv39 = 8,
    /// Four levels, addresses of 48 bits.
    Sv48 = 9,
    /// Five levels, addresses of 57 bits.
    Sv57 = 10,
}

impl Mode {
    /// Whether the bits that take no part in translation are copies of the highest that does.
    pub const fn is_valid(self, address: VirtAddr) -> bool {
        let unused = match self {
            Self::Sv39 => 64 - 39,
            Self::Sv48 => 64 - 48,
            Self::Sv57 => 64 - 57,
        };
        ((address.0 << unused) as i64 >> unused) as u64 == address.0
    }
}

/// An address-space identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asid(u16);

impl Asid {
    /// What roots without a tag of their own are loaded under, and all on a machine without ASIDs. It is flushed at
    /// each load.
    ///
    /// As an operand it is a register that holds 0, which names ASID 0 alone; the register `x0` itself names all.
    pub const SHARED: Asid = Asid(0);

    /// Wraps a number that has at most `bits` bits, which is what [`asid_bits`] found.
    ///
    /// # Errors
    /// It has more.
    pub const fn new(number: u16, bits: u32) -> Result<Self, EncodeError> {
        if (number as u32) >> bits == 0 { Ok(Self(number)) } else { Err(EncodeError::Asid(number)) }
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
    /// It is not a multiple of 4096, or has more than 56 bits.
    pub const fn new(address: u64) -> Result<Self, EncodeError> {
        if address & 0xfff == 0 && address >> 56 == 0 {
            Ok(Self(address))
        } else {
            Err(EncodeError::Root(address))
        }
    }

    /// The address.
    pub const fn address(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Root {
    type Error = EncodeError;

    /// Does what [`new`](Self::new) does.
    fn try_from(address: u64) -> Result<Self, EncodeError> {
        Self::new(address)
    }
}

impl From<Root> for u64 {
    /// Returns the [address](Root::address).
    fn from(root: Root) -> u64 {
        root.address()
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
    /// More bits than this machine's VMIDs have.
    Vmid(u16),
    /// Not the address of a guest's top-level page table.
    GuestRoot(u64),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asid(number) => write!(f, "{number:#x} has more bits than this machine's ASIDs"),
            Self::Root(address) => {
                write!(f, "{address:#x} is no root: it must be a multiple of 0x1000 below 1 << 56")
            }
            Self::Vmid(number) => write!(f, "{number:#x} has more bits than this machine's VMIDs"),
            Self::GuestRoot(address) => {
                write!(f, "{address:#x} is no root of a guest: it must be a multiple of 0x4000 below 1 << 56")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

const ASID_SHIFT: u32 = 44;
const ASID_MASK: u64 = 0xffff;

/// All bits of the ASID field of satp, which a probe writes to see which stay.
pub const ASID_FIELD: u64 = ASID_MASK << ASID_SHIFT;

/// Computes satp (Priv, satp): mode from bit 60, ASID from bit 44, page number of the root.
pub const fn satp(mode: Mode, asid: Asid, root: Root) -> u64 {
    (mode as u64) << 60 | (asid.0 as u64) << ASID_SHIFT | root.0 >> 12
}

/// Returns the ASID in a value read from satp.
pub const fn asid_of(satp: u64) -> Asid {
    Asid((satp >> ASID_SHIFT & ASID_MASK) as u16)
}

/// Returns how many bits ASIDs have, given what satp held after all ones were written to the field. The bits are the
/// lowest of the field (Priv, satp); a gap counts as the end.
pub const fn asid_bits(satp: u64) -> u32 {
    (asid_of(satp).0).trailing_ones()
}

/// A call of the supervisor's execution environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SbiCall {
    /// Extension, in a7.
    pub extension: u64,
    /// Function, in a6.
    pub function: u64,
    /// Arguments, in a0 to a4.
    pub arguments: [u64; 5],
}

/// The harts that a call reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harts {
    /// All, the caller included.
    All,
    /// Those whose bits are set in the mask, counted from the base.
    Mask {
        /// Bits.
        mask: u64,
        /// Hart of bit 0.
        base: u64,
    },
}

impl Harts {
    const fn mask_and_base(self) -> (u64, u64) {
        match self {
            Self::All => (0, ALL),
            Self::Mask { mask, base } => (mask, base),
        }
    }
}

/// The addresses that a remote fence covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All, and tables above the leaves.
    All,
    /// Leaf entries of these bytes.
    Bytes {
        /// First address.
        start: u64,
        /// How many.
        size: u64,
    },
}

/// Extension "RFNC" (SBI, chapter 8).
const RFENCE: u64 = 0x5246_4e43;
const REMOTE_FENCE_I: u64 = 0;
const REMOTE_SFENCE_VMA: u64 = 1;
const REMOTE_SFENCE_VMA_ASID: u64 = 2;
/// Base that stands for all harts, and size that stands for all addresses (SBI 3.1, 8.2).
const ALL: u64 = u64::MAX;

/// Builds the call that runs `sfence.vma` on `harts`: for `asid`, or for all and for global translations.
pub const fn remote_fence(harts: Harts, span: Span, asid: Option<Asid>) -> SbiCall {
    match asid {
        Some(asid) => rfence(REMOTE_SFENCE_VMA_ASID, harts, span, asid.0),
        None => rfence(REMOTE_SFENCE_VMA, harts, span, 0),
    }
}

/// Builds the call for `fence.i` on `harts`.
pub const fn remote_fence_i(harts: Harts) -> SbiCall {
    let (mask, base) = harts.mask_and_base();
    SbiCall { extension: RFENCE, function: REMOTE_FENCE_I, arguments: [mask, base, 0, 0, 0] }
}

/// Extension "sPI" (SBI, chapter 7).
const IPI: u64 = 0x73_5049;

/// Builds the call that interrupts `harts`: the software interrupt of supervisor mode becomes pending on each. It
/// reaches the harts of a [`CpuSet`](shootdown::mask::CpuSet) at once where CPUs have the harts' numbers.
pub const fn send_ipi(harts: Harts) -> SbiCall {
    let (mask, base) = harts.mask_and_base();
    SbiCall { extension: IPI, function: 0, arguments: [mask, base, 0, 0, 0] }
}

/// Builds a call of the extension; `tag` is an ASID or a VMID, or 0 where the function takes none.
const fn rfence(function: u64, harts: Harts, span: Span, tag: u16) -> SbiCall {
    let (mask, base) = harts.mask_and_base();
    let (start, size) = match span {
        Span::All => (0, ALL),
        // Start and size of 0 stand for all addresses; so would no bytes at all.
        Span::Bytes { start, size } => (start, size),
    };
    SbiCall { extension: RFENCE, function, arguments: [mask, base, start, size, tag as u64] }
}

/// Interrupt enable, a bit of sstatus (Priv, sstatus).
pub const SSTATUS_SIE: u64 = 1 << 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipi_names_harts_by_mask_and_base() {
        let call = send_ipi(Harts::Mask { mask: 0b1010, base: 64 });
        assert_eq!((call.extension, call.function, call.arguments), (0x73_5049, 0, [0b1010, 64, 0, 0, 0]));
        assert_eq!(send_ipi(Harts::All).arguments, [0, u64::MAX, 0, 0, 0]);
    }

    #[test]
    fn satp_is_mode_asid_and_page_number() {
        let root = Root::new(0x8020_1000).expect("a root");
        let asid = Asid::new(0x1234, 16).expect("an ASID");
        assert_eq!(satp(Mode::Sv39, asid, root), 0x8123_4000_0008_0201);
        assert_eq!(satp(Mode::Sv48, Asid::SHARED, root), 0x9000_0000_0008_0201);
        assert_eq!(satp(Mode::Sv57, Asid::SHARED, root), 0xa000_0000_0008_0201);
        assert_eq!(asid_of(0x8123_4000_0008_0201), asid);
        assert_eq!(root.address(), 0x8020_1000);
        let top = Root::new((1 << 56) - 0x1000).expect("a root");
        assert_eq!(satp(Mode::Sv39, Asid::SHARED, top), 0x8000_0fff_ffff_ffff);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused_with_their_value() {
        assert_eq!(Asid::new(0xffff, 16).map(Asid::number), Ok(0xffff));
        assert_eq!(Asid::new(0x200, 9), Err(EncodeError::Asid(0x200)));
        assert_eq!(Asid::new(1, 0), Err(EncodeError::Asid(1)));
        assert_eq!(Asid::new(0, 0), Ok(Asid::SHARED));
        for address in [0x800, 1 << 56, u64::MAX] {
            assert_eq!(Root::new(address), Err(EncodeError::Root(address)));
        }
    }

    #[test]
    fn the_width_of_asids_is_the_run_of_ones_that_stayed() {
        for (kept, bits) in [(0, 0), (0x1ff, 9), (0xffff, 16), (0x00f7, 3)] {
            assert_eq!(asid_bits(8 << 60 | kept << 44 | 0x8_0201), bits);
        }
        assert_eq!(ASID_FIELD, 0x0fff_f000_0000_0000);
    }

    #[test]
    fn valid_addresses_repeat_their_highest_bit() {
        let table = [
            (0x3f_ffff_ffff, [true, true, true]),
            (0x40_0000_0000, [false, true, true]),
            (0x8000_0000_0000, [false, false, true]),
            (0x0100_0000_0000_0000, [false, false, false]),
            (0xffff_ffc0_0000_0000, [true, true, true]),
            (0xffff_8000_0000_0000, [false, true, true]),
        ];
        for (address, valid) in table {
            let said = [Mode::Sv39, Mode::Sv48, Mode::Sv57].map(|mode| mode.is_valid(VirtAddr(address)));
            assert_eq!(said, valid, "{address:#x}");
        }
    }

    #[test]
    fn remote_fences_are_calls_of_the_rfence_extension() {
        use sbi_spec::rfnc;
        let everywhere = remote_fence(Harts::All, Span::All, None);
        assert_eq!(everywhere.extension, rfnc::EID_RFNC as u64);
        assert_eq!(everywhere.function, rfnc::REMOTE_SFENCE_VMA as u64);
        assert_eq!(everywhere.arguments, [0, u64::MAX, 0, u64::MAX, 0]);
        let span = Span::Bytes { start: 0x5000, size: 0x3000 };
        let some = remote_fence(Harts::Mask { mask: 0b101, base: 4 }, span, Asid::new(7, 9).ok());
        assert_eq!(some.function, rfnc::REMOTE_SFENCE_VMA_ASID as u64);
        assert_eq!(some.arguments, [0b101, 4, 0x5000, 0x3000, 7]);
        let code = remote_fence_i(Harts::All);
        assert_eq!((code.extension, code.function), (rfnc::EID_RFNC as u64, rfnc::REMOTE_FENCE_I as u64));
        assert_eq!(code.arguments, [0, u64::MAX, 0, 0, 0]);
        assert_eq!(SSTATUS_SIE, 2);
    }

    #[test]
    fn refusals_say_what_would_do() {
        extern crate std;
        use std::string::ToString;
        assert_eq!(EncodeError::Asid(0x200).to_string(), "0x200 has more bits than this machine's ASIDs");
        assert_eq!(
            EncodeError::Root(0x10).to_string(),
            "0x10 is no root: it must be a multiple of 0x1000 below 1 << 56"
        );
    }
}
