//! SD-8: a flush that was sent is not complete: its frames come out of `finish_with`.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    let pending = gather.send();
    //= pending.finish_with(drop);
    drop(pending.frames); //~ E0616
}
