//! SD-10: a root is freed once, when no CPU has it loaded.

use kernel::*;

fn main() {
    let user = user();
    //= unsafe { ENGINE.platform().free_root(&user) };
    ENGINE.platform().free_root(&user); //~ E0133
}
