//! RV64IMA with what supervisors need: words to instructions, and what the arithmetic ones compute. Pure.

mod alu;
mod decode;
mod fields;
#[cfg(test)]
mod tests;

pub use alu::{Alu, AmoOp, Cond, alu, amo, taken};
pub use decode::{CsrOp, Inst, Operand, decode};

/// How many bytes an access has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 1.
    Byte,
    /// 2.
    Half,
    /// 4.
    Word,
    /// 8.
    Double,
}

impl Size {
    /// Number of bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    /// The low bits that the access has, all 1.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }

    /// Extends a value of this size to 64 bits with its sign.
    pub const fn sign_extend(self, value: u64) -> u64 {
        let unused = 64 - 8 * self.bytes();
        (((value << unused) as i64) >> unused) as u64
    }
}
