//! Functions that break the bounds, so that every look shows that it can find something.

use core::hint::black_box;

/// Reads past the end of a slice for some `index`.
// SAFETY: no other symbol has a dot like this.
#[unsafe(export_name = "control.panics")]
pub fn control_panics(table: &[u64], index: usize) -> u64 {
    table[index]
}

/// Uses more stack than the IPI handler may.
// SAFETY: no other symbol has a dot like this.
#[unsafe(export_name = "control.large_stack")]
pub fn control_large_stack() -> u64 {
    let frame = black_box([1_u64; 128]);
    frame.iter().sum()
}
