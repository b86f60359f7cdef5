//! What one instruction does.

use super::state::{Cause, Hart, Mode, Trap, View};
use crate::isa::{AmoOp, CsrOp, Inst, Operand, Size, alu, amo, decode, taken};

/// Memory as a hart sees it: guest-virtual addresses, little end first.
pub trait Memory {
    /// Reads an instruction word.
    fn fetch(&mut self, view: View, address: u64) -> Result<u32, Stop>;
    /// Reads `size` bytes, extended with zeros.
    fn load(&mut self, view: View, address: u64, size: Size) -> Result<u64, Stop>;
    /// Writes `size` bytes.
    fn store(&mut self, view: View, address: u64, size: Size, value: u64) -> Result<(), Stop>;
    /// Replaces what is there by what `change` makes of it, at once; `None` leaves it. Returns what was there.
    fn update(
        &mut self,
        view: View,
        address: u64,
        size: Size,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, Stop>;
    /// Drops this hart's guest-virtual translations, of one page or one address space where named.
    fn fence(&mut self, address: Option<u64>, asid: Option<u16>);
}

/// Why an instruction did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest's doing.
    Trap(Trap),
    /// The host is moving the page: repeat it outside guest code's time.
    Busy,
    /// The emulator's check has seen what must not happen.
    Found,
}

impl From<Trap> for Stop {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

/// How a hart goes on after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// With the next one.
    Step,
    /// It has nothing to do but wait for another hart.
    Pause,
    /// It waits for an interrupt.
    Wait,
    /// It calls the firmware.
    Call,
}

/// Carries out the next instruction of `hart`.
///
/// # Errors
/// [`Stop`]; then nothing has changed but the count of steps.
pub fn step(hart: &mut Hart, memory: &mut impl Memory) -> Result<Next, Stop> {
    hart.steps += 1;
    let word = memory.fetch(hart.view(), hart.pc)?;
    let Some(inst) = decode(word) else { return Err(illegal(word).into()) };
    let next_pc = hart.pc.wrapping_add(4);
    match inst {
        Inst::Lui { rd, imm } => hart.set_register(rd, imm),
        Inst::Auipc { rd, imm } => hart.set_register(rd, hart.pc.wrapping_add(imm)),
        Inst::Jal { rd, imm } => return jump(hart, rd, hart.pc.wrapping_add(imm)),
        Inst::Jalr { rd, rs1, imm } => return jump(hart, rd, hart.register(rs1).wrapping_add(imm) & !1),
        Inst::Branch { cond, rs1, rs2, imm } => {
            if taken(cond, hart.register(rs1), hart.register(rs2)) {
                return jump(hart, 0, hart.pc.wrapping_add(imm));
            }
        }
        Inst::Alu { op, size, rd, rs1, second } => {
            let value = alu(op, size, hart.register(rs1), operand(hart, second));
            hart.set_register(rd, value);
        }
        Inst::Pause | Inst::Fence | Inst::FenceI => {
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst)
        }
        Inst::Ebreak => return Err(Trap { cause: Cause::Breakpoint, value: hart.pc }.into()),
        Inst::Ecall if hart.mode == Mode::User => {
            return Err(Trap { cause: Cause::UserCall, value: 0 }.into());
        }
        Inst::Ecall | Inst::Wfi => {}
        _ if is_privileged(inst) => return privileged(hart, memory, inst, word),
        _ => access(hart, memory, inst)?,
    }
    hart.pc = next_pc;
    Ok(match inst {
        Inst::Ecall => Next::Call,
        Inst::Wfi => Next::Wait,
        Inst::Pause => Next::Pause,
        _ => Next::Step,
    })
}

fn jump(hart: &mut Hart, rd: u8, to: u64) -> Result<Next, Stop> {
    if to & 3 != 0 {
        return Err(Trap { cause: Cause::FetchMisaligned, value: to }.into());
    }
    hart.set_register(rd, hart.pc.wrapping_add(4));
    hart.pc = to;
    Ok(Next::Step)
}

fn operand(hart: &Hart, operand: Operand) -> u64 {
    match operand {
        Operand::Reg(number) => hart.register(number),
        Operand::Imm(value) => value,
    }
}

