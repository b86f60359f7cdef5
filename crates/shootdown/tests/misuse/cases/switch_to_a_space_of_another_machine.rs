//! SD-12: tags of one machine mean nothing on another.

use kernel::*;

fn main() {
    let guest = user_of(&GUEST);
    //= GUEST.switch_to(&guest);
    ENGINE.switch_to(&guest); //~ E0308
}
