//! SD-2: dropped at once a borrow leaves nothing loaded.

use kernel::*;

fn main() {
    let user = user();
    //= let _borrow = ENGINE.borrow(&user).expect("a kernel thread");
    ENGINE.borrow(&user).expect("a kernel thread"); //~ "must be used"
}
