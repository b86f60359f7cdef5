//! Operands of the instructions.

use core::fmt;
use shootdown::flush::VirtAddr;

/// A context number: 13 bits (US 6.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context(u16);

impl Context {
    /// The kernel's.
    pub const KERNEL: Context = Context(0);
    /// The number under which spaces without one of their own are loaded: the highest. It is flushed at each load.
    pub const SHARED: Context = Context(0x1fff);

    /// Wraps the number of a space.
    ///
    /// # Errors
    /// It is 0, which is the kernel's, or has more than 13 bits.
    pub const fn new(number: u16) -> Result<Self, EncodeError> {
        if number == 0 || number > 0x1fff { Err(EncodeError::Context(number)) } else { Ok(Self(number)) }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Why an operand was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Not the context of a space.
    Context(u16),
    /// Not the address of a TSB, or of descriptions of TSBs.
    Root(u64),
    /// More than the register or the hypervisor takes.
    Size(u64),
    /// No such CPU can be sent a mondo.
    Target(u32),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(number) => write!(f, "{number:#x} is no context of a space: they are 1 to 0x1fff"),
            Self::Root(address) => {
                write!(f, "{address:#x} is not aligned as a TSB or its description must be")
            }
            Self::Size(size) => write!(f, "{size} is too large for a TSB, or too many descriptions"),
            Self::Target(number) => write!(f, "{number:#x} is no CPU that a mondo can be sent to"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Address-space identifiers, the third operand of loads and stores to alternate spaces (US 8.3; HV for sun4v).
pub mod asi {
    /// MMU registers of sun4v.
    pub const MMU: u8 = 0x21;
    /// State of the mondo that was sent last.
    pub const INTR_DISPATCH_STAT: u8 = 0x48;
    /// Registers of the instruction MMU.
    pub const IMMU: u8 = 0x50;
    /// Entries of the instruction TLB.
    pub const ITLB_DATA_ACCESS: u8 = 0x55;
    /// Demaps of the instruction TLB.
    pub const IMMU_DEMAP: u8 = 0x57;
    /// Registers of the data MMU, and the context registers of both.
    pub const DMMU: u8 = 0x58;
    /// Entries of the data TLB.
    pub const DTLB_DATA_ACCESS: u8 = 0x5d;
    /// Demaps of the data TLB.
    pub const DMMU_DEMAP: u8 = 0x5f;
    /// Mondos.
    pub const INTR_W: u8 = 0x77;
}

/// Address of the primary context register (US table 6-10).
pub const PRIMARY_CONTEXT: u64 = 0x08;
/// Address of the secondary context register.
pub const SECONDARY_CONTEXT: u64 = 0x10;
/// Address of the TSB registers.
pub const TSB: u64 = 0x28;
/// Address of the tag access registers.
pub const TAG_ACCESS: u64 = 0x30;
/// Entries of each TLB of UltraSPARC I and II (US 6).
pub const TLB_ENTRIES: u64 = 64;
/// Lock, a bit of an entry: it stays (US 6.2).
pub const TTE_LOCK: u64 = 1 << 6;

/// Returns what a context register that holds `register` becomes for `context`. Page sizes in its upper bits stay
/// (US3).
pub const fn with_context(register: u64, context: Context) -> u64 {
    register & !0x1fff | context.0 as u64
}

/// Returns the context in a context register.
pub const fn context_of(register: u64) -> Context {
    Context((register & 0x1fff) as u16)
}

/// The context register that a demap reads (US table 6-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Primary.
    Primary = 0b00,
    /// Secondary.
    Secondary = 0b01,
    /// Nucleus: context 0.
    Nucleus = 0b10,
}

/// Builds the address for the demap of the 8 KiB page that holds `address` (US figure 6-15).
pub const fn demap_page(address: VirtAddr, context: Selector) -> u64 {
    address.0 & !0x1fff | (context as u64) << 4
}

/// Builds the address for the demap of a context.
pub const fn demap_context(context: Selector) -> u64 {
    0b01 << 6 | (context as u64) << 4
}

/// Builds the address for the demap of all that is not locked; UltraSPARC III and later (US3).
pub const fn demap_all() -> u64 {
    0b10 << 6
}

/// Returns the address of one TLB entry in the data access spaces (US figure 6-11).
pub const fn tlb_entry(number: u64) -> u64 {
    number << 3
}

/// What the miss handlers or the hypervisor fill TLBs of a space from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// sun4u: what the TSB registers hold.
    Register(u64),
    /// sun4v: real address of descriptions of TSBs, and how many.
    Descriptions(u64, u64),
}

impl Root {
    /// Computes the TSB registers: 512 << `size` entries at `base` (US 6.9, TSB registers).
    ///
    /// # Errors
    /// The base is not a multiple of 8192; a size above 7.
    pub const fn register(base: u64, size: u64) -> Result<Self, EncodeError> {
        if base & 0x1fff != 0 {
            Err(EncodeError::Root(base))
        } else if size > 7 {
            Err(EncodeError::Size(size))
        } else {
            Ok(Self::Register(base | size))
        }
    }

