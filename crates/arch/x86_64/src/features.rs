//! TLB features of a CPU, decoded from CPUID.

use crate::cpuid::Leaves;

/// TLB features of a CPU, without those that errata break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// CR4.PGE: global translations.
    pub global_pages: bool,
    /// CR4.PCIDE. Not listed where INVLPG spares global translations while PCIDs are on (Linux commit ce0b15d11ad8).
    pub pcid: bool,
    /// INVPCID.
    pub invpcid: bool,
    /// Pages that one INVLPGB takes; nothing where it is missing or announced by mistake (Linux commit a74bb5f202da).
    pub invlpgb: Option<u32>,
    /// SERIALIZE.
    pub serialize: bool,
    /// CR4.LA57 may be set.
    pub five_levels: bool,
}

const INTEL: [u32; 3] =
    [u32::from_le_bytes(*b"Genu"), u32::from_le_bytes(*b"ineI"), u32::from_le_bytes(*b"ntel")];
const AMD: [u32; 3] =
    [u32::from_le_bytes(*b"Auth"), u32::from_le_bytes(*b"enti"), u32::from_le_bytes(*b"cAMD")];

/// Models of Intel's family 6 on which INVLPG may leave global translations behind while CR4.PCIDE is set: Alder Lake,
/// Raptor Lake and Gracemont. Microcode mends some of them; which is not decoded here.
const INVLPG_SPARES_GLOBALS: [u32; 6] = [0x97, 0x9a, 0xb7, 0xba, 0xbe, 0xbf];

impl Features {
    /// Decodes CPUID (SDM volume 2A, CPUID; APM volume 3, appendix E).
    pub const fn decode(leaves: &Leaves) -> Self {
        let (family, model) = family_and_model(leaves.basic1.eax);
        let intel_erratum = same(&leaves.vendor, &INTEL) && family == 6 && listed(model);
        // Zen 2 says that it has INVLPGB and does not; family 17h has no CPU that does.
        let amd_erratum = same(&leaves.vendor, &AMD) && family == 0x17;
        let invlpgb = if leaves.extended8.ebx >> 3 & 1 == 1 && !amd_erratum {
            Some((leaves.extended8.edx & 0xffff) + 1)
        } else {
            None
        };
        Self {
            global_pages: leaves.basic1.edx >> 13 & 1 == 1,
            pcid: leaves.basic1.ecx >> 17 & 1 == 1 && !intel_erratum,
            invpcid: leaves.basic7.ebx >> 10 & 1 == 1,
            invlpgb,
            serialize: leaves.basic7.edx >> 14 & 1 == 1,
            five_levels: leaves.basic7.ecx >> 16 & 1 == 1,
        }
    }

    /// Reads the features of the calling CPU.
    #[cfg(target_arch = "x86_64")]
    pub fn of_this_cpu() -> Self {
        Self::decode(&crate::exec::read_leaves())
    }
}

/// Family and model with their extensions (SDM volume 2A, CPUID, figure 3-6).
const fn family_and_model(signature: u32) -> (u32, u32) {
    let base = signature >> 8 & 0xf;
    let family = if base == 0xf { base + (signature >> 20 & 0xff) } else { base };
    let low = signature >> 4 & 0xf;
    let model = if base == 6 || base == 0xf { (signature >> 16 & 0xf) << 4 | low } else { low };
    (family, model)
}

const fn same(a: &[u32; 3], b: &[u32; 3]) -> bool {
    a[0] == b[0] && a[1] == b[1] && a[2] == b[2]
}

const fn listed(model: u32) -> bool {
    let mut at = 0;
    while at < INVLPG_SPARES_GLOBALS.len() {
        if INVLPG_SPARES_GLOBALS[at] == model {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpuid::Leaf;

    fn leaves(vendor: [u32; 3], signature: u32) -> Leaves {
        Leaves {
            vendor,
            basic1: Leaf { eax: signature, ecx: 1 << 17, edx: 1 << 13, ..Leaf::default() },
            basic7: Leaf { ebx: 1 << 10, ecx: 1 << 16, edx: 1 << 14, ..Leaf::default() },
            extended8: Leaf { ebx: 1 << 3, edx: 7, ..Leaf::default() },
            extended_a: Leaf::default(),
        }
    }

    #[test]
    fn a_cpu_without_any_feature_has_none() {
        let none = Features {
            global_pages: false,
            pcid: false,
            invpcid: false,
            invlpgb: None,
            serialize: false,
            five_levels: false,
        };
        assert_eq!(Features::decode(&Leaves::default()), none);
    }

    #[test]
    fn every_bit_is_found() {
        // Zen 4: family 19h, model 11h.
        let all = Features::decode(&leaves(AMD, 0x00a1_0f11));
        let expected = Features {
            global_pages: true,
            pcid: true,
            invpcid: true,
            invlpgb: Some(8),
            serialize: true,
            five_levels: true,
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn features_that_errata_break_are_not_listed() {
        // Signatures: Zen 2 (Rome), Alder Lake, Raptor Lake P, Gracemont, Sapphire Rapids.
        let table = [
            (AMD, 0x0083_0f10, true, None),
            (INTEL, 0x0009_0672, false, Some(8)),
            (INTEL, 0x000b_06a2, false, Some(8)),
            (INTEL, 0x000b_06e0, false, Some(8)),
            (INTEL, 0x0008_06f8, true, Some(8)),
            (AMD, 0x0009_0672, true, Some(8)),
        ];
        for (vendor, signature, pcid, invlpgb) in table {
            let features = Features::decode(&leaves(vendor, signature));
            assert_eq!((features.pcid, features.invlpgb), (pcid, invlpgb), "{signature:#x}");
        }
    }

    #[test]
    fn family_and_model_have_extensions() {
        assert_eq!(family_and_model(0x0083_0f10), (0x17, 0x31));
        assert_eq!(family_and_model(0x0009_0672), (6, 0x97));
        assert_eq!(family_and_model(0x0000_0543), (5, 4));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_cpu_that_runs_the_test_has_global_pages() {
        assert!(Features::of_this_cpu().global_pages);
    }
}
