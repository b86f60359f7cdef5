//! Of `shootdown-loongarch64`.

use shootdown::flush::VirtAddr;
use shootdown_loongarch64::encode::Asid;
use shootdown_loongarch64::exec;

sequences! {
    invtlb_all() { exec::invtlb_all() }
    invtlb_globals() { exec::invtlb_globals() }
    invtlb_asid(asid: Asid) { exec::invtlb_asid(asid) }
    invtlb_address_asid(address: u64, asid: Asid) { exec::invtlb_address_asid(VirtAddr(address), asid) }
    invtlb_address_global(address: u64) { exec::invtlb_address_global(VirtAddr(address)) }
    dbar() { exec::dbar() }
    ibar() { exec::ibar() }
    read_asid() -> u64 { exec::read_asid() }
    write_asid(asid: Asid) { exec::write_asid(asid) }
    write_pgdl(value: u64) { exec::write_pgdl(value) }
    read_cpucfg(word: u32) -> u32 { exec::read_cpucfg(word) }
    read_iocsr(register: u32) -> u32 { exec::read_iocsr(register) }
    write_iocsr(register: u32, value: u32) { exec::write_iocsr(register, value) }
    interrupts_off() -> u64 { exec::interrupts_off() }
    interrupts_on() { exec::interrupts_on() }
}
