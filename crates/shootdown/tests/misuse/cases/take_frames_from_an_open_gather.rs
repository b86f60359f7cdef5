//! SD-8: nobody reaches the frames before the flush is complete.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    //= gather.send().finish_with(drop);
    drop(gather.frames); //~ E0616
}
