//! SD-8: a gather is opened before the entries are cleared and kept until they are.

use kernel::*;

fn main() {
    let user = user();
    //= ENGINE.gather::<Frame, 4>(&user).changed(PAGE);
    ENGINE.gather::<Frame, 4>(&user); //~ "must be used"
}
