//! What `cargo xtask size`, `panics` and `stack` look at: each operation of the engine as a function with a symbol, on
//! platforms like a kernel's.
//!
//! What the engine does not have is an external function of the embedder's (`embedder_...`), so that nothing of it is
//! inlined, weighed or blamed. Linked into no program.
#![no_std]
#![expect(unsafe_code, reason = "platforms")]

#[macro_use]
mod operations;
mod bare;
mod controls;
#[cfg(target_os = "none")]
mod kernel;

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

#[cfg(target_os = "none")]
operations! {
    /// The arch crate's bodies, and the tags that are usual there.
    hardware: kernel::Kernel;
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
