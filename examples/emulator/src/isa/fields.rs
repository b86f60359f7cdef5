//! Where an instruction word keeps what.

use super::Size;

/// A field of `width` bits from bit `low` up.
pub const fn bits(word: u32, low: u32, width: u32) -> u32 {
    word >> low & ((1 << width) - 1)
}

pub const fn rd(word: u32) -> u8 {
    bits(word, 7, 5) as u8
}

pub const fn rs1(word: u32) -> u8 {
    bits(word, 15, 5) as u8
}

pub const fn rs2(word: u32) -> u8 {
    bits(word, 20, 5) as u8
}

pub const fn imm_i(word: u32) -> u64 {
    (word as i32 >> 20) as u64
}

pub const fn imm_s(word: u32) -> u64 {
    ((word as i32 >> 25) << 5) as u64 | bits(word, 7, 5) as u64
}

pub const fn imm_b(word: u32) -> u64 {
    ((word as i32 >> 31) << 12) as u64
        | (bits(word, 7, 1) << 11 | bits(word, 25, 6) << 5 | bits(word, 8, 4) << 1) as u64
}

pub const fn imm_u(word: u32) -> u64 {
    (word & 0xffff_f000) as i32 as u64
}

pub const fn imm_j(word: u32) -> u64 {
    ((word as i32 >> 31) << 20) as u64
        | (bits(word, 12, 8) << 12 | bits(word, 20, 1) << 11 | bits(word, 21, 10) << 1) as u64
}

/// The size that the low two bits of `funct3` name.
pub const fn size(word: u32) -> Size {
    match bits(word, 12, 2) {
        0 => Size::Byte,
        1 => Size::Half,
        2 => Size::Word,
        _ => Size::Double,
    }
}
