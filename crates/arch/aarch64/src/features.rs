//! TLB features of a CPU, decoded from its identification registers.

use crate::encode::{Granule, Width};
use crate::id_registers::IdRegisters;
use shootdown::flush::VirtAddr;

/// TLB features of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// ASIDs.
    pub asid: Width,
    /// VMIDs.
    pub vmid: Width,
    /// FEAT_TLBIRANGE.
    pub ranges: bool,
    /// FEAT_TTL.
    pub level_hints: bool,
}

impl Features {
    /// Decodes the registers (Arm D19.2). If CPUs differ, combine them to what all of them have.
    pub const fn decode(registers: &IdRegisters) -> Self {
        Self {
            asid: width(registers.mmfr0 >> 4 & 0xf),
            vmid: width(registers.mmfr1 >> 4 & 0xf),
            ranges: registers.isar0 >> 56 & 0xf >= 0b0010,
            level_hints: registers.mmfr2 >> 48 & 0xf >= 0b0001,
        }
    }

    /// Reads the features of the calling CPU.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. it runs at EL1 or above.
    #[cfg(target_arch = "aarch64")]
    #[expect(unsafe_code, reason = "reads registers that user code cannot")]
    pub unsafe fn of_this_cpu() -> Self {
        // SAFETY: 1. the caller's.
        Self::decode(&unsafe { crate::exec::read_id_registers() })
    }
}

const fn width(field: u64) -> Width {
    if field == 0b0010 { Width::Bits16 } else { Width::Bits8 }
}

/// How TCR_EL1 sets translation up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Granule of TTBR0_EL1, for addresses with bit 55 clear (TCR_EL1.TG0).
    pub granule: Granule,
    /// Granule of TTBR1_EL1, for addresses with bit 55 set (TCR_EL1.TG1).
    pub upper_granule: Granule,
    /// ASIDs that are used (TCR_EL1.AS).
    pub asid: Width,
    /// Which register holds the current ASID (TCR_EL1.A1).
    pub asid_in: AsidIn,
    /// Whether addresses of 52 bits are in use with small granules (TCR_EL1.DS), which moves the base of ranges.
    pub wide: bool,
}

/// Which register holds the current ASID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsidIn {
    /// TTBR0_EL1, with the root: a switch is one write.
    Ttbr0,
    /// TTBR1_EL1, with the kernel's root: a switch takes two writes, and an empty root in between.
    Ttbr1,
}

impl Translation {
    /// Decodes TCR_EL1 (Arm D19.2). TG0 and TG1 encode the granule differently. A reserved value is taken for 4 KiB,
    /// which is right where nothing is translated by that register; otherwise its meaning is implementation defined.
    pub const fn decode(tcr: u64) -> Self {
        let granule = match tcr >> 14 & 0b11 {
            0b01 => Granule::Size64K,
            0b10 => Granule::Size16K,
            _ => Granule::Size4K,
        };
        let upper_granule = match tcr >> 30 & 0b11 {
            0b01 => Granule::Size16K,
            0b11 => Granule::Size64K,
            _ => Granule::Size4K,
        };
        Self {
            granule,
            upper_granule,
            asid: if tcr >> 36 & 1 == 1 { Width::Bits16 } else { Width::Bits8 },
            asid_in: if tcr >> 22 & 1 == 1 { AsidIn::Ttbr1 } else { AsidIn::Ttbr0 },
            wide: tcr >> 59 & 1 == 1,
        }
    }

    /// The granule of the tables that translate `address`: bit 55 chooses the register (Arm D8.2). A TLBI of a range
    /// that names another granule need not drop anything (Arm C5.5, TLBI RVAE1).
    #[inline]
    pub const fn granule_of(&self, address: VirtAddr) -> Granule {
        if address.0 >> 55 & 1 == 0 { self.granule } else { self.upper_granule }
    }

    /// Reads TCR_EL1 of the calling CPU.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. it runs at EL1 or above.
    #[cfg(target_arch = "aarch64")]
    #[expect(unsafe_code, reason = "reads a register that user code cannot")]
    pub unsafe fn of_this_cpu() -> Self {
        // SAFETY: 1. the caller's.
        Self::decode(unsafe { crate::exec::read_tcr() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_fields_of_the_identification_registers() {
        let none = Features::decode(&IdRegisters::default());
        let least = Features { asid: Width::Bits8, vmid: Width::Bits8, ranges: false, level_hints: false };
        assert_eq!(none, least);
        let registers = IdRegisters { isar0: 2 << 56, mmfr0: 2 << 4, mmfr1: 2 << 4, mmfr2: 1 << 48 };
        let all = Features { asid: Width::Bits16, vmid: Width::Bits16, ranges: true, level_hints: true };
        assert_eq!(Features::decode(&registers), all);
        let outer_shareable = IdRegisters { isar0: 1 << 56, ..IdRegisters::default() };
        assert!(!Features::decode(&outer_shareable).ranges);
    }

    #[test]
    fn translation_is_decoded_from_tcr() {
        let plain = Translation {
            granule: Granule::Size4K,
            upper_granule: Granule::Size4K,
            asid: Width::Bits8,
            asid_in: AsidIn::Ttbr0,
            wide: false,
        };
        assert_eq!(Translation::decode(0), plain);
        let other = Translation {
            granule: Granule::Size16K,
            upper_granule: Granule::Size64K,
            asid: Width::Bits16,
            asid_in: AsidIn::Ttbr1,
            wide: true,
        };
        assert_eq!(Translation::decode(0b10 << 14 | 0b11 << 30 | 1 << 36 | 1 << 22 | 1 << 59), other);
    }

    #[test]
    fn the_two_granules_are_encoded_differently() {
        let decoded = |tcr| (Translation::decode(tcr).granule, Translation::decode(tcr).upper_granule);
        // The two fields' encodings as the manual lists them (Arm D19.2, TCR_EL1, TG0 and TG1).
        let lower = [(0b00, Granule::Size4K), (0b01, Granule::Size64K), (0b10, Granule::Size16K)];
        let upper = [(0b10, Granule::Size4K), (0b01, Granule::Size16K), (0b11, Granule::Size64K)];
        for (tg0, granule) in lower {
            for (tg1, upper_granule) in upper {
                assert_eq!(decoded(tg0 << 14 | tg1 << 30), (granule, upper_granule), "{tg0:#b} {tg1:#b}");
            }
        }
    }

    #[test]
    fn bit_55_of_an_address_chooses_the_granule() {
        let translation = Translation::decode(0b01 << 14 | 0b10 << 30);
        assert_eq!(translation.granule_of(VirtAddr(0x0000_7fff_ffff_f000)), Granule::Size64K);
        assert_eq!(translation.granule_of(VirtAddr(0xffff_8000_0000_0000)), Granule::Size4K);
        // A tag in the top byte does not count.
        assert_eq!(translation.granule_of(VirtAddr(0xff00_7fff_ffff_f000)), Granule::Size64K);
        assert_eq!(translation.granule_of(VirtAddr(0x00ff_8000_0000_0000)), Granule::Size4K);
    }
}
