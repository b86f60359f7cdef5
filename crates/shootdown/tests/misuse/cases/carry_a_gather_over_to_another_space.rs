//! SD-8: a gather flushes the space whose frames it holds.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    let other = user_of(&ENGINE);
    gather.changed(PAGE);
    //= ENGINE.gather::<Frame, 4>(&other).changed(PAGE);
    gather.memory = &other; //~ E0616
    gather.finish();
}
