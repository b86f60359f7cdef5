//! Registers and traps.

use super::csr::{Csrs, SIE, SPIE, SPP, SUM};
use std::fmt;

/// A hart.
#[derive(Clone, Debug)]
pub struct Hart {
    /// Its number.
    pub id: u64,
    /// Address of the next instruction.
    pub pc: u64,
    /// Supervisor or user.
    pub mode: Mode,
    /// Instructions that it has begun.
    pub steps: u64,
    pub(super) registers: [u64; 32],
    pub(super) csrs: Csrs,
    /// Address and value of a load-reserved that no store-conditional has used up.
    pub(super) reserved: Option<(u64, u64)>,
}

/// A privilege mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// U.
    User,
    /// S.
    Supervisor,
}

/// What decides how an address is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The register `satp`.
    pub satp: u64,
    /// The mode.
    pub mode: Mode,
    /// Whether supervisors may touch user pages.
    pub sum: bool,
}

/// Why a hart trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The manual's cause.
    pub cause: Cause,
    /// The address or instruction word that goes with it.
    pub value: u64,
}

/// The manual's exception codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    FetchMisaligned = 0,
    FetchAccess = 1,
    IllegalInstruction = 2,
    Breakpoint = 3,
    LoadMisaligned = 4,
    LoadAccess = 5,
    StoreMisaligned = 6,
    StoreAccess = 7,
    UserCall = 8,
    FetchPage = 12,
    LoadPage = 13,
    StorePage = 15,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FetchMisaligned => "misaligned instruction address",
            Self::FetchAccess => "instruction access fault",
            Self::IllegalInstruction => "illegal instruction",
            Self::Breakpoint => "breakpoint",
            Self::LoadMisaligned => "misaligned load",
            Self::LoadAccess => "load access fault",
            Self::StoreMisaligned => "misaligned store",
            Self::StoreAccess => "store access fault",
            Self::UserCall => "call from user mode",
            Self::FetchPage => "instruction page fault",
            Self::LoadPage => "load page fault",
            Self::StorePage => "store page fault",
        })
    }
}

const INTERRUPT: u64 = 1 << 63;
const SOFTWARE: u64 = 1;

impl Hart {
    /// Makes hart `id`, which starts at `pc` in supervisor mode with its number and `opaque` in the first registers.
    pub fn new(id: u64, pc: u64, opaque: u64) -> Self {
        let mut registers = [0; 32];
        (registers[10], registers[11]) = (id, opaque);
        Self { id, pc, mode: Mode::Supervisor, steps: 0, registers, csrs: Csrs::default(), reserved: None }
    }

    /// Value of a register.
    pub fn register(&self, number: u8) -> u64 {
        self.registers[usize::from(number)]
    }

    /// Sets a register; number 0 stays 0.
    pub fn set_register(&mut self, number: u8, value: u64) {
        if number != 0 {
            self.registers[usize::from(number)] = value;
        }
    }

    /// How addresses are translated now.
    pub fn view(&self) -> View {
        View { satp: self.csrs.satp, mode: self.mode, sum: self.csrs.sstatus & SUM != 0 }
    }

    /// Takes a trap.
    ///
    /// # Errors
    /// The trap itself, where the guest has set no handler.
    pub fn trap(&mut self, trap: Trap) -> Result<(), Trap> {
        if self.csrs.stvec == 0 {
            return Err(trap);
        }
        self.enter_handler(trap.cause as u64, trap.value);
        Ok(())
    }

    /// Says that another hart has sent an interrupt.
    pub fn interrupt(&mut self) {
        self.csrs.sip |= 1 << SOFTWARE;
    }

    /// Whether an interrupt waits that ends `wfi`.
    pub fn wakes(&self) -> bool {
        self.csrs.sip & self.csrs.sie != 0
    }

    /// Takes a waiting interrupt, if they are on.
    #[inline]
    pub fn take_interrupt(&mut self) {
        let on = self.mode == Mode::User || self.csrs.sstatus & SIE != 0;
        if self.wakes() && on && self.csrs.stvec != 0 {
            self.enter_handler(INTERRUPT | SOFTWARE, 0);
        }
    }

    fn enter_handler(&mut self, cause: u64, value: u64) {
        let csrs = &mut self.csrs;
        (csrs.sepc, csrs.scause, csrs.stval) = (self.pc, cause, value);
        let before = csrs.sstatus;
        csrs.sstatus &= !(SIE | SPIE | SPP);
        if before & SIE != 0 {
            csrs.sstatus |= SPIE;
        }
        if self.mode == Mode::Supervisor {
            csrs.sstatus |= SPP;
        }
        self.mode = Mode::Supervisor;
        self.pc = csrs.stvec & !3;
        self.reserved = None;
    }

    /// Returns from a handler.
    pub(super) fn return_from_trap(&mut self) {
        let before = self.csrs.sstatus;
        self.mode = if before & SPP != 0 { Mode::Supervisor } else { Mode::User };
        self.csrs.sstatus &= !(SIE | SPP);
        if before & SPIE != 0 {
            self.csrs.sstatus |= SIE;
        }
        self.csrs.sstatus |= SPIE;
        self.pc = self.csrs.sepc;
    }
}
