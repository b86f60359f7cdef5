//! The firmware that the guest calls: SBI's timer-less part, and one call of our own.
//!
//! Whatever the guest asks for, it gets an answer; requests that make no sense are refused, and ranges that do not fit are
//! widened, never narrowed.

use super::Machine;
use super::host::shootdown::CpuId;
use super::host::shootdown::flush::{PageRange, PageSize, PageTables, Scope, VirtAddr};
use crate::fences::{ALL_HARTS, Fence};
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
/// Ours, from the range for vendors: function 0 answers how many pages the host has moved, and is not supported where it moves none.
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
    let [a0, a1, a2, a3] = [10, 11, 12, 13].map(|number| hart.register(number));
    match (extension, hart.register(16)) {
        (LEGACY_PUTCHAR, _) => shared.console.put(a0 as u8),
        (LEGACY_SHUTDOWN, _) => shared.end(End::Shutdown),
        (BASE, 0) => return Ok(2 << 24),
        (BASE, 3) => return Ok(KNOWN.contains(&a0).into()),
        (IPI, 0) => each_hart(shared, a0, a1, |hart| {
            shared.harts[hart].interrupt.store(true, Ordering::Release);
            machine.call_out(CpuId::new(hart as u32));
        })?,
        // Instructions are not cached: there is nothing to do for the first.
        (RFENCE, 0) => each_hart(shared, a0, a1, |_| ())?,
        (RFENCE, 1 | 2) => {
            each_hart(shared, a0, a1, |_| ())?;
            fence(machine, shared, a2, a3);
        }
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

/// Calls `visit` with each hart of a mask: bit n of `mask` is hart `base + n`, and a base of all ones means every hart.
fn each_hart(shared: &Shared, mask: u64, base: u64, mut visit: impl FnMut(usize)) -> Result<(), SbiError> {
    let count = shared.harts.len();
    if base == u64::MAX {
        (0..count).for_each(visit);
        return Ok(());
    }
    let named = |bit: &u64| mask >> bit & 1 == 1;
    let known = |bit: u64| base.checked_add(bit).is_some_and(|hart| hart < count as u64);
    if !(0..64).filter(named).all(known) {
        return Err(SbiError::InvalidParameter);
    }
    (0..64).filter(named).for_each(|bit| visit((base + bit) as usize));
    Ok(())
}

/// Drops guest-virtual translations of all harts, whichever the guest has named. Harts outside guest code are passed over.
fn fence(machine: &Machine, shared: &Shared, start: u64, size: u64) {
    let first = start & !0xfff;
    let pages =
        size.checked_add(start & 0xfff).map(|bytes| bytes.div_ceil(4096)).filter(|_| (start | size) != 0);
    let range = pages.and_then(|pages| PageRange::new(VirtAddr(first), pages, PageSize::Size4K).ok());
    let (scope, first, last) = match range {
        Some(range) => (Scope::Pages(range), first, first + (range.count() * 4096 - 1)),
        None => (Scope::All, 0, u64::MAX),
    };
    let number = shared.fences.begin();
    machine.flush_kernel(scope, PageTables::Freed);
    shared.fences.complete(number, Fence { first, last, asid: None, harts: ALL_HARTS });
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
