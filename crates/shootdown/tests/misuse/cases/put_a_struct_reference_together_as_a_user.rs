//! SD-10: a struct reference that was taken apart does not come back as a user.

use kernel::*;

fn main() {
    let handle = user().grab().into_handle();
    //= drop(ENGINE.struct_from_handle(handle));
    drop(ENGINE.user_from_handle(handle)); //~ E0308
}
