//! What instructions compute.

use super::Size;

/// An arithmetic operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alu {
    Add,
    Sub,
    Sll,
    Slt,
    Sltu,
    Xor,
    Srl,
    Sra,
    Or,
    And,
    Mul,
    Mulh,
    Mulhsu,
    Mulhu,
    Div,
    Divu,
    Rem,
    Remu,
}

/// An atomic operation on memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmoOp {
    Add,
    Swap,
    Xor,
    Or,
    And,
    Min,
    Max,
    Minu,
    Maxu,
}

/// When a branch is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cond {
    Eq,
    Ne,
    Lt,
    Ge,
    Ltu,
    Geu,
}

/// Computes `op` of two registers, on words or on double words.
pub fn alu(op: Alu, size: Size, a: u64, b: u64) -> u64 {
    match size {
        Size::Word => i64::from(on_words(op, a as u32, b as u32) as i32) as u64,
        _ => on_doubles(op, a, b),
    }
}

fn on_doubles(op: Alu, a: u64, b: u64) -> u64 {
    let (x, y) = (a as i64, b as i64);
    match op {
        Alu::Add => a.wrapping_add(b),
        Alu::Sub => a.wrapping_sub(b),
        Alu::Sll => a << (b & 63),
        Alu::Slt => (x < y).into(),
        Alu::Sltu => (a < b).into(),
        Alu::Xor => a ^ b,
        Alu::Srl => a >> (b & 63),
        Alu::Sra => (x >> (b & 63)) as u64,
        Alu::Or => a | b,
        Alu::And => a & b,
        Alu::Mul => a.wrapping_mul(b),
        Alu::Mulh => ((i128::from(x) * i128::from(y)) >> 64) as u64,
        Alu::Mulhsu => ((i128::from(x) * i128::from(b)) >> 64) as u64,
        Alu::Mulhu => ((u128::from(a) * u128::from(b)) >> 64) as u64,
        // Division by zero answers all ones and leaves the dividend; overflow answers the dividend and leaves nothing.
        Alu::Div if b == 0 => u64::MAX,
        Alu::Div => x.wrapping_div(y) as u64,
        Alu::Divu => a.checked_div(b).unwrap_or(u64::MAX),
        Alu::Rem if b == 0 => a,
        Alu::Rem => x.wrapping_rem(y) as u64,
        Alu::Remu => a.checked_rem(b).unwrap_or(a),
    }
}

fn on_words(op: Alu, a: u32, b: u32) -> u32 {
    let (x, y) = (a as i32, b as i32);
    match op {
        Alu::Sll => a << (b & 31),
        Alu::Srl => a >> (b & 31),
        Alu::Sra => (x >> (b & 31)) as u32,
        Alu::Div if b == 0 => u32::MAX,
        Alu::Div => x.wrapping_div(y) as u32,
        Alu::Divu => a.checked_div(b).unwrap_or(u32::MAX),
        Alu::Rem if b == 0 => a,
        Alu::Rem => x.wrapping_rem(y) as u32,
        Alu::Remu => a.checked_rem(b).unwrap_or(a),
        // The low half of these does not depend on the high halves of the operands.
        _ => on_doubles(op, u64::from(a), u64::from(b)) as u32,
    }
}

/// Computes what an atomic operation stores where `old` was.
pub fn amo(op: AmoOp, size: Size, old: u64, operand: u64) -> u64 {
    let (a, b) = (size.sign_extend(old), size.sign_extend(operand));
    let (x, y) = (a as i64, b as i64);
    let new = match op {
        AmoOp::Add => a.wrapping_add(b),
        AmoOp::Swap => b,
        AmoOp::Xor => a ^ b,
        AmoOp::Or => a | b,
        AmoOp::And => a & b,
        AmoOp::Min => x.min(y) as u64,
        AmoOp::Max => x.max(y) as u64,
        // Extending with the sign keeps the order of unsigned words.
        AmoOp::Minu => a.min(b),
        AmoOp::Maxu => a.max(b),
    };
    new & size.mask()
}

/// Says whether a branch is taken.
pub fn taken(cond: Cond, a: u64, b: u64) -> bool {
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Lt => (a as i64) < b as i64,
        Cond::Ge => a as i64 >= b as i64,
        Cond::Ltu => a < b,
        Cond::Geu => a >= b,
    }
}
