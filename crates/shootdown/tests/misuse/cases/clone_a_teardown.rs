//! SD-10: mappings die once.

use kernel::*;

fn main() {
    let teardown = user().put().expect("the only user");
    //= let again = user().put().expect("the only user");
    let again = teardown.clone(); //~ E0599
    again.finish();
    teardown.finish();
}
