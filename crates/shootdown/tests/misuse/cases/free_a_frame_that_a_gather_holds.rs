//! SD-8: from `unmapped` on the gather owns the frame, and lets go of it after the flush.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    let frame = Frame(0x7000);
    gather.unmapped(PAGE, frame).expect("there is room");
    //= gather.finish();
    drop(frame); //~ E0382
}
