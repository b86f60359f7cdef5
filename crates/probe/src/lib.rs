//! What `cargo xtask arch` disassembles: for each function of an arch crate's `exec` one of the same name, with a symbol.
//!
//! Each is marked as the C ABI has it, so that operands come in known registers, and holds nothing else: the listing then
//! changes when the instructions do, and hardly with the compiler.
#![no_std]
#![expect(unsafe_code, reason = "runs privileged instructions")]

/// Makes functions with symbols. Their safety obligations are those of what they call.
macro_rules! probes {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)? { $call:expr })+) => {
        $(
            #[doc = concat!("Holds the instructions of `", stringify!($name), "`.")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. what the function of that name asks for.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $answer)? {
                // SAFETY: 1. the caller's.
                unsafe { $call }
            }
        )+
    };
}

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(all(target_arch = "sparc64", feature = "nightly"))]
mod sparc64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64",
    all(target_arch = "sparc64", feature = "nightly")
))]
mod embed;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64",
    all(target_arch = "sparc64", feature = "nightly")
))]
pub use embed::Kernel;
