//! What of the architecture the platform is made of.

use shootdown_riscv64::Strategies;
use shootdown_riscv64::encode::Mode;

pub use shootdown_riscv64::Mmu;
pub use shootdown_riscv64::encode::Root;

/// The hardware part of the platform, given the table that maps kernel memory alone.
#[inline]
pub const fn mmu(kernel_root: u64) -> Mmu {
    // No code changes while the kernel runs.
    let strategies = Strategies::new(Mode::Sv39).without_code_changes();
    // SAFETY: 1. this kernel runs in supervisor mode; nothing is assumed of the harts.
    unsafe { Mmu::new(strategies, root(kernel_root)) }
}

/// Root of the tables at an address.
///
/// # Panics
/// The address is that of no page.
#[inline]
pub const fn root(table: u64) -> Root {
    match Root::new(table) {
        Ok(root) => root,
        Err(_) => panic!("page tables are pages below 1 << 56"),
    }
}

/// Address of a root.
pub fn root_address(root: Root) -> u64 {
    root.address()
}
