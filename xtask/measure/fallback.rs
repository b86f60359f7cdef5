//! Instructions that Capstone 5 does not know.

use object::Architecture;

/// Disassembles the first instruction of `code` if it is one of those, and returns how long it is.
pub fn first(architecture: Architecture, code: &[u8]) -> Option<(usize, String)> {
    match architecture {
        Architecture::X86_64 => x86(code).map(|text| (3, text.to_owned())),
        Architecture::Riscv64 => {
            riscv(u32::from_le_bytes(code.first_chunk().copied()?)).map(|text| (4, text))
        }
        Architecture::Sparc64 => {
            sparc(u32::from_be_bytes(code.first_chunk().copied()?)).map(|text| (4, text))
        }
        Architecture::LoongArch64 => {
            loongarch(u32::from_le_bytes(code.first_chunk().copied()?)).map(|text| (4, text))
        }
        _ => None,
    }
}

/// Broadcasts (APM volume 3, INVLPGB and TLBSYNC), and SERIALIZE (SDM volume 2B).
fn x86(code: &[u8]) -> Option<&'static str> {
    match code.first_chunk()? {
        [0x0f, 0x01, 0xfe] => Some("invlpgb rax, ecx, edx"),
        [0x0f, 0x01, 0xff] => Some("tlbsync"),
        [0x0f, 0x01, 0xe8] => Some("serialize"),
        _ => None,
    }
}

/// Svinval and fences for guests (Privileged Architecture, "Svinval", "HFENCE.VVMA" and "HFENCE.GVMA").
fn riscv(word: u32) -> Option<String> {
    let register = |at: u32| match word >> at & 0x1f {
        0 => "zero".to_owned(),
        number @ 10..=17 => format!("a{}", number - 10),
        other => format!("x{other}"),
    };
    if word & 0x7fff != 0x0073 {
        return None;
    }
    let name = match (word >> 25, word >> 20 & 0x1f) {
        (0x0c, 0) => return Some("sfence.w.inval".into()),
        (0x0c, 1) => return Some("sfence.inval.ir".into()),
        (0x0b, _) => "sinval.vma",
        (0x11, _) => "hfence.vvma",
        (0x13, _) => "hinval.vvma",
        (0x31, _) => "hfence.gvma",
        (0x33, _) => "hinval.gvma",
        _ => return None,
    };
    Some(format!("{name} {}, {}", register(15), register(20)))
}

/// Accesses to alternate spaces, privileged registers and FLUSH (SPARC Architecture Manual 9, A.20 to A.62).
fn sparc(word: u32) -> Option<String> {
    let register = |at: u32| {
        let number = word >> at & 0x1f;
        format!("%{}{}", ["g", "o", "l", "i"][number as usize / 8], number % 8)
    };
    let (op, op3, immediate) = (word >> 30, word >> 19 & 0x3f, word >> 13 & 1 == 1);
    let (rd, address) = (register(25), register(14));
    let space = if immediate { "%asi".to_owned() } else { format!("{:#x}", word >> 5 & 0xff) };
    let privileged = |number: u32| match number & 0x1f {
        6 => "%pstate".to_owned(),
        7 => "%tl".to_owned(),
        8 => "%pil".to_owned(),
        other => format!("%pr{other}"),
    };
    match (op, op3) {
        (2, 0x2a) => Some(format!("rdpr {}, {rd}", privileged(word >> 14))),
        (2, 0x32) => {
            Some(format!("wrpr {address}, {}, {}", offset(word, &register(0)), privileged(word >> 25)))
        }
        (2, 0x3b) => Some(format!("flush {address} + {}", offset(word, &register(0)))),
        (3, 0x1e) => Some(format!("stxa {rd}, [{address} + {}] {space}", offset(word, &register(0)))),
        (3, 0x1b) => Some(format!("ldxa [{address} + {}] {space}, {rd}", offset(word, &register(0)))),
        _ => None,
    }
}

/// What the sequences of LoongArch are made of (LoongArch Reference Manual, volume 1, appendix B).
fn loongarch(word: u32) -> Option<String> {
    let register = |at: u32| match word >> at & 0x1f {
        0 => "$zero".to_owned(),
        1 => "$ra".to_owned(),
        number @ 4..=11 => format!("$a{}", number - 4),
        number @ 12..=20 => format!("$t{}", number - 12),
        other => format!("$r{other}"),
    };
    let (rd, rj, rk) = (register(0), register(5), register(10));
    let csr = word >> 10 & 0x3fff;
    // Three registers, two, or an immediate of 12 bits: as many bits tell them apart.
    match (word >> 15, word >> 10, word >> 22) {
        (0x0c93, ..) => return Some(format!("invtlb {}, {rj}, {rk}", word & 0x1f)),
        (0x70e4, ..) => return Some(format!("dbar {}", word & 0x7fff)),
        (0x70e5, ..) => return Some(format!("ibar {}", word & 0x7fff)),
        (0x002a, ..) if word >> 10 & 0x1f == 0 => return Some(format!("move {rd}, {rj}")),
        (_, 0x1b, _) => return Some(format!("cpucfg {rd}, {rj}")),
        (_, 0x1_9202, _) => return Some(format!("iocsrrd.w {rd}, {rj}")),
        (_, 0x1_9206, _) => return Some(format!("iocsrwr.w {rd}, {rj}")),
        (.., 0x00e) => return Some(format!("ori {rd}, {rj}, {:#x}", word >> 10 & 0xfff)),
        (.., 0x00a) => return Some(format!("addi.w {rd}, {rj}, {:#x}", word >> 10 & 0xfff)),
        (.., 0x003) => {
            let (most, least) = (word >> 16 & 0x3f, word >> 10 & 0x3f);
            return Some(format!("bstrpick.d {rd}, {rj}, {most}, {least}"));
        }
        _ => {}
    }
    match (word >> 24, word >> 5 & 0x1f) {
        (0x04, 0) => Some(format!("csrrd {rd}, {csr:#x}")),
        (0x04, 1) => Some(format!("csrwr {rd}, {csr:#x}")),
        (0x04, _) => Some(format!("csrxchg {rd}, {rj}, {csr:#x}")),
        _ if word == 0x4c00_0020 => Some("ret".to_owned()),
        _ => None,
    }
}

