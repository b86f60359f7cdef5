//! SD-10: a teardown gives up one struct reference.

use kernel::*;

fn main() {
    let teardown = user().put().expect("the only user");
    teardown.finish();
    //= user().put().expect("the only user").finish();
    teardown.finish(); //~ E0382
}
