//! SD-9: what is borrowed cannot be put.

use kernel::*;

fn main() {
    let user = user();
    let borrow = ENGINE.borrow(&user).expect("a kernel thread");
    //= drop(user.clone().put());
    drop(user.put()); //~ E0505
    drop(borrow);
}
