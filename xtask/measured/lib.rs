//! The code that is measured: functions with symbols, `group.name` each, in a library that no program links.
//!
//! - `sequence.*`: a function for each instruction sequence of an arch crate, for `cargo xtask arch`.
//! - `untagged.*`, `slots.*`, `asids.*`, `kept.*`, `hardware.*`: a function for each operation of the engine, on five
//!   platforms like a kernel's, for `cargo xtask size`, `panics` and `stack`.
//! - `coherent.*`, `coherent_asids.*`: the same for the coherence layer alone, for `size` and `panics`.
//! - `control.*`: functions that break the bounds.
//!
//! What the engine does not have is an external function of the embedder's (`embedder_...`), so that nothing of it is
//! inlined, weighed or blamed.
#![no_std]
#![expect(unsafe_code, reason = "platforms, and privileged instructions")]

#[macro_use]
mod operations;
mod bare;
mod coherent;
mod controls;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "sparc64",
    target_arch = "loongarch64"
))]
mod kernel;
mod sequences;

use bare::Bare;
use shootdown::tags::{FlushByIpi, GlobalAsids, PerCpuSlots, Untagged};

operations! {
    /// No tags.
    untagged: Bare<Untagged, false>;
    /// Per-CPU tags, as Linux has them on x86.
    slots: Bare<PerCpuSlots<6>, false>;
    /// One tag a space on all CPUs, brought up to date by IPIs, as on RISC-V.
    asids: Bare<GlobalAsids<'static, FlushByIpi>, false>;
    /// CPUs keep their bits until they are asked to trim.
    kept: Bare<PerCpuSlots<6>, true>;
}

pub use controls::{control_large_stack, control_panics};

/// A static library has one; nothing here may reach it but a control.
#[cfg(all(target_os = "none", not(test)))]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
