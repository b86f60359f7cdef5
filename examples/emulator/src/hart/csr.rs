//! Control registers.

use super::state::{Hart, Mode};

pub const SIE: u64 = 1 << 1;
pub const SPIE: u64 = 1 << 5;
pub const SPP: u64 = 1 << 8;
pub const SUM: u64 = 1 << 18;

/// What a guest can set of `sstatus`.
const SSTATUS: u64 = SIE | SPIE | SPP | SUM;
/// The software interrupt is the only one there is.
const SSI: u64 = 1 << 1;
/// Mode of `satp`: Sv39.
const SV39: u64 = 8;

/// The control registers of a supervisor.
#[derive(Clone, Debug, Default)]
pub struct Csrs {
    pub sstatus: u64,
    pub sie: u64,
    pub sip: u64,
    pub stvec: u64,
    pub sscratch: u64,
    pub sepc: u64,
    pub scause: u64,
    pub stval: u64,
    pub satp: u64,
}

impl Hart {
    /// Value of a control register, if there is one of that number for this mode.
    pub(super) fn csr(&self, number: u16) -> Option<u64> {
        let csrs = &self.csrs;
        // Cycles and time are steps: whatever a guest measures, it measures alike in every run.
        if matches!(number, 0xc00..=0xc02) {
            return Some(self.steps);
        }
        if self.mode == Mode::User {
            return None;
        }
        Some(match number {
            0x100 => csrs.sstatus,
            0x104 => csrs.sie,
            0x105 => csrs.stvec,
            0x106 => 7,
            0x140 => csrs.sscratch,
            0x141 => csrs.sepc,
            0x142 => csrs.scause,
            0x143 => csrs.stval,
            0x144 => csrs.sip,
            0x180 => csrs.satp,
            _ => return None,
        })
    }

    /// Sets a control register that [`csr`](Self::csr) knows; what cannot be stored is left as it was, as the manual
    /// allows. Says whether there is one to write.
    pub(super) fn set_csr(&mut self, number: u16, value: u64) -> bool {
        let csrs = &mut self.csrs;
        match number {
            0x100 => csrs.sstatus = value & SSTATUS,
            0x104 => csrs.sie = value & SSI,
            // Vectored handlers are not offered.
            0x105 => csrs.stvec = value & !3,
            0x106 => {}
            0x140 => csrs.sscratch = value,
            0x141 => csrs.sepc = value & !3,
            0x142 => csrs.scause = value,
            0x143 => csrs.stval = value,
            0x144 => csrs.sip = value & SSI,
            0x180 if matches!(value >> 60, 0 | SV39) => csrs.satp = value,
            0x180 => {}
            _ => return false,
        }
        true
    }
}
