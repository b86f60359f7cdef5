//! Operands for the guests of a hypervisor: hgatp, and fences of both stages.

use super::{Asid, EncodeError, Harts, SbiCall, Span, rfence};
use shootdown::flush::VirtAddr;

/// How many levels of page tables the G-stage has: the mode field of hgatp (Priv, hgatp). Its root table is four pages,
/// so that guest physical addresses have two bits more than virtual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum GuestMode {
    /// Three levels, guest physical addresses of 41 bits.
    Sv39x4 = 8,
    /// Four levels, guest physical addresses of 50 bits.
    Sv48x4 = 9,
    /// Five levels, guest physical addresses of 59 bits.
    Sv57x4 = 10,
}

impl GuestMode {
    /// Whether a guest physical address has no bits but those that take part in translation.
    pub const fn is_valid(self, address: VirtAddr) -> bool {
        let bits = match self {
            Self::Sv39x4 => 41,
            Self::Sv48x4 => 50,
            Self::Sv57x4 => 59,
        };
        address.0 >> bits == 0
    }
}

/// A virtual-machine identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Vmid(u16);

impl Vmid {
    /// What guests without a tag of their own are loaded under, all on a machine without VMIDs, and none. It is flushed
    /// at each load.
    ///
    /// As an operand it is a register that holds 0, which names VMID 0 alone; the register `x0` itself names all.
    pub const SHARED: Vmid = Vmid(0);

