//! Operands for the guests of a hypervisor: EPT and VPIDs of Intel, nested paging and ASIDs of AMD.

use super::{EncodeError, LinearWidth, Root};
use shootdown::flush::VirtAddr;

/// How many levels of tables EPT has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum EptLevels {
    /// Four, guest physical addresses of 48 bits.
    Four = 4,
    /// Five, guest physical addresses of 57 bits.
    Five = 5,
}

/// A pointer to EPT tables (SDM volume 3C, "Extended-Page-Table Pointer"). Bits 51 to 12, the root, tell guests apart
/// in TLBs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Eptp(u64);

impl Eptp {
    const WRITE_BACK: u64 = 6;
    const ACCESSED_AND_DIRTY: u64 = 1 << 6;

    /// Builds the pointer: tables are write-back memory, and have no accessed and dirty flags.
    pub const fn new(root: Root, levels: EptLevels) -> Self {
        Self(root.address() | (levels as u64 - 1) << 3 | Self::WRITE_BACK)
    }

    /// Has the CPU set accessed and dirty flags.
    pub const fn with_accessed_and_dirty(self) -> Self {
        Self(self.0 | Self::ACCESSED_AND_DIRTY)
    }

    /// The value, for [`VMCS_EPT_POINTER`].
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// Encoding of the VMCS field for the EPT pointer (SDM volume 3D, appendix B).
pub const VMCS_EPT_POINTER: u32 = 0x201a;
/// Encoding of the VMCS field for the VPID.
pub const VMCS_VPID: u32 = 0x0000;

/// A virtual-processor identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vpid(u16);

impl Vpid {
    /// The ASID under which guests without a tag of their own run. It is flushed at each load.
    pub const SHARED: Vpid = Vpid(u16::MAX);

    /// Wraps a number.
    ///
    /// # Errors
    /// It is 0, which is the host's: VM entry and three types of INVVPID refuse it.
    pub const fn new(number: u16) -> Result<Self, EncodeError> {
        if number == 0 { Err(EncodeError::Vpid(number)) } else { Ok(Self(number)) }
    }

    /// The number, for [`VMCS_VPID`].
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// The two types of INVEPT (SDM volume 3C, INVEPT). None takes an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum InveptType {
    /// One root, under all VPIDs.
    Single = 1,
    /// All roots.
    All = 2,
}

/// The memory operand of INVEPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct InveptDescriptor([u64; 2]);

impl InveptDescriptor {
    /// Builds the operand of [`InveptType::Single`].
    pub const fn single(eptp: Eptp) -> Self {
        Self([eptp.0, 0])
    }

    /// Builds the operand of [`InveptType::All`], which reads none of it.
    pub const fn all() -> Self {
        Self([0, 0])
    }

    /// The two words.
    pub const fn words(&self) -> [u64; 2] {
        self.0
    }
}

/// The four types of INVVPID (SDM volume 3C, INVVPID).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum InvvpidType {
    /// One address under one VPID, global translations included.
    Address = 0,
    /// One VPID.
    Single = 1,
    /// All VPIDs but 0.
    All = 2,
    /// One VPID, global translations excepted.
    SingleRetainingGlobals = 3,
}

/// The memory operand of INVVPID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct InvvpidDescriptor([u64; 2]);

impl InvvpidDescriptor {
    /// Builds the operand of [`InvvpidType::Address`].
    ///
    /// # Errors
    /// The address is not canonical: the instruction would fail.
    pub const fn address(vpid: Vpid, address: VirtAddr, width: LinearWidth) -> Result<Self, EncodeError> {
        if width.is_canonical(address) {
            Ok(Self([vpid.0 as u64, address.0]))
        } else {
            Err(EncodeError::Address(address))
        }
    }

    /// Builds the operand of [`InvvpidType::Single`] and [`InvvpidType::SingleRetainingGlobals`].
    pub const fn single(vpid: Vpid) -> Self {
        Self([vpid.0 as u64, 0])
    }

    /// Builds the operand of [`InvvpidType::All`], which reads none of it.
    pub const fn all() -> Self {
        Self([0, 0])
    }

    /// The two words.
    pub const fn words(&self) -> [u64; 2] {
        self.0
    }
}

/// The ASID of a guest (APM volume 2, 15.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct GuestAsid(u32);

impl GuestAsid {
    /// Wraps a number below `count`, which CPUID 8000_000A.EBX tells.
    ///
    /// # Errors
    /// It is 0, which is the host's, or not below `count`.
    pub const fn new(number: u32, count: u32) -> Result<Self, EncodeError> {
        if number == 0 || number >= count { Err(EncodeError::GuestAsid(number)) } else { Ok(Self(number)) }
    }

