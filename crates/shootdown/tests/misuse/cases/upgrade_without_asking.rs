//! SD-10: the space may be exiting: then there is nothing to run in.

use kernel::*;

fn main() {
    let user = user();
    let pin = user.grab();
    //= let again: UserRef<'_, Kernel> = pin.upgrade().expect("there is a user");
    let again: UserRef<'_, Kernel> = pin.upgrade(); //~ E0308
    ENGINE.switch_to(&again);
}
