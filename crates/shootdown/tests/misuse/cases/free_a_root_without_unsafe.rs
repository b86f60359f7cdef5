//! SD-10: a root is freed once, when no CPU has it loaded.

use kernel::*;

fn main() {
    let handle = *user().into_handle().inner();
    //= unsafe { ENGINE.platform().free_root(handle) };
    ENGINE.platform().free_root(handle); //~ E0133
}
