//! SD-10: that a handle counts is the caller's word.

use kernel::*;

fn main() {
    let handle = user().grab().into_handle();
    //= drop(unsafe { ENGINE.struct_from_handle(handle) });
    drop(ENGINE.struct_from_handle(handle)); //~ E0133
}
