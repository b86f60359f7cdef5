//! SD-20: a CPU acknowledges as it comes into the kernel, with interrupts off: a thread that is moved meanwhile would
//! acknowledge for another CPU, which has not flushed.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.exit_user() };
    ENGINE.exit_user(); //~ E0133
}
