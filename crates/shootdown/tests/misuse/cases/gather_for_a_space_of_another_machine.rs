//! SD-1: the mask of a space names CPUs of its own machine.

use kernel::*;

fn main() {
    let guest = user_of(&GUEST);
    //= let gather = GUEST.gather::<Frame, 4>(&guest);
    let gather = ENGINE.gather::<Frame, 4>(&guest); //~ E0308
    gather.finish();
}
