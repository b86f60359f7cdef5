//! SD-8: frames of a batch come out when every CPU of every space has flushed.

use kernel::*;

fn main() {
    let user = user();
    let mut batch = ENGINE.batch::<Frame, 4, 2>();
    batch.gather(&user).expect("there is room").unmapped(PAGE, Frame(0x7000)).expect("there is room");
    //= batch.finish_with(drop);
    drop(batch.frames); //~ E0616
}
