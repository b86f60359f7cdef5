//! SD-10: a reference that was taken apart and is not kept leaks its space.

use kernel::*;

fn main() {
    //= let _ = user().into_handle();
    user().into_handle(); //~ "must be used"
}
