//! Of `shootdown-x86_64`.

use shootdown::flush::VirtAddr;
use shootdown_x86_64::encode::{
    GuestAsid, InveptDescriptor, InveptType, Invlpgb, InvpcidDescriptor, InvpcidType, InvvpidDescriptor,
    InvvpidType,
};
use shootdown_x86_64::exec;

sequences! {
    read_cr3() -> u64 { exec::read_cr3() }
    write_cr3(value: u64) { exec::write_cr3(value) }
    read_cr4() -> u64 { exec::read_cr4() }
    write_cr4(value: u64) { exec::write_cr4(value) }
    toggle_pge() { exec::toggle_pge() }
    invlpg(address: u64) { exec::invlpg(VirtAddr(address)) }
    serialize() { exec::serialize() }
    rewrite_cr2() { exec::rewrite_cr2() }
    invpcid() { exec::invpcid(InvpcidType::AllWithGlobals, InvpcidDescriptor::all()) }
    invlpgb(rax: u64, ecx: u32, edx: u32) { exec::invlpgb(Invlpgb { rax, ecx, edx }) }
    tlbsync() { exec::tlbsync() }
    invept() -> bool { exec::invept(InveptType::All, InveptDescriptor::all()) }
    invvpid() -> bool { exec::invvpid(InvvpidType::All, InvvpidDescriptor::all()) }
    invlpga(address: u64, asid: GuestAsid) { exec::invlpga(VirtAddr(address), asid) }
    read_msr(number: u32) -> u64 { exec::read_msr(number) }
    interrupts_off() -> u64 { exec::interrupts_off() }
    interrupts_on() { exec::interrupts_on() }
}