    /// Names descriptions for the hypervisor; none turns its TSBs off (HV, mmu_tsb_ctxnon0).
    ///
    /// # Errors
    /// The address is not a multiple of 8; more than 16 descriptions.
    pub const fn descriptions(address: u64, count: u64) -> Result<Self, EncodeError> {
        if address & 7 != 0 {
            Err(EncodeError::Root(address))
        } else if count > 16 {
            Err(EncodeError::Size(count))
        } else {
            Ok(Self::Descriptions(address, count))
        }
    }
}

/// Where the three words of a mondo go, in space [`asi::INTR_W`] (US 11, outgoing interrupts).
pub const MONDO_DATA: [u64; 3] = [0x40, 0x50, 0x60];

/// How CPUs tell mondos that are on their way from one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// UltraSPARC I and II: there is one.
    One,
    /// UltraSPARC III: 32, chosen by the sender.
    Chosen(u8),
    /// UltraSPARC IIIi: 32, by the target's number.
    ByTarget,
}

/// Builds the address of the store that sends a mondo to CPU `target`, its number on the bus.
///
/// # Errors
/// The number has more than 10 bits; a slot above 31.
pub const fn mondo(target: u32, slots: Slots) -> Result<u64, EncodeError> {
    if target > 0x3ff {
        return Err(EncodeError::Target(target));
    }
    let slot = match slots {
        Slots::Chosen(slot) if slot > 31 => return Err(EncodeError::Target(slot as u32)),
        Slots::Chosen(slot) => slot as u64,
        Slots::One | Slots::ByTarget => 0,
    };
    Ok(slot << 24 | (target as u64) << 14 | 0x70)
}

/// The result of sending a mondo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// It has arrived.
    Arrived,
    /// It is on its way.
    Busy,
    /// The target could not take it: send it again.
    EncodeError,
}

/// Decodes the dispatch status register for the mondo that was sent to `target` (US 11, dispatch status; US3: two bits
/// a slot).
pub const fn dispatch(status: u64, target: u32, slots: Slots) -> Dispatch {
    let slot = match slots {
        Slots::One => 0,
        Slots::Chosen(slot) => slot as u32 & 31,
        Slots::ByTarget => target & 31,
    };
    match status >> (2 * slot) & 0b11 {
        0b00 => Dispatch::Arrived,
        0b10 => Dispatch::EncodeError,
        _ => Dispatch::Busy,
    }
}

/// A fast trap to the hypervisor: function in %o5, arguments from %o0 (HV 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HvCall {
    /// The function.
    pub function: u64,
    /// Its arguments.
    pub arguments: [u64; 5],
}

impl HvCall {
    /// Both TLBs.
    const BOTH: u64 = 0b11;

    /// Builds mmu_demap_page. The first two arguments of the demaps are reserved.
    pub const fn demap_page(address: VirtAddr, context: Context) -> Self {
        Self { function: 0x22, arguments: [0, 0, address.0 & !0x1fff, context.0 as u64, Self::BOTH] }
    }

    /// Builds mmu_demap_ctx.
    pub const fn demap_context(context: Context) -> Self {
        Self { function: 0x23, arguments: [0, 0, context.0 as u64, Self::BOTH, 0] }
    }

    /// Builds mmu_demap_all: mappings that are not permanent.
    pub const fn demap_all() -> Self {
        Self { function: 0x24, arguments: [0, 0, Self::BOTH, 0, 0] }
    }

    /// Builds mmu_tsb_ctxnon0: the TSBs of contexts other than 0.
    pub const fn tsb(descriptions: u64, count: u64) -> Self {
        Self { function: 0x21, arguments: [count, descriptions, 0, 0, 0] }
    }

    /// Builds cpu_mondo_send: 64 bytes at real address `data` to the CPUs in a list of 16-bit numbers.
    pub const fn mondo(count: u64, list: u64, data: u64) -> Self {
        Self { function: 0x42, arguments: [count, list, data, 0, 0] }
    }
}

/// What the hypervisor writes over an entry of a CPU list when its mondo has arrived.
pub const MONDO_SENT: u16 = 0xffff;

/// Answer of the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// EWOULDBLOCK: not all done, ask again.
    WouldBlock,
    /// Not done, and asking again does not help.
    Failed(u64),
}

impl Status {
    /// Decodes %o0.
    pub const fn decode(status: u64) -> Self {
        match status {
            0 => Self::Done,
            9 => Self::WouldBlock,
            other => Self::Failed(other),
        }
    }
}

