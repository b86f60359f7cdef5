//! Decoding against encodings made here, arithmetic against plain 128-bit numbers.

use super::*;
use proptest::prelude::*;

/// Encodes an instruction by the manual's formats; what `decode` reads must be what was written.
fn encode(inst: Inst) -> u32 {
    let register = |number: u8, low: u32| u32::from(number) << low;
    let i = |opcode: u32, funct3: u32, rd: u8, rs1: u8, imm: u64| {
        (imm as u32) << 20 | register(rs1, 15) | funct3 << 12 | register(rd, 7) | opcode
    };
    let r = |opcode: u32, funct7: u32, funct3: u32, rd: u8, rs1: u8, rs2: u8| {
        funct7 << 25 | register(rs2, 20) | register(rs1, 15) | funct3 << 12 | register(rd, 7) | opcode
    };
    let width = |size: Size| size.bytes().trailing_zeros();
    match inst {
        Inst::Lui { rd, imm } => imm as u32 & !0xfff | register(rd, 7) | 0x37,
        Inst::Auipc { rd, imm } => imm as u32 & !0xfff | register(rd, 7) | 0x17,
        Inst::Jal { rd, imm } => {
            let imm = imm as u32;
            let high = (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3ff) << 21;
            high | (imm >> 11 & 1) << 20 | (imm >> 12 & 0xff) << 12 | register(rd, 7) | 0x6f
        }
        Inst::Jalr { rd, rs1, imm } => i(0x67, 0, rd, rs1, imm),
        Inst::Branch { cond, rs1, rs2, imm } => {
            let imm = imm as u32;
            let funct3 = [Cond::Eq, Cond::Ne, Cond::Lt, Cond::Ge, Cond::Ltu, Cond::Geu];
            let funct3 = [0, 1, 4, 5, 6, 7][funct3.iter().position(|&c| c == cond).expect("one of six")];
            let rd = (imm >> 1 & 0xf) << 1 | imm >> 11 & 1;
            r(0x63, (imm >> 12 & 1) << 6 | imm >> 5 & 0x3f, funct3, rd as u8, rs1, rs2)
        }
        Inst::Load { size, rd, rs1, imm } => i(0x03, width(size), rd, rs1, imm),
        Inst::LoadUnsigned { size, rd, rs1, imm } => i(0x03, 4 + width(size), rd, rs1, imm),
        Inst::Store { size, rs1, rs2, imm } => {
            r(0x23, imm as u32 >> 5 & 0x7f, width(size), imm as u8 & 31, rs1, rs2)
        }
        Inst::LoadReserved { size, rd, rs1 } => r(0x2f, 0x02 << 2, width(size), rd, rs1, 0),
        Inst::StoreConditional { size, rd, rs1, rs2 } => r(0x2f, 0x03 << 2, width(size), rd, rs1, rs2),
        Inst::SfenceVma { rs1, rs2 } => r(0x73, 0x09, 0, 0, rs1, rs2),
        other => panic!("{other:?} has no encoding here"),
    }
}

fn register() -> impl Strategy<Value = u8> {
    0..32_u8
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![Just(Size::Byte), Just(Size::Half), Just(Size::Word), Just(Size::Double)]
}

fn wide() -> impl Strategy<Value = Size> {
    prop_oneof![Just(Size::Word), Just(Size::Double)]
}

/// An immediate of `bits` bits with its sign, a multiple of 2 to the `low`.
fn signed(bits: u32, low: u32) -> impl Strategy<Value = u64> {
    let half = 1_i64 << (bits - 1);
    (-half..half).prop_map(move |value| (value >> low << low) as u64)
}