    /// Wraps a number that has at most `bits` bits, which is what [`vmid_bits`] found.
    ///
    /// # Errors
    /// It has more, or more than the 14 that hgatp holds.
    pub const fn new(number: u16, bits: u32) -> Result<Self, EncodeError> {
        let bits = if bits > VMID_BITS { VMID_BITS } else { bits };
        if (number as u32) >> bits == 0 { Ok(Self(number)) } else { Err(EncodeError::Vmid(number)) }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Physical address of a guest's top-level page table, which is four pages long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRoot(u64);

impl GuestRoot {
    /// Wraps an address.
    ///
    /// # Errors
    /// It is not a multiple of 16 KiB, or has more than 56 bits.
    pub const fn new(address: u64) -> Result<Self, EncodeError> {
        if address & 0x3fff == 0 && address >> 56 == 0 {
            Ok(Self(address))
        } else {
            Err(EncodeError::GuestRoot(address))
        }
    }

    /// The address.
    pub const fn address(self) -> u64 {
        self.0
    }
}

const VMID_SHIFT: u32 = 44;
/// VMIDMAX of Sv39x4, Sv48x4 and Sv57x4.
const VMID_BITS: u32 = 14;
const VMID_MASK: u64 = (1 << VMID_BITS) - 1;

/// All bits of the VMID field of hgatp, which a probe writes to see which stay.
pub const VMID_FIELD: u64 = VMID_MASK << VMID_SHIFT;

/// Computes hgatp (Priv, hgatp): mode from bit 60, VMID from bit 44, page number of the root.
pub const fn hgatp(mode: GuestMode, vmid: Vmid, root: GuestRoot) -> u64 {
    (mode as u64) << 60 | (vmid.0 as u64) << VMID_SHIFT | root.0 >> 12
}

/// Returns the VMID in a value read from hgatp.
pub const fn vmid_of(hgatp: u64) -> Vmid {
    Vmid((hgatp >> VMID_SHIFT & VMID_MASK) as u16)
}

/// Returns how many bits VMIDs have, given what hgatp held after all ones were written to the field. The bits are the
/// lowest of the field (Priv, hgatp); a gap counts as the end.
pub const fn vmid_bits(hgatp: u64) -> u32 {
    vmid_of(hgatp).0.trailing_ones()
}

/// Returns the operand of `hfence.gvma` and `hinval.gvma` for a guest physical address: it is shifted by two bits
/// (Priv, HFENCE.GVMA).
pub const fn page_operand(page: VirtAddr) -> u64 {
    page.0 >> 2
}

/// Functions of the extension "RFNC" for guests (SBI, chapter 8).
const REMOTE_HFENCE_GVMA_VMID: u64 = 3;
const REMOTE_HFENCE_GVMA: u64 = 4;
const REMOTE_HFENCE_VVMA_ASID: u64 = 5;
const REMOTE_HFENCE_VVMA: u64 = 6;

/// Builds the call that runs `hfence.gvma` on `harts` after a change of G-stage tables: for `vmid`, or for all. The
/// span is in guest physical addresses, which are not shifted here.
pub const fn remote_guest_page_fence(harts: Harts, span: Span, vmid: Option<Vmid>) -> SbiCall {
    match vmid {
        Some(vmid) => rfence(REMOTE_HFENCE_GVMA_VMID, harts, span, vmid.0),
        None => rfence(REMOTE_HFENCE_GVMA, harts, span, 0),
    }
}

/// Builds the call that runs `hfence.vvma` on `harts` after a change of a guest's own tables: for `asid`, or for all
/// and for global translations. The guest is the one whose VMID hgatp of the *calling* hart holds (SBI, chapter 8).
pub const fn remote_guest_fence(harts: Harts, span: Span, asid: Option<Asid>) -> SbiCall {
    match asid {
        Some(asid) => rfence(REMOTE_HFENCE_VVMA_ASID, harts, span, asid.number()),
        None => rfence(REMOTE_HFENCE_VVMA, harts, span, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hgatp_is_mode_vmid_and_page_number() {
        let root = GuestRoot::new(0x8020_4000).expect("a root");
        let vmid = Vmid::new(0x1234, 14).expect("a VMID");
        assert_eq!(hgatp(GuestMode::Sv39x4, vmid, root), 0x8123_4000_0008_0204);
        assert_eq!(hgatp(GuestMode::Sv48x4, Vmid::SHARED, root), 0x9000_0000_0008_0204);
        assert_eq!(hgatp(GuestMode::Sv57x4, Vmid::SHARED, root), 0xa000_0000_0008_0204);
        assert_eq!(vmid_of(0x8123_4000_0008_0204), vmid);
        assert_eq!(root.address(), 0x8020_4000);
        let top = GuestRoot::new((1 << 56) - 0x4000).expect("a root");
        assert_eq!(hgatp(GuestMode::Sv39x4, Vmid::SHARED, top), 0x8000_0fff_ffff_fffc);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused_with_their_value() {
        extern crate std;
        use std::string::ToString;
        assert_eq!(Vmid::new(0x3fff, 14).map(Vmid::number), Ok(0x3fff));
        assert_eq!(Vmid::new(0x4000, 16), Err(EncodeError::Vmid(0x4000)), "the field has 14 bits");
        assert_eq!(Vmid::new(0x80, 7), Err(EncodeError::Vmid(0x80)));
        assert_eq!(Vmid::new(0, 0), Ok(Vmid::SHARED));
        for address in [0x1000, 0x2000, 1 << 56, u64::MAX] {
            assert_eq!(GuestRoot::new(address), Err(EncodeError::GuestRoot(address)));
        }
        assert_eq!(EncodeError::Vmid(0x80).to_string(), "0x80 has more bits than this machine's VMIDs");
        assert_eq!(
            EncodeError::GuestRoot(0x1000).to_string(),
            "0x1000 is no root of a guest: it must be a multiple of 0x4000 below 1 << 56"
        );
    }

    #[test]
    fn the_width_of_vmids_is_the_run_of_ones_that_stayed() {
        for (kept, bits) in [(0, 0), (0x7f, 7), (0x3fff, 14), (0x00f7, 3)] {
            assert_eq!(vmid_bits(8 << 60 | kept << 44 | 0x8_0204), bits);
        }
        // Two bits above the field are not VMIDs.
        assert_eq!(vmid_bits(0x8fff_f000_0000_0000), 14);
        assert_eq!(VMID_FIELD, 0x03ff_f000_0000_0000);
    }

    #[test]
    fn guest_physical_addresses_have_two_bits_more() {
        let modes = [GuestMode::Sv39x4, GuestMode::Sv48x4, GuestMode::Sv57x4];
        for (mode, bits) in modes.into_iter().zip([41, 50, 59]) {
            assert!(mode.is_valid(VirtAddr((1 << bits) - 1)), "{mode:?}");
            assert!(!mode.is_valid(VirtAddr(1 << bits)), "{mode:?}");
        }
        assert_eq!(page_operand(VirtAddr(0x8000_5000)), 0x2000_1400);
    }

    #[test]
    fn remote_fences_of_guests_are_calls_of_the_rfence_extension() {
        use sbi_spec::rfnc;
        let span = Span::Bytes { start: 0x8000_5000, size: 0x3000 };
        let harts = Harts::Mask { mask: 0b101, base: 4 };
        let (vmid, asid) = (Vmid::new(7, 14).ok(), Asid::new(9, 16).ok());
        let calls = [
            (remote_guest_page_fence(harts, span, vmid), rfnc::REMOTE_HFENCE_GVMA_VMID, 7),
            (remote_guest_page_fence(harts, span, None), rfnc::REMOTE_HFENCE_GVMA, 0),
            (remote_guest_fence(harts, span, asid), rfnc::REMOTE_HFENCE_VVMA_ASID, 9),
            (remote_guest_fence(harts, span, None), rfnc::REMOTE_HFENCE_VVMA, 0),
        ];
        for (call, function, tag) in calls {
            assert_eq!((call.extension, call.function), (rfnc::EID_RFNC as u64, function as u64));
            assert_eq!(call.arguments, [0b101, 4, 0x8000_5000, 0x3000, tag]);
        }
        let everywhere = remote_guest_page_fence(Harts::All, Span::All, None);
        assert_eq!(everywhere.arguments, [0, u64::MAX, 0, u64::MAX, 0]);
    }
}
