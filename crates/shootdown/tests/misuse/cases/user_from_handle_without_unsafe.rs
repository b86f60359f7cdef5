//! SD-10: that a handle counts as a user is the caller's word.

use kernel::*;

fn main() {
    let handle = user().into_handle();
    //= drop(unsafe { ENGINE.user_from_handle(handle) });
    drop(ENGINE.user_from_handle(handle)); //~ E0133
}
