//! SD-10: after `finish` the root may be gone.

use kernel::*;

fn main() {
    let teardown = user().put().expect("the only user");
    teardown.finish();
    //= let teardown = user().put().expect("the only user");
    let teardown = &*teardown; //~ E0382
    ENGINE.gather::<Frame, 4>(&teardown).changed(PAGE);
}
