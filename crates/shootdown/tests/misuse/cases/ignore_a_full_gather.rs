//! SD-14: a frame for which there is no room comes back, and must go into another gather.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    //= gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    gather.unmapped(PAGE, Frame(0x7000)); //~ "must be used"
    gather.finish();
}