    /// The number, for [`VMCB_ASID`].
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What VMRUN drops before the guest runs: TLB_CONTROL of the VMCB (APM volume 2, 15.16.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TlbControl {
    /// Nothing.
    Nothing = 0,
    /// Everything: all ASIDs, the host's too.
    All = 1,
    /// Everything under the guest's ASID. Needs FlushByAsid.
    Guest = 3,
    /// Everything under the guest's ASID, global translations excepted. Needs FlushByAsid.
    GuestRetainingGlobals = 7,
}

/// Offset of the guest's ASID in the VMCB, 32 bits (APM volume 2, appendix B).
pub const VMCB_ASID: usize = 0x58;
/// Offset of TLB_CONTROL in the VMCB, 8 bits.
pub const VMCB_TLB_CONTROL: usize = 0x5c;
/// Offset of the root of the nested tables in the VMCB, 64 bits.
pub const VMCB_NESTED_CR3: usize = 0xb0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ept_pointers_hold_memory_type_levels_and_root() {
        let root = Root::new(0x1234_5000).expect("a root");
        assert_eq!(Eptp::new(root, EptLevels::Four).value(), 0x1234_501e);
        assert_eq!(Eptp::new(root, EptLevels::Five).value(), 0x1234_5026);
        assert_eq!(Eptp::new(root, EptLevels::Four).with_accessed_and_dirty().value(), 0x1234_505e);
        assert_eq!((VMCS_EPT_POINTER, VMCS_VPID), (0x201a, 0));
    }

    #[test]
    fn descriptors_hold_the_pointer_or_the_vpid_low_and_the_address_high() {
        let eptp = Eptp::new(Root::new(0x7000).expect("a root"), EptLevels::Four);
        assert_eq!(InveptDescriptor::single(eptp).words(), [0x701e, 0]);
        assert_eq!(InveptDescriptor::all().words(), [0, 0]);
        let vpid = Vpid::new(5).expect("a VPID");
        let one = InvvpidDescriptor::address(vpid, VirtAddr(0x7123), LinearWidth::Bits48);
        assert_eq!(one.map(|one| one.words()), Ok([5, 0x7123]));
        let bad = VirtAddr(1 << 47);
        let refused = InvvpidDescriptor::address(vpid, bad, LinearWidth::Bits48);
        assert_eq!(refused, Err(EncodeError::Address(bad)));
        assert_eq!(InvvpidDescriptor::single(vpid).words(), [5, 0]);
        assert_eq!(InvvpidDescriptor::all().words(), [0, 0]);
        assert_eq!((align_of::<InveptDescriptor>(), size_of::<InvvpidDescriptor>()), (16, 16));
        assert_eq!([InveptType::Single, InveptType::All].map(|kind| kind as u64), [1, 2]);
        use InvvpidType::{Address, All, Single, SingleRetainingGlobals};
        assert_eq!([Address, Single, All, SingleRetainingGlobals].map(|kind| kind as u64), [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_the_hosts_is_refused() {
        extern crate std;
        use std::string::ToString;
        assert_eq!(Vpid::new(0), Err(EncodeError::Vpid(0)));
        assert_eq!(Vpid::new(0xffff), Ok(Vpid::SHARED));
        assert_eq!(GuestAsid::new(15, 16).map(GuestAsid::number), Ok(15));
        assert_eq!(GuestAsid::new(0, 16), Err(EncodeError::GuestAsid(0)));
        assert_eq!(GuestAsid::new(16, 16), Err(EncodeError::GuestAsid(16)));
        assert_eq!(EncodeError::Vpid(0).to_string(), "0x0 is no guest's VPID: 0 is the host's");
        assert_eq!(
            EncodeError::GuestAsid(16).to_string(),
            "0x10 is no guest's ASID here: 0 is the host's, and CPUID 8000_000A.EBX is the end"
        );
    }

    #[test]
    fn the_vmcb_is_laid_out_as_the_manual_has_it() {
        use TlbControl::{All, Guest, GuestRetainingGlobals, Nothing};
        assert_eq!([Nothing, All, Guest, GuestRetainingGlobals].map(|control| control as u8), [0, 1, 3, 7]);
        assert_eq!((VMCB_ASID, VMCB_TLB_CONTROL, VMCB_NESTED_CR3), (0x58, 0x5c, 0xb0));
    }
}
