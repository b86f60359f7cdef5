//! SD-8: frames leave a queue through tickets that are complete.

use kernel::*;

fn main() {
    let mut queue = Retired::<Kernel, Frame, 4>::new(&ENGINE);
    //= queue.reclaim(drop);
    drop(queue.slots[0].take()); //~ E0616
}
