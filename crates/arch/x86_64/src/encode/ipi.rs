//! IPIs to sets of CPUs.

use shootdown::mask::CpuSet;

/// APICs of a cluster: their x2APIC IDs differ in the lowest four bits.
const CLUSTER: u32 = 16;
/// Destination mode of the interrupt command.
const LOGICAL: u64 = 1 << 11;

/// Values for the interrupt command register of the x2APIC (MSR 0x830), one for each cluster that has members, at most
/// four: a fixed interrupt with this vector to CPUs whose numbers are their x2APIC IDs, below 2^20 (SDM volume 3,
/// Interrupt Command Register in x2APIC Mode, and Deriving Logical x2APIC ID from the Local x2APIC ID).
///
/// The write to the MSR does not wait for earlier stores: `mfence; lfence` comes before it (SDM volume 3, MSR Access in
/// x2APIC Mode).
pub fn x2apic_ipis(cpus: CpuSet, vector: u8) -> impl Iterator<Item = u64> {
    (0..64 / CLUSTER).filter_map(move |nth| {
        let members = cpus.bits() >> (nth * CLUSTER) & 0xffff;
        let cluster = u64::from((cpus.first().number() / CLUSTER + nth) & 0xffff);
        (members != 0).then_some(cluster << 48 | members << 32 | LOGICAL | u64::from(vector))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::x2apic_ipis;
    use shootdown::CpuId;
    use shootdown::mask::CpuSet;

    #[test]
    fn a_cpu_is_a_bit_of_its_cluster() {
        let of = |number| x2apic_ipis(CpuSet::of(CpuId::new(number)), 0xf3).collect::<std::vec::Vec<_>>();
        assert_eq!(of(0), [0x0000_0001_0000_08f3]);
        assert_eq!(of(0x25), [0x0002_0020_0000_08f3]);
        assert_eq!(of(0x1_0043), [0x1004_0008_0000_08f3]);
    }
}
