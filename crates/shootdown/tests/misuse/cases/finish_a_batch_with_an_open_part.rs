//! SD-17: a batch finishes when the flushes of all of its parts were announced.

use kernel::*;

fn main() {
    let user = user();
    let mut batch = ENGINE.batch::<Frame, 4, 2>();
    let mut part = batch.gather(&user).expect("there is room");
    //= part.changed(PAGE);
    batch.finish(); //~ E0505
    part.unmapped(PAGE, Frame(0x7000)).expect("there is room");
}
