//! SD-10: a gather keeps its space alive.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    gather.changed(PAGE);
    //= drop(user.clone());
    drop(user); //~ E0505
    gather.finish();
}
