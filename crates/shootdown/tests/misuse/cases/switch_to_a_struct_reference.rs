//! SD-10: user code runs in a space that has mappings, so on a user reference.

use kernel::*;

fn main() {
    let user = user();
    let pin = user.grab();
    //= ENGINE.switch_to(&pin.upgrade().expect("there is a user"));
    ENGINE.switch_to(&pin); //~ E0308
}
