//! For each function of an arch crate's `exec` one of the same name, with a symbol.
//!
//! Each is marked as the C ABI has it, so that operands come in known registers, and holds nothing else: the listing
//! then changes when the instructions do, and hardly with the compiler.

/// Makes functions with symbols. Their safety obligations are those of what they call.
macro_rules! sequences {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)? { $call:expr })+) => {
        $(
            #[doc = concat!("Holds the instructions of `", stringify!($name), "`.")]
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. what the function of that name asks for.
            // SAFETY: no other symbol has a dot like this.
            #[unsafe(export_name = concat!("sequence.", stringify!($name)))]
            pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $answer)? {
                // SAFETY: 1. the caller's.
                unsafe { $call }
            }
        )+
    };
}

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "loongarch64")]
mod loongarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "sparc64")]
mod sparc64;
#[cfg(target_arch = "x86_64")]
mod x86_64;