fn illegal(word: u32) -> Trap {
    Trap { cause: Cause::IllegalInstruction, value: word.into() }
}

/// Loads, stores and atomic operations.
fn access(hart: &mut Hart, memory: &mut impl Memory, inst: Inst) -> Result<(), Stop> {
    let view = hart.view();
    let at = |rs1: u8, imm: u64| hart.register(rs1).wrapping_add(imm);
    let (rd, value) = match inst {
        Inst::Load { size, rd, rs1, imm } => (rd, size.sign_extend(memory.load(view, at(rs1, imm), size)?)),
        Inst::LoadUnsigned { size, rd, rs1, imm } => (rd, memory.load(view, at(rs1, imm), size)?),
        Inst::Store { size, rs1, rs2, imm } => {
            memory.store(view, at(rs1, imm), size, hart.register(rs2))?;
            (0, 0)
        }
        Inst::LoadReserved { size, rd, rs1 } => {
            // An update that changes nothing, since it must be able to fault as the store will.
            let address = at(rs1, 0);
            let value = memory.update(view, address, size, Some)?;
            hart.reserved = Some((address, value));
            (rd, size.sign_extend(value))
        }
        Inst::StoreConditional { size, rd, rs1, rs2 } => {
            let done = store_conditional(hart, memory, size, at(rs1, 0), hart.register(rs2))?;
            hart.reserved = None;
            (rd, u64::from(!done))
        }
        Inst::Amo { op, size, rd, rs1, rs2 } => {
            (rd, size.sign_extend(atomic(hart, memory, (op, size), at(rs1, 0), rs2)?))
        }
        _ => unreachable!("{inst:?} is carried out elsewhere"),
    };
    hart.set_register(rd, value);
    Ok(())
}

fn atomic(
    hart: &Hart,
    memory: &mut impl Memory,
    (op, size): (AmoOp, Size),
    address: u64,
    rs2: u8,
) -> Result<u64, Stop> {
    let operand = hart.register(rs2);
    memory.update(hart.view(), address, size, |old| Some(amo(op, size, old, operand)))
}

/// Stores if nobody has changed what the load-reserved saw. That it may have changed back is not noticed.
fn store_conditional(
    hart: &Hart,
    memory: &mut impl Memory,
    size: Size,
    address: u64,
    value: u64,
) -> Result<bool, Stop> {
    let Some((_, seen)) = hart.reserved.filter(|reserved| reserved.0 == address) else { return Ok(false) };
    let change = |old| (old == seen).then_some(value & size.mask());
    Ok(memory.update(hart.view(), address, size, change)? == seen)
}

fn is_privileged(inst: Inst) -> bool {
    matches!(inst, Inst::Sret | Inst::SfenceVma { .. } | Inst::Csr { .. })
}

/// What needs supervisor mode.
fn privileged(hart: &mut Hart, memory: &mut impl Memory, inst: Inst, word: u32) -> Result<Next, Stop> {
    let next_pc = hart.pc.wrapping_add(4);
    match inst {
        Inst::Csr { op, rd, source, csr } => {
            let old = hart.csr(csr).ok_or(illegal(word))?;
            let by = operand(hart, source);
            let new = match op {
                CsrOp::Write => by,
                CsrOp::Set => old | by,
                CsrOp::Clear => old & !by,
            };
            let reads_only = op != CsrOp::Write && matches!(source, Operand::Reg(0) | Operand::Imm(0));
            if !reads_only && !hart.set_csr(csr, new) {
                return Err(illegal(word).into());
            }
            hart.set_register(rd, old);
        }
        _ if hart.mode == Mode::User => return Err(illegal(word).into()),
        Inst::SfenceVma { rs1, rs2 } => {
            let address = (rs1 != 0).then(|| hart.register(rs1));
            let asid = (rs2 != 0).then(|| hart.register(rs2) as u16);
            memory.fence(address, asid);
        }
        _ => {
            hart.return_from_trap();
            return Ok(Next::Step);
        }
    }
    hart.pc = next_pc;
    Ok(Next::Step)
}
