//! SD-10: a teardown ends after its last gather.

use kernel::*;

fn main() {
    let teardown = user().put().expect("the only user");
    let gather = ENGINE.gather::<Frame, 4>(&teardown);
    //= println!("{teardown:?}");
    teardown.finish(); //~ E0505
    gather.finish();
}
