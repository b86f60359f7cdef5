//! SD-14: a queue that is full hands the frames back.

use kernel::*;

fn main() {
    let mut queue = Retired::<Kernel, Frame, 4>::new(&ENGINE);
    let gather = ENGINE.kernel().gather::<Frame, 4>();
    //= drop(gather.send().retire_into(&mut queue));
    gather.send().retire_into(&mut queue); //~ "must be used"
}