/// Interrupt enable, a bit of PSTATE (SPARC Architecture Manual 9, 5.2.1).
pub const PSTATE_IE: u64 = 1 << 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_have_13_bits_and_0_is_the_kernels() {
        assert_eq!(Context::new(0x1fff), Ok(Context::SHARED));
        assert_eq!(Context::new(5).map(Context::number), Ok(5));
        for number in [0, 0x2000, 0xffff] {
            assert_eq!(Context::new(number), Err(EncodeError::Context(number)));
        }
        let sizes = 0xe000_0000_0000_1234;
        assert_eq!(with_context(sizes, Context(5)), 0xe000_0000_0000_0005);
        assert_eq!(context_of(sizes), Context(0x1234));
    }

    #[test]
    fn demaps_are_addresses() {
        let address = VirtAddr(0x7000_5678);
        assert_eq!(demap_page(address, Selector::Primary), 0x7000_4000);
        assert_eq!(demap_page(address, Selector::Secondary), 0x7000_4010);
        assert_eq!(demap_page(address, Selector::Nucleus), 0x7000_4020);
        assert_eq!(demap_context(Selector::Primary), 0x40);
        assert_eq!(demap_context(Selector::Secondary), 0x50);
        assert_eq!((demap_all(), tlb_entry(63)), (0x80, 0x1f8));
    }

    #[test]
    fn roots_are_checked() {
        assert_eq!(Root::register(0x4000, 3), Ok(Root::Register(0x4003)));
        assert_eq!(Root::register(0x1000, 0), Err(EncodeError::Root(0x1000)));
        assert_eq!(Root::register(0, 8), Err(EncodeError::Size(8)));
        assert_eq!(Root::descriptions(0x1008, 2), Ok(Root::Descriptions(0x1008, 2)));
        assert_eq!(Root::descriptions(0x1004, 2), Err(EncodeError::Root(0x1004)));
        assert_eq!(Root::descriptions(0, 17), Err(EncodeError::Size(17)));
    }

    #[test]
    fn mondos_name_target_and_slot() {
        assert_eq!(mondo(3, Slots::One), Ok(0xc070));
        assert_eq!(mondo(3, Slots::ByTarget), Ok(0xc070));
        assert_eq!(mondo(0x3ff, Slots::Chosen(31)), Ok(0x1fff_c070));
        assert_eq!(mondo(0x400, Slots::One), Err(EncodeError::Target(0x400)));
        assert_eq!(mondo(0, Slots::Chosen(32)), Err(EncodeError::Target(32)));
    }

    #[test]
    fn dispatch_status_has_busy_and_nack_a_slot() {
        let table = [
            (0b00, 7, Slots::One, Dispatch::Arrived),
            (0b01, 7, Slots::One, Dispatch::Busy),
            (0b10, 7, Slots::One, Dispatch::EncodeError),
            (0b01 << 62, 0, Slots::Chosen(31), Dispatch::Busy),
            (0b10 << 14, 7, Slots::ByTarget, Dispatch::EncodeError),
            (0b10 << 14, 6, Slots::ByTarget, Dispatch::Arrived),
        ];
        for (status, target, slots, found) in table {
            assert_eq!(dispatch(status, target, slots), found, "{status:#x}");
        }
    }

    #[test]
    fn hypervisor_calls_have_function_and_arguments() {
        let page = HvCall::demap_page(VirtAddr(0x5678), Context(7));
        assert_eq!(page, HvCall { function: 0x22, arguments: [0, 0, 0x4000, 7, 3] });
        assert_eq!(HvCall::demap_context(Context(7)), HvCall { function: 0x23, arguments: [0, 0, 7, 3, 0] });
        assert_eq!(HvCall::demap_all(), HvCall { function: 0x24, arguments: [0, 0, 3, 0, 0] });
        assert_eq!(HvCall::tsb(0x1000, 2), HvCall { function: 0x21, arguments: [2, 0x1000, 0, 0, 0] });
        let mondo = HvCall::mondo(3, 0x2000, 0x4000);
        assert_eq!(mondo, HvCall { function: 0x42, arguments: [3, 0x2000, 0x4000, 0, 0] });
        let answers = [0, 9, 12].map(Status::decode);
        assert_eq!(answers, [Status::Done, Status::WouldBlock, Status::Failed(12)]);
    }

    #[test]
    fn refusals_say_what_would_do() {
        extern crate std;
        use std::string::ToString;
        let said = [
            (EncodeError::Context(0), "0x0 is no context of a space: they are 1 to 0x1fff"),
            (EncodeError::Root(4), "0x4 is not aligned as a TSB or its description must be"),
            (EncodeError::Size(8), "8 is too large for a TSB, or too many descriptions"),
            (EncodeError::Target(0x400), "0x400 is no CPU that a mondo can be sent to"),
        ];
        for (refused, text) in said {
            assert_eq!(refused.to_string(), text);
        }
    }
}
