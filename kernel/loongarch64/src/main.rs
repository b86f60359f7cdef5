//! `shootdown-loongarch64` and the engine on two cores of QEMU's LoongArch machine: what each INVTLB drops and what it
//! leaves, and pages that one core unmaps while the other reads them.
//!
//! Software fills the TLB (`boot.s`), which tells ASIDs apart. The kernel runs in a direct-mapped window.
#![no_std]
#![no_main]

mod console;
mod drops;
mod machine;
mod memory;
mod unmaps;

use console::{exit, say};
use core::arch::global_asm;

global_asm!(include_str!("boot.s"));

/// Core 0 comes here first and starts the other one when that has something to do.
#[unsafe(no_mangle)]
extern "C" fn start(core: u32) -> ! {
    if core != 0 {
        unmaps::read()
    }
    let kernel = machine::start();
    let mut clean = true;
    for check in &drops::CHECKS {
        let held = check.holds(&kernel.platform().mmu);
        say!("@{{\"event\":\"check\",\"name\":\"{}\",\"holds\":{held}}}", check.name);
        clean &= held;
    }
    clean &= unmaps::run(kernel);
    say!("@{{\"event\":\"end\",\"clean\":{clean}}}");
    exit()
}

#[unsafe(no_mangle)]
extern "C" fn interrupt() {
    machine::engine().platform().mmu.take_ipis();
    // SAFETY: 1. interrupts are off in a handler; 2. the engine has them off where it must not be interrupted.
    unsafe { machine::engine().handle_ipi() };
}

#[unsafe(no_mangle)]
extern "C" fn trap(status: u64, pc: u64, address: u64) -> ! {
    panic!("exception {status:#x} at {pc:#x}, address {address:#x}")
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("@{{\"event\":\"panic\"}}");
    say!("{info}");
    exit()
}
