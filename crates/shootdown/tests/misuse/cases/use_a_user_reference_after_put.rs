//! SD-10: after `put` the mappings may be gone.

use kernel::*;

fn main() {
    let user = user();
    let other = user.clone();
    drop(user.put());
    //= ENGINE.switch_to(&other);
    ENGINE.switch_to(&user); //~ E0382
    drop(other);
}
