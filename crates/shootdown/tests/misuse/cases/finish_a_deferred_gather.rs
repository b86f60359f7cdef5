//! SD-18: the frames of a deferred gather are in the queue.

use kernel::*;

fn main() {
    let mut queue = Retired::<_, Frame, 4>::new(&ENGINE);
    let mut gather = ENGINE.kernel().gather::<Frame, 4>();
    gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    drop(gather.defer_into(&mut queue, Deferral::polls(4)));
    //= queue.finish_with(drop);
    gather.finish(); //~ E0382
}
