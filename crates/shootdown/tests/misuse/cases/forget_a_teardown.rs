//! SD-10: the last user reference leaves the duty to unmap.

use kernel::*;

fn main() {
    let user = user();
    //= user.put().into_iter().for_each(Teardown::finish);
    user.put(); //~ "must be used"
}
