//! The instructions that platforms carry out, on the machine that the doctor examines them on.

use crate::encode::{Asid, SSTATUS_SIE, SbiCall};
use shootdown::flush::{Levels, VirtAddr};
use shootdown::ports::Ports as _;
use shootdown_doctor::Sim;

/// Number of the hart that runs the caller: what a kernel keeps in a register.
pub fn simulated_hart() -> u32 {
    Sim::running().this_cpu()
}

/// `sfence.vma` without operands.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[track_caller]
pub unsafe fn sfence_all() {
    Sim::running().drop_all();
}

/// `sfence.vma` of an ASID.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[track_caller]
pub unsafe fn sfence_asid(asid: Asid) {
    Sim::running().drop_tag(asid.number());
}

/// `sfence.vma` of an address: leaves, under all ASIDs.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[track_caller]
pub unsafe fn sfence_address(address: VirtAddr) {
    Sim::running().drop_kernel_page(address.0, Levels::Leaf);
}

/// `sfence.vma` of an address under an ASID: leaves.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[track_caller]
pub unsafe fn sfence_address_asid(address: VirtAddr, asid: Asid) {
    Sim::running().drop_page(asid.number(), address.0, Levels::Leaf);
}

/// `fence.i`: the machine has no code.
///
/// # Safety
/// The caller must ensure that:
/// 1. nothing: it has no effect but order.
pub unsafe fn fence_i() {}

/// Interrupts harts; the machine's firmware knows no other call.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode;
/// 2. the call is one that changes no memory of the caller.
#[track_caller]
pub unsafe fn sbi_call(call: SbiCall) -> i64 {
    const IPI: u64 = 0x73_5049;
    const NOT_SUPPORTED: i64 = -2;
    const ALL: u64 = u64::MAX;
    let [mask, base, ..] = call.arguments;
    if (call.extension, call.function) != (IPI, 0) {
        return NOT_SUPPORTED;
    }
    let sim = Sim::running();
    match base {
        ALL => (0..sim.cpus()).for_each(|hart| sim.send_interrupt(hart)),
        _ => {
            (0..64).filter(|bit| mask >> bit & 1 != 0).for_each(|bit| sim.send_interrupt((base + bit) as u32))
        }
    }
    0
}

/// Turns interrupts off and returns sstatus from before.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
#[track_caller]
pub unsafe fn interrupts_off() -> u64 {
    if Sim::running().interrupts_off() { SSTATUS_SIE } else { 0 }
}

/// Turns interrupts on.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode, where interrupts may come.
#[track_caller]
pub unsafe fn interrupts_on() {
    Sim::running().interrupts_on();
}
