//! SD-10: code that runs in a temporary space needs its mappings.

use kernel::*;

fn main() {
    let user = user();
    let pin = user.grab();
    // SAFETY: 1. a kernel thread calls.
    //= unsafe { ENGINE.with_temporary_space(&pin.upgrade().expect("there is a user"), || ()) };
    unsafe { ENGINE.with_temporary_space(&pin, || ()) }; //~ E0308
}
