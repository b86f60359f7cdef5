//! SD-8: frames of kernel memory come out when every CPU has flushed.

use kernel::*;

fn main() {
    let mut gather = ENGINE.kernel().gather::<Frame, 4>();
    gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    let pending = gather.send();
    //= pending.finish_with(drop);
    drop(pending.frames); //~ E0616
}
