//! SD-8: frames go once.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    let pending = gather.send();
    pending.finish_with(drop);
    //= ENGINE.gather::<Frame, 4>(&user).finish();
    pending.finish(); //~ E0382
}
