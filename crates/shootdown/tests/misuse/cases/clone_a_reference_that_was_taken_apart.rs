//! SD-10: what owns a count cannot be cloned.

use kernel::*;

fn main() {
    let handle = user().into_handle();
    //= let second = ENGINE.user_from_handle(handle).clone();
    let second = handle.clone(); //~ E0599
    let _ = second.root();
}
