//! SD-10: that a handle carries the duty to unmap is the caller's word.

use kernel::*;

fn main() {
    let handle = user().put().expect("the only user").into_handle();
    //= drop(unsafe { ENGINE.teardown_from_handle(handle) });
    drop(ENGINE.teardown_from_handle(handle)); //~ E0133
}
