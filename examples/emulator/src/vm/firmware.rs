//! The firmware that the guest calls: SBI's timer-less part, and one call of our own.
//!
//! Whatever the guest asks for, it gets an answer; requests that make no sense are refused, and ranges that do not fit
//! are widened, never narrowed.

use super::host::shootdown::CpuId;
use super::host::{Fence, NoSuchHart};
use super::tlbs::span;
use super::{Harts, Machine};
use crate::fences;
use crate::frames::lock;
use crate::hart::Hart;
use crate::shared::{End, Power, Shared};
use crate::stage2::Stage2;
use std::sync::atomic::Ordering;

const LEGACY_PUTCHAR: u64 = 0x01;
const LEGACY_SHUTDOWN: u64 = 0x08;
const BASE: u64 = 0x10;
const IPI: u64 = 0x73_5049;
const RFENCE: u64 = 0x5246_4e43;
const HSM: u64 = 0x48_534d;
const SRST: u64 = 0x5352_5354;
/// Ours, from the range for vendors: function 0 answers how many pages the host has moved, and is not supported where
/// it moves none.
const MOVES: u64 = 0x0900_0000;

const KNOWN: [u64; 8] = [LEGACY_PUTCHAR, LEGACY_SHUTDOWN, BASE, IPI, RFENCE, HSM, SRST, MOVES];

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SbiError {
    NotSupported = -2,
    InvalidParameter = -3,
    InvalidAddress = -5,
    AlreadyAvailable = -6,
}

impl From<NoSuchHart> for SbiError {
    fn from(_: NoSuchHart) -> Self {
        Self::InvalidParameter
    }
}

/// Answers the call that `hart` has made.
pub fn call(machine: &Machine, shared: &Shared, hart: &mut Hart) {
    let extension = hart.register(17);
    let answer = carry_out(machine, shared, hart, extension);
    match answer {
        // The old calls have no second value, and guests keep their register.
        Ok(_) if extension < BASE => hart.set_register(10, 0),
        Ok(value) => {
            hart.set_register(10, 0);
            hart.set_register(11, value);
        }
        Err(refused) => {
            hart.set_register(10, refused as i64 as u64);
            hart.set_register(11, 0);
        }
    }
}

fn carry_out(machine: &Machine, shared: &Shared, hart: &Hart, extension: u64) -> Result<u64, SbiError> {
    let [a0, a1, a2, a3, a4] = [10, 11, 12, 13, 14].map(|number| hart.register(number));
    match (extension, hart.register(16)) {
        (LEGACY_PUTCHAR, _) => shared.console.put(a0 as u8),
        (LEGACY_SHUTDOWN, _) => shared.end(End::Shutdown),
        (BASE, 0) => return Ok(2 << 24),
        (BASE, 3) => return Ok(KNOWN.contains(&a0).into()),
        (IPI, 0) => machine.harts(a0, a1)?.iter().for_each(|cpu| {
            shared.harts[cpu.index()].interrupt.store(true, Ordering::Release);
            machine.call_out(cpu);
        }),
        // Instructions are not cached: there is nothing to do for the first but to look at the mask.
        (RFENCE, 0) => machine.harts(a0, a1).map(|_| ())?,
        (RFENCE, 1) => fence(shared, &machine.harts(a0, a1)?, Fence::bytes(a2, a3)),
        (RFENCE, 2) => fence(shared, &machine.harts(a0, a1)?, Fence::bytes(a2, a3).in_space(a4 as u16)),
        (HSM, 0) => start(machine, shared, a0, a1, a2)?,
        (HSM, 1) => stop(shared, hart),
        (HSM, 2) => {
            let slot = shared.harts.get(a0 as usize).ok_or(SbiError::InvalidParameter)?;
            return Ok(u64::from(*lock(&slot.power) == Power::Off));
        }
        (SRST, 0) if a0 <= 2 => shared.end(if a1 == 0 { End::Shutdown } else { End::Failed }),
        (SRST, 0) => return Err(SbiError::InvalidParameter),
        (MOVES, 0) if shared.moving => return Ok(shared.moves.load(Ordering::Relaxed).into()),
        _ => return Err(SbiError::NotSupported),
    }
    Ok(0)
}

/// Drops guest-virtual translations of the harts that the guest has named. Harts outside guest code are passed over.
fn fence(shared: &Shared, harts: &Harts<'_>, fence: Fence) {
    let (first, last) = fence.range.map_or((0, u64::MAX), span);
    let bits = harts.iter().fold(0, |bits, cpu| bits | 1 << cpu.number());
    let number = shared.fences.begin();
    if shared.fencing {
        harts.fence(fence);
    }
    shared.fences.complete(number, fences::Fence { first, last, asid: fence.asid, harts: bits });
}

fn start(machine: &Machine, shared: &Shared, hart: u64, pc: u64, opaque: u64) -> Result<(), SbiError> {
    let slot = shared.harts.get(hart as usize).ok_or(SbiError::InvalidParameter)?;
    if pc & 3 != 0 || Stage2::page_of(pc).is_none() {
        return Err(SbiError::InvalidAddress);
    }
    let mut power = lock(&slot.power);
    if *power != Power::Off {
        return Err(SbiError::AlreadyAvailable);
    }
    *power = Power::Starting(pc, opaque);
    drop(power);
    machine.call_out(CpuId::new(hart as u32));
    Ok(())
}

fn stop(shared: &Shared, hart: &Hart) {
    *lock(&shared.harts[hart.id as usize].power) = Power::Off;
    if shared.harts.iter().all(|slot| *lock(&slot.power) == Power::Off) {
        shared.end(End::AllOff);
    }
}
