//! SD-6: that interrupts are off, and stay off while a CPU answers, is the caller's word.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.serve() };
    ENGINE.serve(); //~ E0133
}
