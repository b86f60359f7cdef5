//! Of `shootdown-aarch64`.

use shootdown_aarch64::{IdRegisters, exec};

sequences! {
    tlbi_vae1(operand: u64) { exec::tlbi_vae1(operand) }
    tlbi_vae1is(operand: u64) { exec::tlbi_vae1is(operand) }
    tlbi_vale1(operand: u64) { exec::tlbi_vale1(operand) }
    tlbi_vale1is(operand: u64) { exec::tlbi_vale1is(operand) }
    tlbi_vaae1(operand: u64) { exec::tlbi_vaae1(operand) }
    tlbi_vaae1is(operand: u64) { exec::tlbi_vaae1is(operand) }
    tlbi_vaale1(operand: u64) { exec::tlbi_vaale1(operand) }
    tlbi_vaale1is(operand: u64) { exec::tlbi_vaale1is(operand) }
    tlbi_rvae1(operand: u64) { exec::tlbi_rvae1(operand) }
    tlbi_rvae1is(operand: u64) { exec::tlbi_rvae1is(operand) }
    tlbi_rvale1(operand: u64) { exec::tlbi_rvale1(operand) }
    tlbi_rvale1is(operand: u64) { exec::tlbi_rvale1is(operand) }
    tlbi_rvaae1(operand: u64) { exec::tlbi_rvaae1(operand) }
    tlbi_rvaae1is(operand: u64) { exec::tlbi_rvaae1is(operand) }
    tlbi_rvaale1(operand: u64) { exec::tlbi_rvaale1(operand) }
    tlbi_rvaale1is(operand: u64) { exec::tlbi_rvaale1is(operand) }
    tlbi_aside1(operand: u64) { exec::tlbi_aside1(operand) }
    tlbi_aside1is(operand: u64) { exec::tlbi_aside1is(operand) }
    tlbi_ipas2e1is(operand: u64) { exec::tlbi_ipas2e1is(operand) }
    tlbi_vmalle1() { exec::tlbi_vmalle1() }
    tlbi_vmalle1is() { exec::tlbi_vmalle1is() }
    tlbi_alle1is() { exec::tlbi_alle1is() }
    tlbi_vmalls12e1is() { exec::tlbi_vmalls12e1is() }
    dsb_nsh() { exec::dsb_nsh() }
    dsb_ish() { exec::dsb_ish() }
    dsb_ishst() { exec::dsb_ishst() }
    dsb_ishld() { exec::dsb_ishld() }
    isb() { exec::isb() }
    interrupts_on() { exec::interrupts_on() }
    read_ttbr0() -> u64 { exec::read_ttbr0() }
    write_ttbr0(value: u64) { exec::write_ttbr0(value) }
    read_ttbr1() -> u64 { exec::read_ttbr1() }
    write_ttbr1(value: u64) { exec::write_ttbr1(value) }
    read_vttbr() -> u64 { exec::read_vttbr() }
    write_vttbr(value: u64) { exec::write_vttbr(value) }
    interrupts_off() -> u64 { exec::interrupts_off() }
    read_tcr() -> u64 { exec::read_tcr() }
    read_id_registers(to: &mut IdRegisters) { *to = exec::read_id_registers() }
}
