//! What differs between architectures: starting CPUs, interrupts, page-table entries, the console, and the way out.
//!
//! Every part has the same items; kernel memory is mapped where it is, and user pages begin at [`crate::window::USER`].

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
#[cfg(target_arch = "riscv64")]
pub use riscv64::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

/// Most CPUs that fit: as many as a word of a mask has bits, or as many as any machine of QEMU has.
pub const MAX_CPUS: usize = if cfg!(feature = "wide") { 512 } else { 64 };

/// What an access to user memory answers: the value, and 0 unless it faulted. Two registers in every calling
/// convention.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Access {
    value: u64,
    fault: u64,
}

impl Access {
    /// The value, unless the access faulted.
    pub fn ok(self) -> Option<u64> {
        (self.fault == 0).then_some(self.value)
    }
}

unsafe extern "C" {
    /// Loads a word of user memory.
    safe fn user_load(address: u64) -> Access;
    /// Stores a word to user memory.
    safe fn user_store(address: u64, value: u64) -> Access;
    static user_access_begin: u8;
    static user_access_end: u8;
    static user_access_fault: u8;
}

/// Loads a word of user memory through the page tables that are loaded; nothing if that faults.
///
/// # Panics
/// The address is no user address.
pub fn load_user(address: u64) -> Option<u64> {
    assert!(crate::window::is_window(address), "{address:#x} is no user address");
    user_load(address).ok()
}

/// Stores a word to user memory, and says whether it did not fault.
///
/// # Panics
/// The address is no user address.
pub fn store_user(address: u64, value: u64) -> bool {
    assert!(crate::window::is_window(address), "{address:#x} is no user address");
    user_store(address, value).ok().is_some()
}

/// Where to go on after a fault at `pc`: the end of an access to user memory, if it was one.
pub(crate) fn after_fault(pc: u64) -> Option<u64> {
    let begin = &raw const user_access_begin as u64;
    let end = &raw const user_access_end as u64;
    (begin..end).contains(&pc).then_some(&raw const user_access_fault as u64)
}
