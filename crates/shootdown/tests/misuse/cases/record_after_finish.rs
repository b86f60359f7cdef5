//! SD-8: what is unmapped after a gather has finished belongs to another gather.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    gather.changed(PAGE);
    gather.finish();
    //= ENGINE.gather::<Frame, 4>(&user).changed(PAGE);
    gather.changed(PAGE); //~ E0382
}