fn inst() -> impl Strategy<Value = Inst> {
    use Cond::{Eq, Ge, Geu, Lt, Ltu, Ne};
    let cond = prop_oneof![Just(Eq), Just(Ne), Just(Lt), Just(Ge), Just(Ltu), Just(Geu)];
    let narrow = prop_oneof![Just(Size::Byte), Just(Size::Half), Just(Size::Word)];
    prop_oneof![
        (register(), signed(32, 12)).prop_map(|(rd, imm)| Inst::Lui { rd, imm }),
        (register(), signed(32, 12)).prop_map(|(rd, imm)| Inst::Auipc { rd, imm }),
        (register(), signed(21, 1)).prop_map(|(rd, imm)| Inst::Jal { rd, imm }),
        (register(), register(), signed(12, 0)).prop_map(|(rd, rs1, imm)| Inst::Jalr { rd, rs1, imm }),
        (cond, register(), register(), signed(13, 1)).prop_map(|(cond, rs1, rs2, imm)| Inst::Branch {
            cond,
            rs1,
            rs2,
            imm
        }),
        (size(), register(), register(), signed(12, 0)).prop_map(|(size, rd, rs1, imm)| Inst::Load {
            size,
            rd,
            rs1,
            imm
        }),
        (narrow, register(), register(), signed(12, 0)).prop_map(|(size, rd, rs1, imm)| Inst::LoadUnsigned {
            size,
            rd,
            rs1,
            imm
        }),
        (size(), register(), register(), signed(12, 0)).prop_map(|(size, rs1, rs2, imm)| Inst::Store {
            size,
            rs1,
            rs2,
            imm
        }),
        (wide(), register(), register()).prop_map(|(size, rd, rs1)| Inst::LoadReserved { size, rd, rs1 }),
        (wide(), register(), register(), register())
            .prop_map(|(size, rd, rs1, rs2)| Inst::StoreConditional { size, rd, rs1, rs2 }),
        (register(), register()).prop_map(|(rs1, rs2)| Inst::SfenceVma { rs1, rs2 }),
    ]
}

/// The result as a whole number, before it is cut to the size; divisions by zero as the manual wants them.
fn model(op: Alu, a: i128, b: i128, bits: u32) -> i128 {
    let unsigned = |value: i128| value & ((1 << bits) - 1);
    let amount = (b & i128::from(bits - 1)) as u32;
    let high = |product: i128| product >> bits;
    match op {
        Alu::Add => a + b,
        Alu::Sub => a - b,
        Alu::Sll => unsigned(a) << amount,
        Alu::Slt => (a < b).into(),
        Alu::Sltu => (unsigned(a) < unsigned(b)).into(),
        Alu::Xor => a ^ b,
        Alu::Srl => unsigned(a) >> amount,
        Alu::Sra => a >> amount,
        Alu::Or => a | b,
        Alu::And => a & b,
        Alu::Mul => a.wrapping_mul(b),
        Alu::Mulh => high(a * b),
        Alu::Mulhsu => high(a * unsigned(b)),
        Alu::Mulhu => ((unsigned(a) as u128 * unsigned(b) as u128) >> bits) as i128,
        Alu::Div | Alu::Divu if b == 0 => -1,
        Alu::Rem | Alu::Remu if b == 0 => a,
        Alu::Div => a / b,
        Alu::Divu => unsigned(a) / unsigned(b),
        Alu::Rem => a % b,
        Alu::Remu => unsigned(a) % unsigned(b),
    }
}

const ON_BOTH: [Alu; 10] =
    [Alu::Add, Alu::Sub, Alu::Sll, Alu::Srl, Alu::Sra, Alu::Mul, Alu::Div, Alu::Divu, Alu::Rem, Alu::Remu];
const ON_DOUBLES: [Alu; 8] =
    [Alu::Slt, Alu::Sltu, Alu::Xor, Alu::Or, Alu::And, Alu::Mulh, Alu::Mulhsu, Alu::Mulhu];

