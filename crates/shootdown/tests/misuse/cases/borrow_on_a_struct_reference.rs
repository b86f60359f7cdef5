//! SD-9: a kernel thread that works on user memory holds a user reference.

use kernel::*;

fn main() {
    let user = user();
    let pin = user.grab();
    //= drop(ENGINE.borrow(&pin.upgrade().expect("there is a user")));
    drop(ENGINE.borrow(&pin)); //~ E0308
}
