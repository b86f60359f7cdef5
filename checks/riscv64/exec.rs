//! The instructions that platforms carry out, on the machine that the doctor examines them on.

use crate::encode::{ASID_FIELD, Asid, SSTATUS_SIE, SbiCall, asid_of};
use shootdown::flush::{Levels, VirtAddr};
use shootdown::ports::Ports as _;
use shootdown_doctor::Sim;

/// Number of the hart that runs the caller: what a kernel keeps in a register.
pub fn simulated_hart() -> u32 {
    Sim::running().this_cpu()
}

/// Gives the table of a root back: what a kernel does with its memory.
#[track_caller]
pub fn simulated_free_root(root: u64) {
    Sim::running().free_root(root);
}

/// Reads satp, of which the machine has the ASID.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode.
pub unsafe fn read_satp() -> u64 {
    u64::from(Sim::running().register_tag()) << ASID_FIELD.trailing_zeros()
}

/// Writes satp; orders and drops nothing.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode;
/// 2. `value` names a root that maps the running kernel and stays allocated while loaded.
#[track_caller]
pub unsafe fn write_satp(value: u64) {
    let numbers = (1 << ASID_FIELD.trailing_zeros()) - 1;
    Sim::running().write_register((value & numbers) << 12, asid_of(value).number());
}

/// Answers that the harts have no ASIDs; the doctor asks no platform for it.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode, with interrupts off and translation on.
pub unsafe fn probe_asid() -> u64 {
    0
}

/// Begins `sinval.vma`s, which the machine carries out one by one.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode of a hart with Svinval.
pub unsafe fn sfence_w_inval() {}

/// `sinval.vma` of an address: leaves, under all ASIDs.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode of a hart with Svinval.
#[track_caller]
pub unsafe fn sinval_address(address: VirtAddr) {
    Sim::running().drop_kernel_page(address.0, Levels::Leaf);
}

/// `sinval.vma` of an address under an ASID: leaves.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode of a hart with Svinval.
#[track_caller]
pub unsafe fn sinval_address_asid(address: VirtAddr, asid: Asid) {
    Sim::running().drop_page(asid.number(), address.0, Levels::Leaf);
}

/// Ends `sinval.vma`s.
///
/// # Safety
/// The caller must ensure that:
/// 1. it runs in supervisor mode of a hart with Svinval.
pub unsafe fn sfence_inval_ir() {}

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
