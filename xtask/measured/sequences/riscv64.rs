//! Of `shootdown-riscv64`.

use shootdown::flush::VirtAddr;
use shootdown_riscv64::encode::{Asid, SbiCall, Vmid};
use shootdown_riscv64::exec;

/// Wraps a number of the full width.
fn asid(number: u16) -> Asid {
    Asid::new(number, 16).unwrap_or(Asid::SHARED)
}

sequences! {
    read_satp() -> u64 { exec::read_satp() }
    write_satp(value: u64) { exec::write_satp(value) }
    probe_asid() -> u64 { exec::probe_asid() }
    sfence_all() { exec::sfence_all() }
    sfence_asid(number: u16) { exec::sfence_asid(asid(number)) }
    // With a constant 0, the operand must not become x0, which has another meaning.
    sfence_asid_0() { exec::sfence_asid(Asid::SHARED) }
    sfence_address_0() { exec::sfence_address(VirtAddr(0)) }
    sfence_address(address: u64) { exec::sfence_address(VirtAddr(address)) }
    sfence_address_asid(address: u64, number: u16) { exec::sfence_address_asid(VirtAddr(address), asid(number)) }
    fence_i() { exec::fence_i() }
    sfence_w_inval() { exec::sfence_w_inval() }
    sinval_address(address: u64) { exec::sinval_address(VirtAddr(address)) }
    sinval_address_asid(address: u64, number: u16) { exec::sinval_address_asid(VirtAddr(address), asid(number)) }
    sfence_inval_ir() { exec::sfence_inval_ir() }
    sbi_call(a0: u64, a1: u64, a2: u64, a3: u64, a4: u64, extension: u64, function: u64) -> i64 {
        exec::sbi_call(SbiCall { extension, function, arguments: [a0, a1, a2, a3, a4] })
    }
    hfence_gvma_all() { exec::hfence_gvma_all() }
    hfence_gvma_vmid(vmid: Vmid) { exec::hfence_gvma_vmid(vmid) }
    hfence_gvma_vmid_0() { exec::hfence_gvma_vmid(Vmid::SHARED) }
    hfence_gvma_page(operand: u64, vmid: Vmid) { exec::hfence_gvma_page(operand, vmid) }
    hinval_gvma_page(operand: u64, vmid: Vmid) { exec::hinval_gvma_page(operand, vmid) }
    hfence_vvma_all() { exec::hfence_vvma_all() }
    hfence_vvma_asid(number: u16) { exec::hfence_vvma_asid(asid(number)) }
    hfence_vvma_address(address: u64) { exec::hfence_vvma_address(VirtAddr(address)) }
    hfence_vvma_address_asid(address: u64, number: u16) { exec::hfence_vvma_address_asid(VirtAddr(address), asid(number)) }
    hinval_vvma_address(address: u64) { exec::hinval_vvma_address(VirtAddr(address)) }
    hinval_vvma_address_asid(address: u64, number: u16) { exec::hinval_vvma_address_asid(VirtAddr(address), asid(number)) }
    read_hgatp() -> u64 { exec::read_hgatp() }
    write_hgatp(value: u64) { exec::write_hgatp(value) }
    probe_vmid(root: u64) -> u64 { exec::probe_vmid(root) }
    interrupts_off() -> u64 { exec::interrupts_off() }
    interrupts_on() { exec::interrupts_on() }
}
