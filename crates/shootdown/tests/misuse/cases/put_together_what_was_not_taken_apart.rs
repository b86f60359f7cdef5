//! SD-10: that a bare handle counts as a user is the caller's word.

use kernel::*;

fn main() {
    let handle = *user().into_handle().inner();
    //= let counted = unsafe { UserHandle::from_inner(handle) };
    let counted = UserHandle::from_inner(handle); //~ E0133
    drop(ENGINE.user_from_handle(counted));
}
