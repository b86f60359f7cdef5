//! SD-18: a gather that was not deferred is still open, and waits for its CPUs.

use kernel::*;

fn main() {
    let mut queue = Retired::<_, Frame, 4>::new(&ENGINE);
    let mut gather = ENGINE.kernel().gather::<Frame, 4>();
    gather.unmapped(PAGE, Frame(0x7000)).expect("there is room");
    //= drop(gather.defer_into(&mut queue, Deferral::FOREVER));
    gather.defer_into(&mut queue, Deferral::FOREVER); //~ "must be used"
    queue.finish_with(drop);
}
