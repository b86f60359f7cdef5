//! Words to instructions.

use super::fields::{bits, imm_b, imm_i, imm_j, imm_s, imm_u, rd, rs1, rs2, size};
use super::{Alu, AmoOp, Cond, Size};

/// An instruction; registers by number, immediates extended with their sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inst {
    /// `lui`.
    Lui { rd: u8, imm: u64 },
    /// `auipc`.
    Auipc { rd: u8, imm: u64 },
    /// `jal`.
    Jal { rd: u8, imm: u64 },
    /// `jalr`.
    Jalr { rd: u8, rs1: u8, imm: u64 },
    /// `beq` and its like.
    Branch { cond: Cond, rs1: u8, rs2: u8, imm: u64 },
    /// A load that extends with the sign.
    Load { size: Size, rd: u8, rs1: u8, imm: u64 },
    /// A load that extends with zeros.
    LoadUnsigned { size: Size, rd: u8, rs1: u8, imm: u64 },
    /// A store.
    Store { size: Size, rs1: u8, rs2: u8, imm: u64 },
    /// Arithmetic, on words or double words.
    Alu { op: Alu, size: Size, rd: u8, rs1: u8, second: Operand },
    /// `fence`, other than `pause`.
    Fence,
    /// `fence.i`.
    FenceI,
    /// `pause`.
    Pause,
    /// `ecall`.
    Ecall,
    /// `ebreak`.
    Ebreak,
    /// `sret`.
    Sret,
    /// `wfi`.
    Wfi,
    /// `sfence.vma`; register 0 stands for all addresses or all address spaces.
    SfenceVma { rs1: u8, rs2: u8 },
    /// `csrrw` and its like.
    Csr { op: CsrOp, rd: u8, source: Operand, csr: u16 },
    /// `lr`.
    LoadReserved { size: Size, rd: u8, rs1: u8 },
    /// `sc`.
    StoreConditional { size: Size, rd: u8, rs1: u8, rs2: u8 },
    /// `amoadd` and its like.
    Amo { op: AmoOp, size: Size, rd: u8, rs1: u8, rs2: u8 },
}

/// Change of a control register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrOp {
    Write,
    Set,
    Clear,
}

/// A second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A register.
    Reg(u8),
    /// The instruction's own.
    Imm(u64),
}

/// `fence` with predecessor "writes" and nothing else, which waits a little.
const PAUSE: u32 = 0x0100_000f;

/// Returns the instruction that `word` is, if it is one of ours.
pub fn decode(word: u32) -> Option<Inst> {
    let (rd, rs1, rs2, funct3) = (rd(word), rs1(word), rs2(word), bits(word, 12, 3));
    Some(match word & 0x7f {
        0x37 => Inst::Lui { rd, imm: imm_u(word) },
        0x17 => Inst::Auipc { rd, imm: imm_u(word) },
        0x6f => Inst::Jal { rd, imm: imm_j(word) },
        0x67 if funct3 == 0 => Inst::Jalr { rd, rs1, imm: imm_i(word) },
        0x63 => Inst::Branch { cond: cond(funct3)?, rs1, rs2, imm: imm_b(word) },
        0x03 if funct3 < 4 => Inst::Load { size: size(word), rd, rs1, imm: imm_i(word) },
        0x03 if funct3 < 7 => Inst::LoadUnsigned { size: size(word), rd, rs1, imm: imm_i(word) },
        0x23 if funct3 < 4 => Inst::Store { size: size(word), rs1, rs2, imm: imm_s(word) },
        0x13 => immediate(word, Size::Double)?,
        0x1b => immediate(word, Size::Word)?,
        0x33 => registers(word, Size::Double)?,
        0x3b => registers(word, Size::Word)?,
        0x0f if word == PAUSE => Inst::Pause,
        0x0f if funct3 == 0 => Inst::Fence,
        0x0f if funct3 == 1 => Inst::FenceI,
        0x73 => system(word)?,
        0x2f if funct3 & 6 == 2 => atomic(word, size(word))?,
        _ => return None,
    })
}

fn cond(funct3: u32) -> Option<Cond> {
    Some(match funct3 {
        0 => Cond::Eq,
        1 => Cond::Ne,
        4 => Cond::Lt,
        5 => Cond::Ge,
        6 => Cond::Ltu,
        7 => Cond::Geu,
        _ => return None,
    })
}

