//! SD-8: frames wait for the flush of their own machine.

use kernel::*;

fn main() {
    let (mut own, mut guests) = (Retired::<_, Frame, 4>::new(&ENGINE), Retired::<_, Frame, 4>::new(&GUEST));
    let mut gather = ENGINE.kernel().gather::<Frame, 4>();
    gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    //= drop(gather.send().retire_into(&mut own));
    drop(gather.send().retire_into(&mut guests)); //~ E0308
    own.finish_with(drop);
    guests.finish_with(drop);
}