/// Numbers among which the odd cases are common.
fn number() -> impl Strategy<Value = u64> {
    const ODD: [u64; 9] =
        [0, 1, u64::MAX, i64::MIN as u64, i64::MAX as u64, 0x8000_0000, 0xffff_ffff, 63, 64];
    prop_oneof![any::<u64>(), proptest::sample::select(&ODD[..])]
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(inst in inst()) {
        prop_assert_eq!(decode(encode(inst)), Some(inst));
    }

    #[test]
    fn no_word_is_too_odd_to_look_at(word in any::<u32>()) {
        if let Some(Inst::Alu { size, .. }) = decode(word) {
            prop_assert!(matches!(size, Size::Word | Size::Double));
        }
    }

    #[test]
    fn double_words_are_computed_as_whole_numbers_are(a in number(), b in number()) {
        for op in ON_BOTH.into_iter().chain(ON_DOUBLES) {
            let expected = model(op, (a as i64).into(), (b as i64).into(), 64) as u64;
            prop_assert_eq!(alu(op, Size::Double, a, b), expected, "{:?} {:#x} {:#x}", op, a, b);
        }
    }

    #[test]
    fn words_ignore_the_upper_halves_and_extend_their_sign(a in number(), b in number()) {
        for op in ON_BOTH {
            let expected = model(op, (a as i32).into(), (b as i32).into(), 32) as i32 as u64;
            prop_assert_eq!(alu(op, Size::Word, a, b), expected, "{:?} {:#x} {:#x}", op, a, b);
        }
    }

    #[test]
    fn atomic_operations_on_words_keep_to_their_words(a in number(), b in number()) {
        let (x, y) = (a as i32, b as i32);
        let cases = [
            (AmoOp::Add, x.wrapping_add(y)),
            (AmoOp::Swap, y),
            (AmoOp::Xor, x ^ y),
            (AmoOp::And, x & y),
            (AmoOp::Or, x | y),
            (AmoOp::Min, x.min(y)),
            (AmoOp::Max, x.max(y)),
            (AmoOp::Minu, (a as u32).min(b as u32) as i32),
            (AmoOp::Maxu, (a as u32).max(b as u32) as i32),
        ];
        for (op, expected) in cases {
            prop_assert_eq!(amo(op, Size::Word, a & 0xffff_ffff, b), u64::from(expected as u32), "{:?}", op);
        }
    }
}

#[test]
fn words_of_an_assembler_are_what_they_were_written_as() {
    let register = Operand::Reg;
    let cases = [
        (
            0x0000_0513,
            Inst::Alu { op: Alu::Add, size: Size::Double, rd: 10, rs1: 0, second: Operand::Imm(0) },
        ),
        (
            0x4030_5513,
            Inst::Alu { op: Alu::Sra, size: Size::Double, rd: 10, rs1: 0, second: Operand::Imm(3) },
        ),
        (0x02c5_8533, Inst::Alu { op: Alu::Mul, size: Size::Double, rd: 10, rs1: 11, second: register(12) }),
        (0x40c5_853b, Inst::Alu { op: Alu::Sub, size: Size::Word, rd: 10, rs1: 11, second: register(12) }),
        (0x0000_0073, Inst::Ecall),
        (0x1020_0073, Inst::Sret),
        (0x1050_0073, Inst::Wfi),
        (0x0ff0_000f, Inst::Fence),
        (0x0100_000f, Inst::Pause),
        (0x1800_5073, Inst::Csr { op: CsrOp::Write, rd: 0, source: Operand::Imm(0), csr: 0x180 }),
        (0x1000_2573, Inst::Csr { op: CsrOp::Set, rd: 10, source: register(0), csr: 0x100 }),
        (0x00b5_252f, Inst::Amo { op: AmoOp::Add, size: Size::Word, rd: 10, rs1: 10, rs2: 11 }),
    ];
    for (word, inst) in cases {
        assert_eq!(decode(word), Some(inst), "{word:#010x}");
    }
    for word in [0, u32::MAX, 0x0000_4001, 0x1020_0173, 0x0600_5013 | 1 << 30] {
        assert_eq!(decode(word), None, "{word:#010x}");
    }
}
