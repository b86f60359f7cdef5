//! SD-10: a teardown that was taken apart is put together once.

use kernel::*;

fn main() {
    let handle = user().put().expect("the only user").into_handle();
    ENGINE.teardown_from_handle(handle).finish();
    //= let handle = user().put().expect("the only user").into_handle();
    ENGINE.teardown_from_handle(handle).finish(); //~ E0382
}
