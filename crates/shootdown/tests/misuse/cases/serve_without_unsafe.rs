//! SD-6: that interrupts are off, and stay off while a CPU answers, is the caller's word.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.handle_ipi() };
    ENGINE.handle_ipi(); //~ E0133
}
