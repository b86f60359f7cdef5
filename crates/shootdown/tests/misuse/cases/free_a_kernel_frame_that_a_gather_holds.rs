//! SD-8: a gather of kernel memory owns the frame too: nobody drops it and forgets the flush.

use kernel::*;

fn main() {
    let mut gather = ENGINE.kernel().gather::<Frame, 4>();

    let frame = Frame(0x7000);
    gather.unmapped(PAGE, frame).expect("there is room");
    //= gather.finish();
    drop(frame); //~ E0382
}