/// What `funct3` stands for without further bits.
const PLAIN: [Alu; 8] = [Alu::Add, Alu::Sll, Alu::Slt, Alu::Sltu, Alu::Xor, Alu::Srl, Alu::Or, Alu::And];
/// The same in the extension M.
const MULTIPLY: [Alu; 8] =
    [Alu::Mul, Alu::Mulh, Alu::Mulhsu, Alu::Mulhu, Alu::Div, Alu::Divu, Alu::Rem, Alu::Remu];

fn immediate(word: u32, size: Size) -> Option<Inst> {
    let op = PLAIN[bits(word, 12, 3) as usize];
    if !matches!(op, Alu::Sll | Alu::Srl) {
        let known = size == Size::Double || op == Alu::Add;
        let second = Operand::Imm(imm_i(word));
        return known.then_some(Inst::Alu { op, size, rd: rd(word), rs1: rs1(word), second });
    }
    // The amount has 6 bits for double words and 5 for words; above it stands which shift it is.
    let width = if size == Size::Double { 6 } else { 5 };
    let op = match (op, bits(word, 20 + width, 12 - width) << width) {
        (op, 0) => op,
        (Alu::Srl, 0x400) => Alu::Sra,
        _ => return None,
    };
    let second = Operand::Imm(u64::from(bits(word, 20, width)));
    Some(Inst::Alu { op, size, rd: rd(word), rs1: rs1(word), second })
}

fn registers(word: u32, size: Size) -> Option<Inst> {
    let funct3 = bits(word, 12, 3) as usize;
    let op = match (bits(word, 25, 7), PLAIN[funct3]) {
        (0, op) => op,
        (1, _) => MULTIPLY[funct3],
        (0x20, Alu::Add) => Alu::Sub,
        (0x20, Alu::Srl) => Alu::Sra,
        _ => return None,
    };
    let on_words = matches!(
        op,
        Alu::Add
            | Alu::Sub
            | Alu::Sll
            | Alu::Srl
            | Alu::Sra
            | Alu::Mul
            | Alu::Div
            | Alu::Divu
            | Alu::Rem
            | Alu::Remu
    );
    let second = Operand::Reg(rs2(word));
    (size == Size::Double || on_words).then_some(Inst::Alu { op, size, rd: rd(word), rs1: rs1(word), second })
}

fn system(word: u32) -> Option<Inst> {
    let (rd, rs1, rs2) = (rd(word), rs1(word), rs2(word));
    let op = match bits(word, 12, 2) {
        0 if bits(word, 25, 7) == 0x09 && rd == 0 && bits(word, 14, 1) == 0 => {
            return Some(Inst::SfenceVma { rs1, rs2 });
        }
        0 => {
            return match word {
                0x0000_0073 => Some(Inst::Ecall),
                0x0010_0073 => Some(Inst::Ebreak),
                0x1020_0073 => Some(Inst::Sret),
                0x1050_0073 => Some(Inst::Wfi),
                _ => None,
            };
        }
        1 => CsrOp::Write,
        2 => CsrOp::Set,
        _ => CsrOp::Clear,
    };
    let source = if bits(word, 14, 1) == 1 { Operand::Imm(u64::from(rs1)) } else { Operand::Reg(rs1) };
    Some(Inst::Csr { op, rd, source, csr: bits(word, 20, 12) as u16 })
}

fn atomic(word: u32, size: Size) -> Option<Inst> {
    let (rd, rs1, rs2) = (rd(word), rs1(word), rs2(word));
    let op = match bits(word, 27, 5) {
        0x02 if rs2 == 0 => return Some(Inst::LoadReserved { size, rd, rs1 }),
        0x03 => return Some(Inst::StoreConditional { size, rd, rs1, rs2 }),
        0x00 => AmoOp::Add,
        0x01 => AmoOp::Swap,
        0x04 => AmoOp::Xor,
        0x08 => AmoOp::Or,
        0x0c => AmoOp::And,
        0x10 => AmoOp::Min,
        0x14 => AmoOp::Max,
        0x18 => AmoOp::Minu,
        0x1c => AmoOp::Maxu,
        _ => return None,
    };
    Some(Inst::Amo { op, size, rd, rs1, rs2 })
}