fn offset(word: u32, register: &str) -> String {
    if word >> 13 & 1 == 1 { format!("{:#x}", word & 0x1fff) } else { register.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{loongarch, riscv, sparc, x86};

    #[test]
    fn broadcasts_and_serialize_are_named() {
        assert_eq!(x86(&[0x0f, 0x01, 0xe8]), Some("serialize"));
        assert_eq!(x86(&[0x0f, 0x01, 0xff, 0xc3]), Some("tlbsync"));
        assert_eq!(x86(&[0x0f, 0x01, 0x3f]), None);
        assert_eq!(x86(&[0x0f]), None);
    }

    #[test]
    fn svinval_and_fences_for_guests_are_named() {
        let table = [
            (0x1800_0073, "sfence.w.inval"),
            (0x1810_0073, "sfence.inval.ir"),
            (0x16b5_0073, "sinval.vma a0, a1"),
            (0x1605_0073, "sinval.vma a0, zero"),
            (0x1652_8073, "sinval.vma x5, x5"),
            (0x6200_0073, "hfence.gvma zero, zero"),
            (0x62b5_0073, "hfence.gvma a0, a1"),
            (0x22b5_0073, "hfence.vvma a0, a1"),
            (0x66b5_0073, "hinval.gvma a0, a1"),
            (0x26b5_0073, "hinval.vvma a0, a1"),
        ];
        for (word, text) in table {
            assert_eq!(riscv(word).as_deref(), Some(text));
        }
        // Capstone knows `sfence.vma`; the last is no system instruction.
        assert_eq!((riscv(0x12b5_0073), riscv(0x62b5_0033)), (None, None));
    }

    /// As LLVM's assembler encodes them.
    #[test]
    fn instructions_of_loongarch_are_named() {
        let table = [
            (0x0649_8000, "invtlb 0, $zero, $zero"),
            (0x0649_9485, "invtlb 5, $a0, $a1"),
            (0x3872_0000, "dbar 0"),
            (0x3872_8000, "ibar 0"),
            (0x0400_6004, "csrrd $a0, 0x18"),
            (0x0400_6424, "csrwr $a0, 0x19"),
            (0x0400_0085, "csrxchg $a1, $a0, 0x0"),
            (0x0000_6c84, "cpucfg $a0, $a0"),
            (0x0648_0884, "iocsrrd.w $a0, $a0"),
            (0x0648_1885, "iocsrwr.w $a1, $a0"),
            (0x0380_1004, "ori $a0, $zero, 0x4"),
            (0x0015_000c, "move $t0, $zero"),
            (0x0280_00a4, "addi.w $a0, $a1, 0x0"),
            (0x00df_0084, "bstrpick.d $a0, $a0, 31, 0"),
            (0x4c00_0020, "ret"),
        ];
        for (word, text) in table {
            assert_eq!(loongarch(word).as_deref(), Some(text), "{word:#x}");
        }
        // `add.d` and `jirl` to elsewhere are in no sequence.
        assert_eq!((loongarch(0x0010_8000), loongarch(0x4c00_0080)), (None, None));
    }

    #[test]
    fn accesses_to_alternate_spaces_are_named() {
        assert_eq!(sparc(0xc0f2_0be0).as_deref(), Some("stxa %g0, [%o0 + %g0] 0x5f"));
        assert_eq!(sparc(0xd0da_4b00).as_deref(), Some("ldxa [%o1 + %g0] 0x58, %o0"));
        assert_eq!(sparc(0xc0f2_2008).as_deref(), Some("stxa %g0, [%o0 + 0x8] %asi"));
        assert_eq!(sparc(0x81c3_e008), None);
    }

    #[test]
    fn privileged_registers_and_flush_are_named() {
        let table = [
            (0xb951_c000, "rdpr %tl, %i4"),
            (0x8f90_2001, "wrpr %g0, 0x1, %tl"),
            (0x8d96_6000, "wrpr %i1, 0x0, %pstate"),
            (0x9190_000f, "wrpr %g0, %o7, %pil"),
            (0x8b90_0000, "wrpr %g0, %g0, %pr5"),
            (0x81db_a7ff, "flush %o6 + 0x7ff"),
        ];
        for (word, text) in table {
            assert_eq!(sparc(word).as_deref(), Some(text));
        }
    }
}
