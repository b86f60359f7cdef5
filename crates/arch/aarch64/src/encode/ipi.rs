//! IPIs to sets of CPUs.

use shootdown::mask::CpuSet;

/// CPUs that one target list names.
const LIST: u32 = 16;

/// Values for ICC_SGI1R_EL1 of a GICv3, one for each group of 16 CPUs that has members, at most four: interrupt
/// `intid`, below 16, to CPUs whose number is made of their affinities, four bits of Aff0 and eight each of Aff1 to
/// Aff3, as QEMU's `virt` machine has them (GIC architecture specification, ICC_SGI1R_EL1).
///
/// The write does not wait for earlier stores: `dsb ishst` comes before it, and `isb` after the last.
pub fn sgis(cpus: CpuSet, intid: u8) -> impl Iterator<Item = u64> {
    (0..64 / LIST).filter_map(move |nth| {
        let targets = cpus.bits() >> (nth * LIST) & 0xffff;
        let group = u64::from(cpus.first().number() / LIST + nth);
        let (aff1, aff2, aff3) = (group & 0xff, group >> 8 & 0xff, group >> 16 & 0xff);
        let intid = u64::from(intid & 0xf);
        (targets != 0).then_some(aff3 << 48 | aff2 << 32 | intid << 24 | aff1 << 16 | targets)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::sgis;
    use shootdown::CpuId;
    use shootdown::mask::CpuSet;

    #[test]
    fn a_cpu_is_a_bit_of_the_list_of_its_affinities() {
        let of = |number| sgis(CpuSet::of(CpuId::new(number)), 5).collect::<std::vec::Vec<_>>();
        assert_eq!(of(0), [0x0500_0001]);
        assert_eq!(of(0x25), [0x0502_0020]);
        assert_eq!(of(0x0ab_c123), [0x000a_00bc_0512_0008]);
    }
}
