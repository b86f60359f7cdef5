//! SD-20: what an NMI gives back is the mark of its own CPU: a thread that is moved meanwhile would mark one that is in
//! the kernel.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.in_nmi(|| ()) };
    ENGINE.in_nmi(|| ()); //~ E0133
}
