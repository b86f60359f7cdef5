//! What sparc64 has that the other machines of QEMU have not: a TLB that tells contexts apart. QEMU has no sparc64
//! machine with two CPUs, so this is no kernel: it works the MMU of sun4u through `shootdown-sparc64`, and runs the
//! engine with its allocator of contexts on one CPU.
//!
//! A space's page table is its translation storage buffer (TSB), from which the miss handler in `boot.s` fills the TLB.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod console;
mod contexts;
mod demaps;
mod machine;
mod memory;

use console::{exit, say};
use core::arch::global_asm;

global_asm!(include_str!("boot.s"));

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    // SAFETY: 1. this is where the firmware comes to, once; nothing was loaded or filled by us yet.
    let kernel = unsafe { machine::start() };
    let mut clean = true;
    for (name, holds) in demaps::CHECKS {
        let held = holds(&kernel.platform().mmu);
        say!("@{{\"event\":\"check\",\"name\":\"{name}\",\"holds\":{held}}}");
        clean &= held;
    }
    clean &= contexts::run(kernel);
    say!("@{{\"event\":\"end\",\"clean\":{clean}}}");
    exit()
}

#[unsafe(no_mangle)]
extern "C" fn trap(kind: u64, pc: u64, level: u64) -> ! {
    panic!("trap {kind:#x} at {pc:#x}, level {level}")
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("@{{\"event\":\"panic\"}}");
    say!("{info}");
    exit()
}
