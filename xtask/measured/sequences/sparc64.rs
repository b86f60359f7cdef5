//! Of `shootdown-sparc64`.

use shootdown_sparc64::encode::HvCall;
use shootdown_sparc64::exec;

sequences! {
    flush() { exec::flush() }
    read_secondary() -> u64 { exec::read_secondary() }
    write_secondary(value: u64) { exec::write_secondary(value) }
    write_secondary_sun4v(value: u64) { exec::write_secondary_sun4v(value) }
    write_tsb(value: u64) { exec::write_tsb(value) }
    demap(operand: u64) { exec::demap(operand) }
    demap_in_secondary(context: u64, operand: u64) { exec::demap_in_secondary(context, operand) }
    demap_in_primary(context: u64, operand: u64) { exec::demap_in_primary(context, operand) }
    read_data_entry(entry: u64) -> u64 { exec::read_data_entry(entry) }
    read_instruction_entry(entry: u64) -> u64 { exec::read_instruction_entry(entry) }
    clear_data_entry(entry: u64) { exec::clear_data_entry(entry) }
    clear_instruction_entry(entry: u64) { exec::clear_instruction_entry(entry) }
    send_mondo(a: u64, b: u64, c: u64, address: u64) { exec::send_mondo([a, b, c], address) }
    read_dispatch() -> u64 { exec::read_dispatch() }
    hypervisor(a: u64, b: u64, c: u64, d: u64, e: u64, function: u64) -> u64 {
        exec::hypervisor(HvCall { function, arguments: [a, b, c, d, e] })
    }
    interrupts_off() -> u64 { exec::interrupts_off() }
    interrupts_on() { exec::interrupts_on() }
}
